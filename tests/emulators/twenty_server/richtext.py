"""Notes and tasks keep their text twice: as markdown and as an editor's blocks (JSON in a text)."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

PLAIN = {"backgroundColor": "default", "textColor": "default", "textAlignment": "left"}


def blocks_of(markdown: str) -> str:
    """Headings and paragraphs with bold parts; other markdown stays text."""
    paragraphs = [text.strip() for text in re.split(r"\n\s*\n", markdown) if text.strip()]
    blocks = [_block(number, text) for number, text in enumerate(paragraphs)]
    return json.dumps(blocks, ensure_ascii=False, separators=(",", ":")) if blocks else ""


def _block(number: int, text: str) -> dict[str, Any]:
    heading = re.match(r"(#{1,6})\s+(.*)", text, re.DOTALL)
    kind, props = "paragraph", dict[str, Any](PLAIN)
    if heading:
        kind, text = "heading", heading[2]
        props |= {"level": len(heading[1]), "isToggleable": False}
    content = [
        {"type": "text", "text": part, "styles": {"bold": True} if at % 2 else {}}
        for at, part in enumerate(re.split(r"\*\*(.+?)\*\*", text))
        if part
    ]
    block_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number}/{text}"))
    return {"id": block_id, "type": kind, "props": props, "content": content, "children": []}


def markdown_of(blocks: str) -> str:
    """The text of the blocks, one paragraph each; empty when they are no blocks."""
    try:
        items = json.loads(blocks)
    except ValueError:
        return ""
    if not isinstance(items, list):
        return ""
    return "\n\n".join(_markdown_line(item) for item in items if isinstance(item, dict))


def _markdown_line(block: dict[str, Any]) -> str:
    parts = block.get("content") or []
    texts = [
        f"**{part['text']}**" if (part.get("styles") or {}).get("bold") else part.get("text", "")
        for part in parts
        if isinstance(part, dict)
    ]
    level = (block.get("props") or {}).get("level")
    return ("#" * level + " " if isinstance(level, int) else "") + "".join(texts)
