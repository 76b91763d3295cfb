"""The faults that every spec must survive: stated once, derived from the spec, and noticed where they do harm.

The shipped specs meet theirs in `specs/`, which pytest collects.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connectory.connecting import load_registry, open_spec
from connectory.testing.faults import cases as under_test
from connectory.testing.faults.cases import FaultCase, fault_cases, run_fault_case
from connectory.testing.faults.table import TROUBLES
from mock.conftest import write_spec

VENDORS = sorted(load_registry(None).packaged)


SPEC = """
settings: {key: secret!}
servers: {production: https://api.acme.example}
limits: {few: {rate: 2/day, concurrent: 2}}
auth:
  token: {post: /login, fields: {key: "{{ key }}"}, value: token, lasts: {seconds: expires_in}}
  bearer: "{{ token }}"
pagers:
  numbered: {use: page_number, page: page, size: count, largest: 50, records: items, total_records: total}
  unsure: {use: page_number, page: page, size: count, largest: 50, records: items}
  start: {use: offset, offset: start, size: count, largest: 50, records: items, total_records: total}
  bare: {use: offset, offset: start, size: count, largest: 50, records: items}
  counted: {use: offset, offset: start, size: count, largest: 50, records: items, total_pages: pages}
  going: {use: offset, offset: start, size: count, largest: 50, records: items, more: {more: true}}
  turning: {use: page_number, page: page, size: count, largest: 50, records: items, more: {more: true}}
  cursor: {use: cursor, cursor: after, next: next, size: count, largest: 50, records: items}
  told: {use: cursor, cursor: after, next: next, size: count, largest: 50, records: items, total_records: total}
  behind:
    {use: last_record, cursor: after, field: id, size: count, largest: 50, records: items, total_records: total}
  bare_behind: {use: last_record, cursor: after, field: id, size: count, largest: 50, records: items}
  going_behind:
    {use: last_record, cursor: after, field: id, size: count, largest: 50, records: items, more: {more: true}}
  links: {use: next_url, next: {link: next}, size: count, largest: 50, records: items}
  rough: {use: page_number, page: page, size: count, largest: 50, records: items, total_records: total, count: warn}
operations:
LISTS
  things.get: {get: "/things/{id}", returns: Thing}
  things.create: {post: /things, body: Thing, returns: Thing}
  things.update: {patch: "/things/{id}", body: part of Thing, returns: Thing}
  things.delete: {delete: "/things/{id}"}
  things.create_many:
    post: /things/batch
    body: list of Thing
    batch: {largest: 100}
    results: {at: results, key: id, ok: {ok: true}, message: error}
  things.upsert_many: {put: /things/batch, body: list of Thing, batch: {largest: 100, atomic: true}}
  things.push: {post: /push, fields: {things: list of Thing!}, batch: {items: things, largest: 100}}
  things.failures:
    post: /failures
    does: write
    body: list of Thing
    batch: {largest: 100}
    results: {at: failed, index: n, only: rejected, reports: failures}
types: {Thing: {id: int! key, name: str!, made: datetime}}
"""
PAGERS = [
    *("numbered", "unsure", "start", "bare", "counted", "going", "turning"),
    *("cursor", "told", "behind", "bare_behind", "going_behind", "links", "rough"),
]
LISTS = "\n".join(f"  {name}_things.list: {{get: /{name}, pages: {name}, returns: Thing}}" for name in PAGERS)


def test_every_way_of_paging_and_every_kind_of_batch_keeps_what_is_promised(tmp_path: Path) -> None:
    write_spec(tmp_path, SPEC.replace("LISTS", LISTS))
    registry, loaded = load_registry(tmp_path), open_spec("acme", tmp_path)
    cases = fault_cases(registry, loaded)
    assert {case.trouble.name for case in cases} == {one.name for one in TROUBLES} - {
        "throttled in the vendor's own words"
    }
    broken = [fault for case in cases for fault in run_fault_case(registry, loaded, case)]
    assert not broken, "\n".join(map(str, broken))


def case_named(name: str, project: Path) -> tuple[FaultCase, Callable[[], list[str]]]:
    registry, loaded = load_registry(project), open_spec("acme", project)
    case = next(case for case in fault_cases(registry, loaded) if case.name == name)
    return case, lambda: list(map(str, run_fault_case(registry, loaded, case)))


def test_a_promise_that_is_broken_says_where_in_the_spec_and_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is made to believe that numbered pages say nothing about their number."""
    from connectory.paging.walk import Walk

    write_spec(tmp_path, SPEC.replace("LISTS", LISTS))
    _, run = case_named("numbered_things.list[fault: short page]", tmp_path)
    assert run() == []
    monkeypatch.setattr(Walk, "_check_count", lambda self: None)
    (said,) = run()
    assert "acme.yaml:" in said
    assert "/operations/numbered_things.list" in said
    assert "the call gave no error, not PagingError" in said


def test_a_call_that_the_mock_cannot_answer_is_one_failing_test_and_no_more(tmp_path: Path) -> None:
    spec = """
servers: {production: https://api.acme.example}
operations:
  odd.get: {get: "/odd/{id}", path: {id: {type: str, pattern: "[a-z]+(?<!x)q"}}, returns: Thing}
types: {Thing: {id: str key}}
"""
    write_spec(tmp_path, spec)
    registry, loaded = load_registry(tmp_path), open_spec("acme", tmp_path)
    broken = [case.trouble.name for case in fault_cases(registry, loaded) if run_fault_case(registry, loaded, case)]
    assert broken in ([], ["none"])


def test_operations_that_are_alike_are_tested_by_the_first_of_them() -> None:
    registry, loaded = load_registry(None), open_spec("twenty")
    tested = {case.operation for case in fault_cases(registry, loaded)}
    assert len(tested) < 30 < len(loaded.spec.operations)
    assert {"people.list", "people.create_many", "graphql.people"} <= tested


def test_a_process_keeps_few_mocks(tmp_path: Path) -> None:
    for vendor in VENDORS:
        fault_cases(load_registry(None), open_spec(vendor))
    assert len(under_test._benches) <= 2
