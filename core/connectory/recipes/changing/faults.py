"""Where in a recipe's file a piece of its SQL stands, and DuckDB's errors as faults there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from connectory.errors import Fault, SpecError
from connectory.recipes.recipe import LoadedRecipe
from connectory.spec.trees import Table, Text, locate

Path = tuple[str | int, ...]

_LINE: Final = re.compile(r"\n\nLINE (\d+): (.*)\n( *)\^", re.DOTALL)
_KIND: Final = re.compile(r"^[A-Z][A-Za-z]*(?: [A-Za-z]+)* Error: ")
_SEMICOLON: Final = re.compile(r";(?:\s|;|--[^\n]*(?:\n|$)|/\*.*?\*/)*$", re.DOTALL)
_DOTS: Final = "..."


def statement_of(text: str) -> str:
    """The SQL without a semicolon at its end, so that it can stand in brackets."""
    return _SEMICOLON.sub("", text)


def sql_fault(loaded: LoadedRecipe, path: Path, offset: int | None, message: str) -> Fault:
    """A fault in the SQL at a path of the recipe, `offset` characters into it; None means the SQL as a whole."""
    file, line, column = locate(loaded.tree, path, at_key=False)
    node = _node(loaded.tree, path)
    if offset is not None and isinstance(node, Text):
        line, column = _place(loaded, node, offset)
    return Fault(file, line, column, "/" + "/".join(map(str, path)), message)


def in_characters(text: str, byte: int) -> int:
    """DuckDB counts bytes."""
    return len(text.encode()[:byte].decode(errors="ignore"))


def duckdb_fault(loaded: LoadedRecipe, path: Path, sql: str, why: Exception, lines_before: int = 0) -> SpecError:
    """What DuckDB says of SQL that it was given behind `lines_before` lines of ours."""
    text = str(why)
    found = _LINE.search(text)
    message = _KIND.sub("", text[: found.start()] if found else text)
    message = message.partition("\n\tCandidate functions")[0].strip().replace("\n", "; ")
    offset = _offset(sql, int(found[1]) - lines_before, found[2], len(found[3])) if found else None
    return SpecError([sql_fault(loaded, path, offset, message[:500])])


def _offset(sql: str, line: int, shown: str, spaces: int) -> int | None:
    """Where DuckDB's caret points, in characters from the start. It shows a part of a long line only."""
    lines = sql.split("\n")
    if not 1 <= line <= len(lines):
        return None
    label = len(f"LINE {line}: ")
    column = spaces - label
    cut = shown.startswith(_DOTS)
    part = shown.removeprefix(_DOTS).removesuffix(_DOTS)
    start = lines[line - 1].find(part) if cut else 0
    if start < 0 or column < 0:
        return None
    return sum(len(text) + 1 for text in lines[: line - 1]) + start + column - (len(_DOTS) if cut else 0)


def _node(tree: Table, path: Path) -> Any:
    node: Any = tree
    for step in path:
        node = node[Text(step)] if isinstance(node, Table) else node[int(step)]
    return node


def _place(loaded: LoadedRecipe, node: Text, offset: int) -> tuple[int, int]:
    """Line and column of a character of a scalar, where that can be told; else those of its start."""
    before = str(node)[:offset]
    number, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
    lines = _lines(loaded)
    first = node.line + 1 if node.block else node.line  # a block begins on the line behind its `|`
    wanted = str(node).split("\n")[number]
    found = lines[first - 1 + number] if first - 1 + number < len(lines) else ""
    start = found.find(wanted) if node.block else found.find(wanted, node.column - 1)
    if not wanted.strip() or start < 0:  # folded, or written with escapes
        return node.line, node.column
    return first + number, start + column + 1


def _lines(loaded: LoadedRecipe) -> Sequence[str]:
    try:
        return loaded.file.read_text(encoding="utf-8-sig").replace("\r\n", "\n").split("\n")
    except (OSError, UnicodeDecodeError):
        return ()
