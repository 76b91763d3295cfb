"""Ask the Twenty emulator what was asked of the real server, and compare the answers.

Ids that a server makes up differ: they are learnt from the answers to creates and put into later requests.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import attrs

from emulators.talk import Talk

DATA = Path(__file__).resolve().parent.parent / "data" / "twenty-recorded"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
KEPT = re.compile(r"request body[\w.]*: first 1 of (\d+) items kept")


@attrs.frozen
class Recorded:
    """One recorded exchange. `headers` of the answer have lower-case names."""

    name: str
    method: str
    path: str
    asked_headers: dict[str, str]
    asked: Any
    status: int
    headers: dict[str, str]
    body: Any
    note: str

    @classmethod
    def of(cls, name: str, content: dict[str, Any]) -> Recorded:
        request, response = content["request"], content["response"]
        return cls(
            name,
            request["method"],
            request["path"],
            request["headers"],
            request["body"],
            response["status"],
            {key.lower(): value for key, value in response["headers"]},
            response["body"],
            content.get("recorder_note") or "",
        )

    @property
    def sent(self) -> Any:
        """The request's body; what the recorder cut to its first item is made as long as it was."""
        cut = KEPT.search(self.note)
        if cut is None:
            return self.asked
        body = json.loads(json.dumps(self.asked))
        items = body["variables"]["data"] if isinstance(body, dict) else body
        items += [json.loads(re.sub(r"0(?=[@\"])", str(n), json.dumps(items[0]))) for n in range(1, int(cut[1]))]
        return body

    @property
    def trimmed(self) -> bool:
        """Whether lists in the answer are shorter than they were."""
        return "response body" in self.note


def read_exchanges() -> Iterator[Recorded]:
    """Every exchange that has an answer, in the order in which they happened."""
    found: list[tuple[float, int, Recorded]] = []
    for name, content in [*_files(), *_lines()]:
        if "response" in content:
            one = Recorded.of(name, content)
            found.append((parsedate_to_datetime(one.headers["date"]).timestamp(), len(found), one))
    # An object is made before its first record, within the same second.
    for _, _, one in sorted(found, key=lambda item: (item[0], item[2].name == "rest-gadgets-create", item[1])):
        yield one


def _files() -> Iterator[tuple[str, Any]]:
    for file in sorted(DATA.glob("*.json")):
        yield file.stem, json.loads(file.read_text(encoding="utf-8"))


def _lines() -> Iterator[tuple[str, Any]]:
    for line in (DATA / "more-exchanges.jsonl").read_text(encoding="utf-8").splitlines():
        content = json.loads(line)
        yield content["name"], content


def read_document(name: str) -> Any:
    """A gzipped JSON document, such as `openapi-core`."""
    return json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))


# Asking --------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Replied:
    """What the emulator answered."""

    status: int
    headers: dict[str, str]
    body: Any


@attrs.define
class Replay:
    """Asks one emulator; `ids` are recorded ids and the emulator's own for the same records."""

    talk: Talk
    ids: dict[str, str] = attrs.field(factory=dict)

    def ask(self, one: Recorded, key: str | None) -> Replied:
        headers = {name: value for name, value in one.asked_headers.items() if name != "Authorization"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        body = one.sent
        content = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        if content is not None:
            headers.setdefault("Content-Type", "application/json")
            content = self._own(content.decode()).encode()
        answer = self.talk.call(one.method, self._own(one.path), headers=headers, body=content)
        replied = Replied(
            answer.status,
            {name.lower(): value for name, value in answer.headers.items()},
            json.loads(answer.data) if answer.data else "",
        )
        self._learn(one.body, replied.body)
        return replied

    def _own(self, text: str) -> str:
        return UUID.sub(lambda found: self.ids.get(found[0], found[0]), text)

    def _learn(self, recorded: Any, replied: Any) -> None:
        data = recorded.get("data") if isinstance(recorded, dict) else None
        if not isinstance(data, dict) or not isinstance(replied, dict):
            return
        for name, made in data.items():
            if name.startswith("create"):
                mine = (replied.get("data") or {}).get(name)
                for theirs, ours in _pairs(made, mine):
                    if theirs.get("id") and ours.get("id"):
                        self.ids[theirs["id"]] = ours["id"]


def _pairs(theirs: Any, ours: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    if isinstance(theirs, list) and isinstance(ours, list):
        for left, right in zip(theirs, ours, strict=False):
            yield from _pairs(left, right)
    elif isinstance(theirs, dict) and isinstance(ours, dict):
        yield theirs, ours


# Comparing -----------------------------------------------------------------------------------------------------------

# What a server makes up, and what depends on the hour or on everything done before.
MADE_UP = {"createdAt", "updatedAt", "deletedAt", "position", "searchVector", "startCursor", "endCursor", "cursor"}
MADE_UP |= {"universalIdentifier", "applicationId", "blocknote", "totalCount", "expiresAt", "happensAt", "secret"}
# Free content, and what the server adds some time after a write.
FREE = {"properties", "defaultValue", "timelineActivities"}


def differences(
    theirs: Any, ours: Any, *, trimmed: bool = False, exact: bool = True, place: str = "", key: str = ""
) -> Iterator[str]:
    """Where two answers differ: types and keys always, and with `exact` also the values that nobody made up."""
    if key in FREE:
        return
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if missing := sorted(theirs.keys() - ours.keys()):
            yield f"{place}: without {', '.join(missing)}"
        if more := sorted(ours.keys() - theirs.keys()):
            yield f"{place}: with {', '.join(more)}"
        for name in theirs.keys() & ours.keys():
            inner = {"trimmed": trimmed, "exact": exact}
            yield from differences(theirs[name], ours[name], place=f"{place}.{name}", key=name, **inner)
    elif isinstance(theirs, list) and isinstance(ours, list):
        yield from _list_differences(theirs, ours, trimmed, exact, place)
    elif _kind(theirs) != _kind(ours) or (exact and key not in MADE_UP and _said(theirs) != _said(ours)):
        yield f"{place}: {theirs!r} became {ours!r}"


def _list_differences(theirs: list[Any], ours: list[Any], trimmed: bool, exact: bool, place: str) -> Iterator[str]:
    if bool(theirs) != bool(ours) or (exact and not trimmed and len(theirs) != len(ours)):
        yield f"{place}: {len(theirs)} items became {len(ours)}"
    for number, (left, right) in enumerate(zip(theirs, ours, strict=False)):
        yield from differences(left, right, trimmed=trimmed, exact=exact, place=f"{place}[{number}]")


def _kind(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def _said(value: Any) -> Any:
    """A text without the ids and constraint names in it."""
    return re.sub(r"FK_[0-9a-f]{27}", "FK", UUID.sub("ID", value)) if isinstance(value, str) else value
