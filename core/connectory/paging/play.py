"""The built-in ways of paging as a server plays them: from a request to the page it gets.

Written from what the words of the language say, and not from `kinds`: the two sides must agree by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from connectory.messages import encode_query
from connectory.plugins.kinds import Played, Turn
from connectory.spec.language import Pager
from connectory.spec.places import MISSING

MARK: Final = "page_from"  # the parameter of the links that the server makes
_CURSOR: Final = re.compile(r"left-(\d+)(?:-(\d+))?")


def numbered(pager: Pager, turn: Turn) -> Played:
    """Page `first` is the first one."""
    number = _whole(turn.asked(pager.options.page), pager.options.first)
    if number < pager.options.first:
        raise ValueError(f"there is no page {number}: the first is {pager.options.first}")
    return _from(turn, (number - pager.options.first) * turn.size)


def from_offset(pager: Pager, turn: Turn) -> Played:
    """A page starts after so many records."""
    return _from(turn, _whole(turn.asked(pager.options.offset), 0))


def by_cursor(pager: Pager, turn: Turn) -> Played:
    """The answer holds the cursor of the page behind it, null at the end."""
    start, empty = _read_cursor(turn, turn.asked(pager.options.cursor))
    page = _from(turn, start)
    return _saying(page, (pager.options.next, _cursor_behind(turn, page, empty)))


def after_last(pager: Pager, turn: Turn) -> Played:
    """A page starts behind the record that holds the value asked for."""
    asked = turn.asked(pager.options.cursor)
    if asked is None:
        return _from(turn, 0)
    values = [pager.options.field.find(record) for record in turn.records]
    places = [n for n, value in enumerate(values) if value is not MISSING and str(value) == str(asked)]
    if not places:
        raise ValueError(f"no record has {pager.options.field} {asked}")
    return _from(turn, places[-1] + 1)


def by_url(pager: Pager, turn: Turn) -> Played:
    """The answer holds the URL of the page behind it: the request's own, and where to go on."""
    parts = urlsplit(turn.url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    start, empty = _read_cursor(turn, next((value for name, value in pairs if name == MARK), None))
    page = _from(turn, start)
    cursor = _cursor_behind(turn, page, empty)
    if cursor is None:
        return _saying(page, (pager.options.next, None))
    query = encode_query((*(pair for pair in pairs if pair[0] != MARK), (MARK, cursor)))
    return _saying(page, (pager.options.next, urlunsplit(parts._replace(query=query))))


def connection(pager: Pager, turn: Turn) -> Played:
    """An object of edges (nodes, where the example shows those), pageInfo and, unless it shows none, totalCount."""
    start, empty = _read_cursor(turn, turn.asked(pager.options.cursor))
    page = _from(turn, start)
    cursor = _cursor_behind(turn, page, empty)
    shown = turn.shown if isinstance(turn.shown, dict) else {"edges": [], "totalCount": 0}

    def shape(records: Sequence[Any]) -> Any:
        info = {"hasNextPage": cursor is not None, "endCursor": cursor}
        listed = {"nodes": list(records)} if "edges" not in shown else {"edges": [{"node": one} for one in records]}
        total = {"totalCount": len(turn.records)} if "totalCount" in shown else {}
        return {**total, **listed, "pageInfo": info}

    return Played(page.start, page.stop, shape=shape)


def _from(turn: Turn, start: int) -> Played:
    start = min(start, len(turn.records))
    return Played(start, min(start + turn.most, len(turn.records)))


def _saying(page: Played, *says: tuple[Any, Any]) -> Played:
    return Played(page.start, page.stop, says)


def _whole(asked: Any, default: int) -> int:
    if asked is None:
        return default
    text = str(asked)
    if not text.isdecimal():
        raise ValueError(f"'{text[:40]}' is no number of a page or record")
    return int(text)


def _read_cursor(turn: Turn, asked: Any) -> tuple[int, int]:
    """Where a page starts, and how many empty pages came before it in a row.

    A cursor counts the records that are left: it keeps its place when others are put at the head of the list.
    """
    if asked is None:
        return 0, 0
    found = _CURSOR.fullmatch(str(asked))
    if not found:
        raise ValueError(f"'{str(asked)[:40]}' is no cursor of this list")
    return max(0, len(turn.records) - int(found[1])), int(found[2] or 0)


def _cursor_behind(turn: Turn, page: Played, empty: int) -> str | None:
    """The cursor of the next page; another one behind an empty page, which leads on but not back to itself."""
    if page.stop >= len(turn.records):
        return None
    left = len(turn.records) - page.stop
    return f"left-{left}" if page.stop > page.start else f"left-{left}-{empty + 1}"
