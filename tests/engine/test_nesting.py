"""Lists inside of lists: children of children, parents of parents, circles."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from connectory import LimitReached, PagingError, Parts, SpecError
from connectory.clock import ManualClock
from connectory.recipes.sync import run_recipe
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor

NOTES = """
servers: {production: https://api.acme.example}
limits: {day: {rate: 1000/day}}
pagers: {cursor: {use: cursor, cursor: start_cursor, next: next_cursor, more: {has_more: true}, records: results}}
operations:
  pages.list: {get: /pages, pages: cursor, returns: Page}
  blocks.list:
    get: /blocks/{block_id}/children
    pages: cursor
    returns: Block
    parent: {operation: pages.list, with: {block_id: id}, keep: {page_id: id}}
    recurse: {with: {block_id: id}, when: {has_children: true}, keep: {parent_id: id}}
types:
  Page: {id: str! key, title: str}
  Block: {id: str! key, has_children: bool, text: str}
"""


def children(block: str) -> list[str]:
    """A page has three blocks, the first block of each level two more, three levels down."""
    if "." not in block:
        return [f"{block}.{n}" for n in range(3)]
    return [f"{block}.{n}" for n in range(2)] if block.endswith(".0") and block.count(".") < 4 else []


def notes(ask: Ask) -> Answer:
    """Blocks as Notion documents them: children are listed one level at a time, two a page here."""
    if ask.path == "/pages":
        return Answer.json({"results": [{"id": "page1"}, {"id": "page2"}], "has_more": False, "next_cursor": None})
    ids = children(ask.path.split("/")[2])
    start = int(ask.argument("start_cursor") or 0)
    found = [{"id": one, "has_children": bool(children(one)), "text": one} for one in ids[start : start + 2]]
    more = start + 2 < len(ids)
    return Answer.json({"results": found, "has_more": more, "next_cursor": str(start + 2) if more else None})


def inside(block: str) -> list[tuple[str, str]]:
    """Every block below one, with what it is inside of."""
    return [pair for one in children(block) for pair in [(one, block), *inside(one)]]


def test_what_is_inside_of_a_record_is_read_as_far_down_as_it_goes(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = notes
    acme = connecting(NOTES)
    flat = list(acme.blocks.list(block_id="page1"))
    assert len(flat) == 3
    deep = list(acme.blocks.list(block_id="page1", recurse=True))
    assert {(block["id"], block.get("parent_id", "page1")) for block in deep} == set(inside("page1"))
    assert len(deep) == len(inside("page1")) == 9


def test_every_page_of_every_parent_is_read_with_what_is_inside(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = notes
    found = list(connecting(NOTES).blocks.list(parents=True, recurse=True))
    expected = {(one, page) for page in ("page1", "page2") for one, _ in inside(page)}
    assert {(block["id"], block["page_id"]) for block in found} == expected
    assert len(found) == len(expected)


def test_records_that_hold_themselves_are_an_error_and_no_endless_read(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer.json({"results": [{"id": "x", "has_children": True}], "has_more": False})
    with pytest.raises(PagingError, match="more than 100 levels inside each other: they may run in circles"):
        list(connecting(NOTES).blocks.list(block_id="x", recurse=True))
    assert len(vendor.requests()) == 101


RECIPE = """
name: blocks
from: {{connector: acme, operation: blocks.list, parents: true, recurse: true}}
to: {{duckdb: data/x.duckdb, table: blocks, mode: {mode}}}
"""


@pytest.mark.parametrize("mode", ["merge", "append"])
def test_a_recipe_stopped_anywhere_goes_on_inside(
    connecting: Connecting, vendor: Vendor, parts: Parts, clock: ManualClock, tmp_path: Path, mode: str
) -> None:
    vendor.reply = notes
    connecting(NOTES.replace("1000/day", "4/day"))
    (tmp_path / "recipes").mkdir()
    file = tmp_path / "recipes" / "blocks.yaml"
    file.write_text(RECIPE.format(mode=mode))
    starts = 0
    while True:
        report = run_recipe(file, settings={"server": vendor.url}, parts=parts)
        starts += 1
        if report.error is None:
            break
        assert isinstance(report.error, LimitReached)
        clock.wind(86_400.0)
    with duckdb.connect(str(tmp_path / "data" / "x.duckdb"), read_only=True) as database:
        found = database.execute("select id, page_id from blocks").fetchall()
    assert sorted(found) == sorted((one, page) for page in ("page1", "page2") for one, _ in inside(page))
    asked = [(exchange.path, exchange.query) for exchange in vendor.requests()]
    assert starts > 2
    assert len(asked) == len(set(asked)), "no page is read twice"


SCHOOL = """
servers: {production: https://api.acme.example}
operations:
  classes.list: {get: /classes, records: ., returns: Class}
  pupils.list:
    get: /classes/{class_id}/pupils
    records: .
    returns: Pupil
    parent: {operation: classes.list, with: {class_id: id}, keep: {class: id}}
  marks.list:
    get: /classes/{class_id}/pupils/{pupil_id}/marks
    records: .
    returns: Mark
    parent: {operation: pupils.list, with: {pupil_id: id, class_id: class}, keep: {pupil: id, class: class}}
types:
  Class: {id: int! key}
  Pupil: {id: int! key}
  Mark: {id: int! key}
"""


def school(ask: Ask) -> Answer:
    steps = ask.path.strip("/").split("/")
    if len(steps) == 1:
        return Answer.json([{"id": 1}, {"id": 2}])
    if len(steps) == 3:
        return Answer.json([{"id": int(steps[1]) * 10 + n} for n in range(2)])
    return Answer.json([{"id": int(steps[3]) * 10 + n} for n in range(2)])


MARKS = [
    {"id": pupil * 10 + n, "pupil": pupil, "class": class_}
    for class_ in (1, 2)
    for pupil in (class_ * 10, class_ * 10 + 1)
    for n in range(2)
]


def test_parents_have_parents(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = school
    assert list(connecting(SCHOOL).marks.list(parents=True)) == MARKS


def test_a_recipe_reads_the_children_of_children(
    connecting: Connecting, vendor: Vendor, parts: Parts, tmp_path: Path
) -> None:
    vendor.reply = school
    connecting(SCHOOL)
    (tmp_path / "recipes").mkdir()
    file = tmp_path / "recipes" / "marks.yaml"
    file.write_text(
        "name: marks\nfrom: {connector: acme, operation: marks.list, parents: true}\n"
        "to: {duckdb: data/x.duckdb, table: marks, key: id, mode: merge}\n"
    )
    report = run_recipe(file, settings={"server": vendor.url}, parts=parts)
    assert (report.error, report.accounts.counts["delivered"]) == (None, len(MARKS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"with: {block_id: id}, when": "with: {block: id}, when"},
            "has no parameter 'block'; did you",
        ),
        ({"when: {has_children: true}, keep: {parent_id: id}": "keep: {parent_id: ids}"}, "'ids' is no field of Block"),
        ({"recurse: {with: {block_id: id}, ": "recurse: {"}, "'with' is missing"),
    ],
)
def test_a_recursion_that_cannot_work_is_a_fault(connecting: Connecting, change: dict[str, str], message: str) -> None:
    text = NOTES
    for wrong, right in change.items():
        assert wrong in text
        text = text.replace(wrong, right)
    with pytest.raises(SpecError) as caught:
        connecting(text)
    assert message in str(caught.value)
