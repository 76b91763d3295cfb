"""What is promised when a vendor fails: each fault, where it can happen, and what follows, stated once.

From this table come the fault tests of every spec, and the page of faults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import attrs

from connectory.mock.faults import Fault
from connectory.testing.faults.subjects import Subject

Gives = Literal[
    "the same",
    "the same with a warning",
    "one record twice",
    "fewer records",
    "fewer records with a warning",
    "Denied",
    "LimitReached",
    "Missing",
    "Rejected",
    "UnknownOutcome",
    "BadAnswer",
    "PagingError",
    "bad rejected",
    "all rejected",
    "all unknown",
]

When = Callable[[Subject], bool]


@attrs.frozen
class Promise:
    """What follows in one situation. `more` is how many requests are sent besides the usual ones (None: any number),
    `waits` for how many seconds it waits at least."""

    when: str
    holds: When
    gives: Gives
    says: str
    more: int | None = None
    waits: float = 0.0


@attrs.frozen
class Trouble:
    """One fault. `on` says to which operations it can happen; the first promise that holds is the one that is kept."""

    name: str
    about: str
    on: str
    happens: When
    faults: Callable[[str], Sequence[Fault]]
    promises: Sequence[Promise]

    def promise(self, subject: Subject) -> Promise | None:
        """What is promised of this operation; None where the fault cannot happen to it."""
        if not self.happens(subject):
            return None
        return next((one for one in self.promises if one.holds(subject)), None)


def _one(kind: str, first: int = 1, last: int | None = 0, **options: str) -> Callable[[str], Sequence[Fault]]:
    """One fault at a call of the operation; `last` None: from there on."""
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return lambda operation: [Fault(kind, first, first if last == 0 else last, named, operation)]


def _always(_: Subject) -> bool:
    return True


def _is_unclear(s: Subject) -> bool:
    """Whether a lost answer leaves it open what became of the call."""
    return not s.repeatable


def _else(gives: Gives, says: str, more: int | None = None, waits: float = 0.0) -> Promise:
    """What follows where no promise before it holds."""
    return Promise("", _always, gives, says, more, waits)


_LOST: Final = (
    Promise(
        "a batch that may not be sent twice",
        lambda s: _is_unclear(s) and s.batch,
        "all unknown",
        "Nothing is sent again; every item of that call is unknown.",
        0,
    ),
    Promise(
        "a call that may not be sent twice",
        _is_unclear,
        "UnknownOutcome",
        "Nothing is sent again: look before you do.",
        0,
    ),
)
_AGAIN: Final = _else("the same", "It is sent again after a pause, and all is as if nothing had been.", 1)
_GONE: Final = Promise(
    "one record is deleted",
    lambda s: s.removes and not s.batch,
    "Missing",
    "It is sent again and finds nothing there any more: the error says so.",
    1,
)
_LED: Final = Promise(
    "the answer says how to go on", lambda s: s.leads, "the same", "The length of a page means nothing."
)
_WAITED: Final = "It waits as long as it is told and is sent again: what is refused for a limit was not done."
_SHORT: Final = (
    "Nothing in the answers tells that a record is missing: say `total_records` or `more` where the vendor does."
)
_TOTAL: Final = "The count is not what the vendor said: an error at the end, never a short list that looks whole."
_UNREADABLE: Final = (
    Promise("a batch", lambda s: s.batch, "all unknown", "It was sent, and nobody can say what became of it.", 0),
    Promise(
        "a call that may not be sent twice",
        _is_unclear,
        "UnknownOutcome",
        "It was sent, and nobody can say what became of it.",
        0,
    ),
    _else("BadAnswer", "The error says what came instead, and never shows it.", 0),
)

TROUBLES: Final[Sequence[Trouble]] = (
    Trouble(
        "none",
        "nothing goes wrong",
        "every operation",
        _always,
        lambda _: [],
        (_else("the same", "The call works against the mock: the ground on which the others stand.", 0),),
    ),
    Trouble(
        "token expires in mid-list",
        "the token is refused at the second page",
        "paged lists behind a token",
        lambda s: s.token and s.paged,
        _one("expire-token", 2),
        (_else("the same", "One new login, and the same page is asked for again.", 1),),
    ),
    Trouble(
        "token refused at once",
        "a token that looked good is refused at the first call",
        "operations behind a token",
        lambda s: s.token,
        _one("expire-token"),
        (_else("the same", "One new login, and the call is made again.", 1),),
    ),
    Trouble(
        "credentials refused",
        "every call is refused for its credentials",
        "operations with credentials",
        lambda s: s.signed,
        _one("refuse", 1, None),
        (
            Promise(
                "behind a token",
                lambda s: s.token,
                "Denied",
                "The token is renewed once; the second refusal is an error that says where credentials come from.",
            ),
            _else("Denied", "An error at once that says where the credentials come from."),
        ),
    ),
    Trouble(
        "429 with seconds",
        "429 and Retry-After: 7",
        "where 429 means too many calls",
        lambda s: s.means(429) == "throttled",
        _one("429", retry_after="7"),
        (_else("the same", _WAITED, 1, 7.0),),
    ),
    Trouble(
        "429 with a date",
        "429 and a date in Retry-After, 7 s ahead",
        "where 429 means too many calls",
        lambda s: s.means(429) == "throttled",
        _one("429", retry_date="7"),
        (_else("the same", _WAITED, 1, 6.0),),
    ),
    Trouble(
        "429 without a time",
        "429 and no word of when",
        "where 429 means too many calls",
        lambda s: s.means(429) == "throttled",
        _one("429"),
        (_else("the same", "It waits a second and more, longer each time, and is sent again.", 1, 1.0),),
    ),
    Trouble(
        "429 for hours",
        "429 and Retry-After: 90000",
        "where 429 means too many calls",
        lambda s: s.means(429) == "throttled",
        _one("429", 1, None, retry_after="90000"),
        (_else("LimitReached", "It ends at once and says when to come back; nothing waits for hours.", 0),),
    ),
    Trouble(
        "throttled in the vendor's own words",
        "what the spec's outcomes call throttled, with 7 s to wait",
        "where a rule of the spec says throttled",
        lambda s: s.own_throttle,
        _one("throttle", retry_after="7"),
        (_else("the same", _WAITED, 1, 1.0),),
    ),
    Trouble(
        "500 then 200",
        "one answer with status 500",
        "every operation",
        _always,
        _one("500"),
        (
            Promise(
                "the spec reads 500 as a refusal, and the batch can be cut without harm",
                lambda s: s.means(500) == "rejected" and s.batch and s.harmless,
                "the same",
                "The batch is halved, and the halves are sent.",
            ),
            Promise(
                "the spec reads 500 as a refusal, of a batch",
                lambda s: s.means(500) == "rejected" and s.batch,
                "all rejected",
                "Every item of that call is rejected with the vendor's words.",
                0,
            ),
            Promise(
                "the spec reads 500 as a refusal",
                lambda s: s.means(500) == "rejected",
                "Rejected",
                "The vendor's words are told; nothing is sent again.",
                0,
            ),
            *_LOST,
            _AGAIN,
        ),
    ),
    Trouble(
        "connection lost before the work",
        "the connection is cut, nothing was done",
        "every operation",
        _always,
        _one("drop"),
        (*_LOST, _AGAIN),
    ),
    Trouble(
        "connection lost after the work",
        "the work is done, then the connection is cut",
        "every operation",
        _always,
        _one("drop", applied="true"),
        (
            *_LOST,
            _GONE,
            _else("the same", "It is sent again, which does no harm; nothing is there twice.", 1),
        ),
    ),
    Trouble(
        "answer truncated",
        "the body ends in the middle",
        "where an answer has a body",
        lambda s: s.has_body,
        _one("truncate"),
        (
            *_LOST,
            _GONE,
            _AGAIN,
        ),
    ),
    Trouble(
        "not JSON",
        "a body that is no JSON",
        "where the answer is JSON",
        lambda s: s.json,
        _one("not-json"),
        _UNREADABLE,
    ),
    Trouble(
        "HTML with 200",
        "a login page with status 200",
        "where the answer is JSON",
        lambda s: s.json,
        _one("html"),
        _UNREADABLE,
    ),
    Trouble(
        "empty body",
        "a success without a body",
        "where the answer is JSON, by status 200",
        lambda s: s.json and s.status == 200 and s.empty_is_good,
        _one("empty"),
        (
            Promise(
                "a batch whose answer names the items",
                lambda s: s.batch and s.lists_items,
                "all unknown",
                "The answer names no item, so nobody can say what became of them.",
                0,
            ),
            Promise(
                "a call that writes", lambda s: s.does != "read", "the same", "The status says that it is done.", 0
            ),
            _else("BadAnswer", "An empty answer to a question is an error, not an empty list.", 0),
        ),
    ),
    Trouble(
        "short page",
        "the second page holds one record fewer, though there are more",
        "paged lists",
        lambda s: s.paged,
        _one("short-page", 2),
        (
            _LED,
            Promise(
                "pages start behind the records read, and total or more tell the end",
                lambda s: s.kind in ("offset", "last_record") and (s.more or s.total != ""),
                "the same",
                "The next page starts behind the records that came.",
            ),
            Promise(
                "pages start behind the records read, and a number of pages tells the end",
                lambda s: s.kind in ("offset", "last_record") and s.pages,
                "the same",
                "The next page starts behind the records that came; a last page that is full loses one: say a total.",
            ),
            Promise(
                "numbered pages and a total",
                lambda s: s.kind == "page_number" and s.total == "exact",
                "PagingError",
                _TOTAL,
            ),
            Promise(
                "numbered pages and a rough total",
                lambda s: s.kind == "page_number" and s.total == "warn",
                "fewer records with a warning",
                "The count is not what the vendor said: a warning.",
            ),
            _else("fewer records", _SHORT),
        ),
    ),
    Trouble(
        "empty page",
        "the second page is empty, though there are more",
        "paged lists",
        lambda s: s.paged,
        _one("empty-page", 2),
        (
            _LED,
            Promise(
                "pages start behind the records read, and the vendor says that there are more",
                lambda s: s.kind in ("offset", "last_record") and s.more,
                "PagingError",
                "The same page would be asked for again, or nothing says how to go on.",
            ),
            Promise("a total", lambda s: s.total == "exact", "PagingError", _TOTAL),
            Promise(
                "a rough total",
                lambda s: s.total == "warn",
                "fewer records with a warning",
                "The count is not what the vendor said: a warning.",
            ),
            Promise(
                "pages that start behind the records read, and a number of pages",
                lambda s: s.kind == "offset" and s.pages,
                "PagingError",
                "The same page would be asked for again.",
            ),
            _else("fewer records", _SHORT),
        ),
    ),
    Trouble(
        "repeated page",
        "the second page holds the records of the first",
        "paged lists",
        lambda s: s.paged,
        _one("repeat-page", 2),
        (_else("PagingError", "A page that comes again is an error, whatever else is said."),),
    ),
    Trouble(
        "repeated cursor",
        "the second page leads to itself",
        "lists whose answers say how to go on",
        lambda s: s.paged and s.leads,
        _one("repeat-cursor", 2),
        (_else("PagingError", "A cursor or link that comes again is an error: pages never run in circles."),),
    ),
    Trouble(
        "total changes while paging",
        "from the second page on there is one record more",
        "paged lists with a total",
        lambda s: s.paged and s.total_stated,
        _one("change-total", 2, None),
        (_else("the same with a warning", "A list that changed while it was read is no error: a warning says so."),),
    ),
    Trouble(
        "records inserted while paging",
        "a record is put at the head before the second page",
        "paged lists",
        lambda s: s.paged,
        _one("insert-record", 2),
        (
            Promise(
                "pages that are counted",
                lambda s: s.kind in ("page_number", "offset"),
                "one record twice",
                "The record at the edge comes twice, the new one not at all: merge by key, and read again.",
            ),
            Promise(
                "a total",
                lambda s: s.total_seen,
                "the same with a warning",
                "Each record that was there comes once; a warning says that the list changed.",
            ),
            _else("the same", "Each record that was there comes once."),
        ),
    ),
    Trouble(
        "next link to another host",
        "the first page's link leads to another host",
        "lists that follow links",
        lambda s: s.paged and s.kind == "next_url",
        _one("foreign-link"),
        (_else("BadAnswer", "It is not followed: credentials go to the vendor's own host only."),),
    ),
    *(
        Trouble(
            f"batch with {words} bad",
            f"the vendor refuses {words} of five items",
            "batches of five and more",
            lambda s: s.batch and s.fits_five,
            _one("bad-items", items=items),
            (
                Promise(
                    "the answer names those that are bad, or the batch can be cut without harm",
                    lambda s: s.reports or s.harmless,
                    "bad rejected",
                    "Those are rejected with the vendor's words, the others are delivered, each once.",
                ),
                _else("all rejected", "Nobody says which: all items of that call are rejected.", 0),
            ),
        )
        for items, words in {
            "first": "the first item",
            "last": "the last item",
            "several": "several items",
            "all": "all items",
        }.items()
    ),
    Trouble(
        "batch too large",
        "a batch is refused for its size (413)",
        "batches of five and more",
        lambda s: s.batch and s.fits_five and s.means(413) == "rejected",
        _one("too-large"),
        (_else("the same", "It is halved: what is refused for its size was not done."),),
    ),
)
