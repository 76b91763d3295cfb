"""Every way of paging, played by the mock and read by the real client: any records, any size, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mock.conftest import Staging, staged, write_spec

HEAD = """
servers: {production: https://api.acme.example}
limits: {few: {concurrent: ATONCE}}
operations:
  things.list: {METHOD: /things, pages: p, EXTRA}
pagers:
  p: """
PAGERS = {
    "numbered, total": "{use: page_number, page: page, size: count, largest: 4, records: items, total_records: total}",
    "numbered from 0, pages": "{use: page_number, page: page, first: 0, size: count, largest: 4, records: items, "
    "total_pages: {header: X-Pages}}",
    "numbered, nothing said": "{use: page_number, page: page, size: count, largest: 4, records: .}",
    "numbered, total in prose": "{use: page_number, page: page, size: count, largest: 3, records: items, "
    "total_records: {body: said, match: '([0-9]+) things'}}",
    "offset in the body": "{use: offset, offset: {fields: page.start}, size: {fields: page.count}, largest: 4, "
    "records: items, total_records: found}",
    "offset, more": "{use: offset, offset: offset, size: count, largest: 4, records: items, more: {has_more: true}}",
    "cursor": "{use: cursor, cursor: after, next: meta.next, size: count, largest: 4, records: items}",
    "cursor in a header": "{use: cursor, cursor: {headers: X-After}, next: {header: X-Next}, "
    "size: {headers: X-Count}, largest: 4, records: .}",
    "cursor, more and total": "{use: cursor, cursor: after, next: info.end, more: {info.more: true}, size: count, "
    "largest: 4, records: data.items, total_records: total}",
    "last record": "{use: last_record, cursor: after, field: id, size: count, largest: 4, records: items}",
    "last record, more": "{use: last_record, cursor: after, field: id, size: count, largest: 4, records: items, "
    "more: {rest: {above: 0}}}",
    "next link in the body": "{use: next_url, next: links.next, size: count, largest: 4, records: items}",
    "next link in a header": "{use: next_url, next: {link: next}, size: count, largest: 4, records: .}",
    "keyed object": "{use: offset, offset: offset, size: count, largest: 4, records: {path: items, key_as: id}, "
    "total_records: total}",
    "bare values": "{use: offset, offset: offset, size: count, largest: 4, records: {path: items, value_as: id}, "
    "total_records: total}",
    "wrapped": "{use: offset, offset: offset, size: count, largest: 4, records: rows.*.thing, total_records: total}",
}


def spec_of(pager: str, method: str = "get", extra: str = "", at_once: int = 1) -> str:
    extra = f"does: read, {extra}".rstrip(", ")
    return HEAD.replace("ATONCE", str(at_once)).replace("METHOD", method).replace("EXTRA", extra) + pager + "\n"


@pytest.mark.parametrize("pager", PAGERS.values(), ids=PAGERS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 13), data=st.data())
def test_the_client_reads_each_record_exactly_once(tmp_path: Path, pager: str, count: int, data: Any) -> None:
    ids = data.draw(st.lists(st.integers(1, 10_000), min_size=count, max_size=count, unique=True))
    key = str if "_as:" in pager else int  # keys of objects are texts
    rows = [{"id": key(one)} for one in ids]
    at_once = data.draw(st.sampled_from([1, 3]))
    write_spec(tmp_path, spec_of(pager, "post" if "fields" in pager else "get", at_once=at_once))
    with staged("acme", tmp_path, tmp_path, data={"things": rows}) as stage:
        if count == 0 and ("rows.*" in pager):
            return  # a path with * cannot tell an empty list from none
        assert list(stage.connector.things.list()) == rows
        assert list(stage.connector.things.list().limit(2)) == rows[:2]


def test_a_cursor_may_stand_for_the_whole_query(tmp_path: Path) -> None:
    pager = "{use: cursor, cursor: token, next: next, alone: true, size: count, largest: 2, records: items}"
    write_spec(tmp_path, spec_of(pager, extra="query: {kind: str!}"))
    rows = [{"id": number, "kind": "odd" if number % 2 else "even"} for number in range(9)]
    with staged("acme", tmp_path, tmp_path, data={"things": rows}) as stage:
        assert list(stage.connector.things.list(kind="odd")) == rows[1::2]
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{stage.mock.url}/things?kind=odd&token=left-3")
        with refused.value as answer:
            assert b"token must be the only parameter, not beside kind" in answer.read()


CONNECTION = """
servers: {production: https://api.acme.example}
pagers: {relay: {use: connection, size: {variables: first}, largest: 3}}
operations:
  things.list:
    graphql: /graphql
    document: "query($first: Int, $after: String) { things(first: $first, after: $after) { id } }"
    pages: relay
    records: data.things
    EXAMPLE
"""


@pytest.mark.parametrize("shown", ["", "edges: [{node: {id: 1}}], totalCount: 1", "nodes: [{id: 1}]"])
@pytest.mark.parametrize("count", [0, 1, 3, 7])
def test_a_graphql_connection_is_read_whole(staging: Staging, shown: str, count: int) -> None:
    ending = "pageInfo: {hasNextPage: false, endCursor: null}"
    example = f"examples: [{{answer: {{data: {{things: {{{shown}, {ending}}}}}}}}}]" if shown else ""
    rows = [{"id": number} for number in range(count)]
    stage = staging(CONNECTION.replace("EXAMPLE", example), data={"things": rows})
    things = stage.connector.things.list()
    assert list(things) == rows
    assert things.total == (None if "nodes" in shown else count)


def test_a_page_larger_than_the_largest_is_cut_down_or_refused(staging: Staging) -> None:
    pager = "{use: offset, offset: offset, size: count, largest: 4, records: items}"
    stage = staging(spec_of(pager), records=9)
    assert len(fetch(stage.mock.url, "/things?count=100")["items"]) == 4
    strict = staging(spec_of(pager), records=9, refuse_large=True)
    assert "at most 4" in fetch(strict.mock.url, "/things?count=100")["error"]


def fetch(url: str, target: str) -> Any:
    """What a client that is none of ours reads."""
    import http.client
    import json

    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("GET", target)
    body = json.loads(connection.getresponse().read())
    connection.close()
    return body


def test_a_plug_ins_pager_is_played_by_its_own_function(staging: Staging, tmp_path: Path) -> None:
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "letters.py").write_text(PLUGIN, encoding="utf-8")
    spec = spec_of("{use: letters, records: items, size: count, largest: 2}")
    rows = [{"id": number} for number in range(7)]
    stage = staging(spec, data={"things": rows})
    assert list(stage.connector.things.list()) == rows
    assert len(stage.mock.served) == 4


PLUGIN = """
from connectory import PagerKind, PageRequest, Place, Played, Slot, hookimpl
from connectory.plugins.kinds import NoOptions
from connectory.spec.places import parse_path

PAGE = Slot(query="page")

def first(pager):
    return PageRequest(((PAGE, "a"),))

def following(pager, page):
    letter = dict((slot, value) for slot, value in page.asked.slots)[PAGE]
    return PageRequest(((PAGE, chr(ord(letter) + 1)),)) if page.answer.data["more"] else None

def play(pager, turn):
    start = (ord(turn.asked(PAGE)) - ord("a")) * 2
    stop = min(start + 2, len(turn.records))
    return Played(start, stop, ((Place(body=(parse_path("more"),)), stop < len(turn.records)),))

@hookimpl
def connectory_pagers():
    return {"letters": PagerKind(NoOptions, first, following, play=play)}
"""


def test_a_page_that_cannot_be_asked_for_is_refused_in_the_vendors_own_shape(staging: Staging) -> None:
    spec = spec_of("{use: cursor, cursor: after, next: next, records: items}") + "errors: {message: fault.text}\n"
    stage = staging(spec, records=3)
    assert "no cursor of this list" in fetch(stage.mock.url, "/things?after=made-up")["fault"]["text"]


def test_the_records_that_a_parameter_or_a_mark_names_are_given_and_no_others(staging: Staging) -> None:
    spec = """
servers: {production: https://api.acme.example}
pagers: {p: {use: offset, offset: offset, size: count, largest: 2, records: items, total_records: total}}
operations:
  things.list:
    get: /things
    query: {colour: str, since: datetime, filter: str}
    pages: p
    returns: Thing
    marks: {changed: {from: since}, seen: {from: filter, as: 'seen[gte]:"{{ since }}"'}}
types: {Thing: {id: int key, colour: one of red | blue, changed: datetime, seen: datetime}}
"""
    rows = [
        {
            "id": n,
            "colour": ["red", "blue"][n % 2],
            "changed": f"2026-01-0{n}T00:00:00Z",
            "seen": f"2026-02-0{n}T00:00:00Z",
        }
        for n in range(1, 8)
    ]
    things = staging(spec, data={"things": rows}).connector.things

    def ids(**given: Any) -> list[int]:
        return [one["id"] for one in things.list(**given)]

    assert ids(colour="blue") == [1, 3, 5, 7]
    assert ids(since="2026-01-05T00:00:00Z") == [5, 6, 7]
    assert ids(colour="red", since="2026-01-03T00:00:00Z") == [4, 6]
    assert ids(filter='seen[gte]:"2026-02-06T00:00:00Z"') == [6, 7]


def test_an_unknown_colour_is_refused_before_anything_is_listed(staging: Staging) -> None:
    spec = """
servers: {production: https://api.acme.example}
operations: {things.list: {get: /things, query: {colour: str, size: int}, records: ., returns: Thing}}
types: {Thing: {id: int key}}
"""
    stage = staging(spec)
    assert "size: must be a whole number" in fetch(stage.mock.url, "/things?size=big")["error"]
