"""Every shipped operation answers at the mock of its vendor as its spec says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectory import Delivery
from connectory.connecting import load_registry, open_spec
from connectory.mock.checks import Checker
from connectory.records import Records
from connectory.spec.typeexpr import ListOf
from mock.conftest import Stage, staged

VENDORS = sorted(load_registry(None).packaged)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    """A mock of every vendor, with a connector to it."""
    from contextlib import ExitStack

    with ExitStack() as opened:
        yield {
            vendor: opened.enter_context(
                staged(vendor, tmp_path_factory.mktemp("kept"), settings=settings_for(vendor), records=7)
            )
            for vendor in VENDORS
        }


def settings_for(vendor: str) -> dict[str, Any]:
    spec = open_spec(vendor).spec
    return {
        name: s.example or "some-secret-or-other" for name, s in spec.settings.items() if s.required and not s.value
    }


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_example_of_the_spec_is_answered_with_values_of_its_types(
    stages: dict[str, Stage], vendor: str, tmp_path: Path
) -> None:
    stage = stages[vendor]
    spec = stage.mock.spec
    for name, operation in spec.operations.items():
        for example in operation.examples:
            stage.mock.reset()
            if operation.batch is not None and operation.method in ("post", "graphql"):
                stage.mock.rows(name).clear()  # what the example adds must not be there
            found = stage.connector.operation(name)(**with_files(dict(example.with_), tmp_path))
            if isinstance(found, Delivery):
                assert found.accounts.clean, (name, found.problems, stage.mock.served)
                continue
            checker = Checker(spec.types, str(spec.wire.datetime or "rfc3339"), load_registry(None).codecs)
            plan = stage.connector.operation(name).plan
            if isinstance(found, Records):
                raw = [
                    record
                    for page in Records(stage.connector.engine, plan, dict(example.with_)).raw_pages()
                    for record in page
                ]
                faults = list(checker.faults(raw, ListOf(operation.returns), partial=True, lenient=True))
                assert not faults, (name, faults)


def with_files(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The arguments of an example with files that are there."""
    for name, value in given.items():
        if isinstance(value, str) and value.endswith(".csv"):
            (folder / value).write_text("a,b\n1,2\n", encoding="utf-8")
            given[name] = str(folder / value)
    return given


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_list_of_records_gives_as_many_as_the_mock_holds(stages: dict[str, Stage], vendor: str) -> None:
    stage = stages[vendor]
    stage.mock.reset()
    counted = 0
    for name, desk in stage.mock.desks.items():
        free = not any(p.required for p in desk.plan.parameters.values())
        if desk.act == "list" and free and not desk.scope:
            assert len(list(stage.connector.operation(name)())) == len(stage.mock.rows(name)), name
            counted += 1
    assert counted or vendor == "12traits"


def test_what_is_written_can_be_read_again_and_is_gone_when_it_is_deleted(stages: dict[str, Stage]) -> None:
    stage = stages["12twenty"]
    stage.mock.reset()
    school = stage.connector
    made = school.students.create(body={"FirstName": "Bart", "GraduationYearId": 2018}, complete=True)
    assert made["FirstName"] == "Bart"
    assert made["ModifyDate"].timestamp() == pytest.approx(stage.clock.now(), abs=5)
    school.students.update(id=made["Id"], body={"LastName": "Simpson"})
    assert school.students.get(id=made["Id"])["LastName"] == "Simpson"
    school.students.replace(id=made["Id"], body={"FirstName": "Lisa"})
    after = school.students.get(id=made["Id"])
    assert (after["FirstName"], after["LastName"]) == ("Lisa", "Simpson")
    assert made["Id"] in [one["Id"] for one in school.students.list()]
    school.students.delete(id=made["Id"])
    assert made["Id"] not in [one["Id"] for one in school.students.list()]


def test_rest_and_graphql_see_the_same_records(stages: dict[str, Stage]) -> None:
    stage = stages["twenty"]
    stage.mock.reset()
    crm = stage.connector
    made = crm.people.create(body={"jobTitle": "Editor"})
    found = [one for one in crm.graphql.people() if one["id"] == made["id"]]
    assert found[0]["jobTitle"] == "Editor"
    crm.people.delete(id=made["id"])
    assert crm.people.restore(id=made["id"])["jobTitle"] == "Editor"
    assert crm.people.get(id=made["id"])["jobTitle"] == "Editor"
    delivery = crm.people.upsert_many([{"jobTitle": "Poet"}, {"id": made["id"], "jobTitle": "Critic"}])
    assert delivery.delivered == 2
    assert crm.people.get(id=made["id"])["jobTitle"] == "Critic"


def test_a_record_that_is_there_already_is_refused_as_the_vendor_words_it(stages: dict[str, Stage]) -> None:
    stage = stages["twenty"]
    stage.mock.reset()
    item = {"id": stage.mock.rows("people.list")[0]["id"]}
    for operation in (stage.connector.people.create_many, stage.connector.graphql.create_people):
        (result,) = operation([item]).rejected
        assert "duplicate entry" in result.words
    assert [one.status for one in stage.mock.served] == [400, 200]
