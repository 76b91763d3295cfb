"""What a plug-in supplies: small frozen values that pair an options class with functions.

An options class is an attrs class; its attributes are the keys that may stand beside `use` in a spec, so they are
checked, completed and documented like the language's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from connectory.answers import Answer
from connectory.destinations.destination import Destination
from connectory.messages import Request
from connectory.spec.language import Batch, OutcomeWord, Pager
from connectory.spec.words import Place, Records, Slot


@attrs.frozen(repr=False)
class NoOptions:
    """For kinds that take none."""


@attrs.frozen(repr=False)
class AuthKind:
    """A way of signing. `sign(options, request, now)` returns the signed request; `now` is epoch seconds.

    Templates among the options arrive rendered. `request` is frozen: method, url, query, headers, body, target.
    """

    options: type
    sign: Callable[[Any, Request, float], Request]
    about: str = ""


@attrs.frozen(repr=False)
class PageRequest:
    """What is particular to one page: values for slots, or a whole next URL.

    `alone` says that the slots stand in place of the call's own query parameters.
    """

    slots: tuple[tuple[Slot, Any], ...] = ()
    url: str | None = None
    alone: bool = False


@attrs.frozen(repr=False)
class Page:
    """One page as it came: what was asked, where its records stand, the records, and the answer they stand in."""

    asked: PageRequest
    where: Records
    records: Sequence[Any]
    answer: Answer


@attrs.frozen(repr=False)
class Turn:
    """A request for one page, as a server sees it.

    `records` are all that match, in order. The pages of this list have `size` records; this one gets at most `most`.
    `asked(slot)` is what the request holds in a slot, None when nothing; `url` the request's own, with its query and
    without credentials; `shown` what an example of the spec shows at the records path.
    """

    records: Sequence[Any]
    size: int
    most: int
    asked: Callable[[Slot], Any]
    url: str
    shown: Any = None


@attrs.frozen(repr=False)
class Played:
    """The page that a server gives: records `start` to `stop`, and what its answer `says` at which places.

    `shape` makes of the page's records what stands at the records path, where that is not the list itself.
    """

    start: int
    stop: int
    says: tuple[tuple[Place, Any], ...] = ()
    shape: Callable[[Sequence[Any]], Any] | None = None


@attrs.frozen(repr=False)
class PagerKind:
    """A way of paging. Pure: nothing here does I/O.

    `first(pager)` asks for page one. `next(pager, page)` asks for the page after, None when the pager's own rule says
    there is none. `ahead(pager, page, pages)` computes request number 2 to `pages` at once, where the kind can.
    `records(where, answer)` finds the records and `total(page)` their number, where the kind knows better than the
    spec's paths. `about(pager)` says it in plain words.

    `play(pager, turn)` is the other side, for `connectory mock`: the page that a server gives, ValueError where the
    request is none that this way of paging makes. A kind without it is served whole, in one page.
    """

    options: type
    first: Callable[[Pager], PageRequest]
    next: Callable[[Pager, Page], PageRequest | None]
    ahead: Callable[[Pager, Page, int], Sequence[PageRequest]] | None = None
    records: Callable[[Records, Answer], Any] | None = None
    total: Callable[[Page], int | None] | None = None
    about: Callable[[Pager], str] = lambda pager: pager.use
    play: Callable[[Pager, Turn], Played] | None = None


@attrs.frozen(repr=False)
class BatchKind:
    """A way of cutting items into calls. `cut(batch, items)` yields lists; `items` come with their size in bytes."""

    options: type
    cut: Callable[[Batch, Iterable[tuple[Any, int]]], Iterator[list[Any]]]
    about: Callable[[Batch], str]


@attrs.frozen(repr=False)
class Verdict:
    """What an answer means. `wait` is in seconds from now, `until` in epoch seconds; `limit` names the budget hit."""

    word: OutcomeWord
    wait: float | None = None
    until: float | None = None
    limit: str | None = None


@attrs.frozen(repr=False)
class OutcomeKind:
    """A way of judging answers. `judge(options, answer)` returns a Verdict, or None when it has nothing to say."""

    options: type
    judge: Callable[[Any, Answer], Verdict | None]
    about: str = ""


@attrs.frozen(repr=False)
class Codec:
    """How a moment is written. Both raise ValueError in words a user understands.

    `read` takes what stood in the answer and returns an aware datetime; `write` takes an aware datetime and returns
    the JSON value. `zoneless` says that a text without a zone means UTC. `write_all` writes many as `write` would,
    where that is quicker: moments in UTC, with that zone or none, and null as null.
    """

    read: Callable[[Any], datetime]
    write: Callable[[datetime], Any]
    zoneless: bool = False
    write_all: Callable[[Sequence[datetime | None]], list[Any]] | None = None


@attrs.frozen(repr=False)
class Format:
    """How a body is written or read: `write(value)` gives bytes, `read(bytes)` a value; ValueError if it is not so.

    `needs` is a package that must be installed; an extra of the format's name brings it. `textual` says that every
    value read is a text (a table, XML): declared types then tell what it stands for.
    """

    media_type: str
    read: Callable[[bytes], Any] | None
    write: Callable[[Any], bytes] | None
    textual: bool = False
    needs: str = ""


@attrs.frozen(repr=False)
class Discovered:
    """What a workspace holds: a row for each object (the columns of the family) and types in the spec's own form.

    The first column of a row names the object. `pagers` corrects numbers of the spec's pagers for this workspace, as
    `{"after": {"largest": 200}}`.
    """

    objects: Sequence[Mapping[str, str]]
    types: Mapping[str, Mapping[str, Any]]
    pagers: Mapping[str, Mapping[str, int]] = attrs.Factory(dict)


@attrs.frozen(repr=False)
class Discoverer:
    """A way of finding a workspace's own objects. `discover(options, call)`: `call(method, path, query=(), body=None)`
    does one authenticated GET or POST within the limits and returns the decoded answer. `query` is a mapping or pairs,
    `body` a JSON value; a call changes nothing, so it may be repeated. Raises CallError where the vendor refuses."""

    options: type
    discover: Callable[[Any, Callable[..., Any]], Discovered]
    about: str = ""


def nothing_wrong(_options: Any) -> tuple[()]:
    """The check of a destination that has none."""
    return ()


@attrs.frozen(repr=False)
class DestinationKind:
    """A place where records go. `open(options, ...)` returns a Destination; see `destinations`.

    `check(options)` yields a key and what is wrong with it, before anything runs.
    """

    options: type
    open: Callable[..., Destination]
    about: str = ""
    check: Callable[[Any], Iterable[tuple[str, str]]] = nothing_wrong
