"""Modes of a push, single calls, uploads, mirrors, and what a lost answer leads to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from connectory import ArgumentError, DestinationError, LimitReached, Parts, SpecError
from connectory.clock import ManualClock
from connectory.commands.check import check_files
from connectory.recipes.pushing.recording import Recorder
from connectory.recipes.pushing.replaying import held_rows
from connectory.values.shapes import Plain, Record
from emulators.twelvetraits import TwelveTraits
from emulators.twelvetwenty import TwelveTwenty
from emulators.twenty import Twenty
from recipes.conftest import Push
from recipes.pushes import Pushes, again

SCHOOL = "connector: 12twenty, settings: {school: hilltop}"


@pytest.fixture
def school(parts: Parts) -> Iterator[TwelveTwenty]:
    with TwelveTwenty(clock=parts.clock) as vendor:
        yield vendor


@pytest.fixture
def game(parts: Parts) -> Iterator[TwelveTraits]:
    with TwelveTraits(clock=parts.clock) as vendor:
        yield vendor


@pytest.fixture
def crm(parts: Parts) -> Iterator[Twenty]:
    with Twenty(clock=parts.clock) as vendor:
        yield vendor


def person(number: int, **more: Any) -> dict[str, Any]:
    mail = {"primaryEmail": f"p{number}@example.com"}
    return {"id": f"20202020-0000-4000-8000-{number:012}", "name": {"lastName": f"L{number}"}, "emails": mail, **more}


# Batches ----------------------------------------------------------------------------------------------------------


def test_rows_without_a_key_go_1000_a_call_and_nothing_of_them_is_kept(game: TwelveTraits, pushes: Push) -> None:
    logins = pushes("{connector: 12traits, operation: logins.push}", server=game.url, api_key=game.api_key)
    report = logins.run([{"user_id": str(number)} for number in range(1001)])
    assert str(report.accounts) == "1,001 read = 1,001 delivered"
    assert [len(json.loads(one.body)["users"]) for one in game.requests("/v1/logins")] == [1000, 1]
    assert b"user_id" not in logins.journal.read_bytes()
    assert str(logins.run([{"user_id": "1"}]).accounts) == "1 read = 1 delivered", "an event may come again"


def test_a_workspace_is_pushed_into_a_second_one_and_then_nothing_is_written(
    crm: Twenty, pushes: Push, parts: Parts
) -> None:
    rows = [person(number) for number in range(61)]
    with Twenty(clock=parts.clock) as second:
        people = pushes(
            "{connector: twenty, operation: people.upsert_many, changed_only: true}",
            server=second.url,
            api_key=second.key,
        )
        for writes, words in ((2, "61 delivered"), (0, "0 delivered + 61 unchanged")):
            before = len(second.requests("POST /rest/batch/people"))
            report = people.run(rows)
            assert str(report.accounts) == f"61 read = {words}", report.error
            assert len(second.requests("POST /rest/batch/people")) - before == writes
        assert {record["id"] for record in second.records("people")} >= {row["id"] for row in rows}


def test_graphql_batches_are_pushed_too(crm: Twenty, pushes: Push) -> None:
    people = pushes("{connector: twenty, operation: graphql.upsert_people, key: id}", server=crm.url, api_key=crm.key)
    report = people.run([person(number) for number in range(61)])
    assert str(report.accounts) == "61 read = 61 delivered", report.error
    assert len(crm.requests("POST /graphql")) == 2


def test_an_upsert_without_ids_keeps_those_it_made_over_a_lost_run(crm: Twenty, pushes: Push) -> None:
    people = pushes("{connector: twenty, operation: people.upsert_many}", server=crm.url, api_key=crm.key)
    rows = [{"jobTitle": f"J{number}"} for number in range(60)]
    crm.fail(9, 503, "POST /rest/batch", after_applying=True)
    assert people.run(rows).exit_code == 1
    crm._faults.clear()
    report = people.run(rows)
    assert str(report.accounts) == "60 read = 60 delivered", report.error
    assert len([one for one in crm.records("people") if str(one.get("jobTitle")).startswith("J")]) == 60


# Single calls -----------------------------------------------------------------------------------------------------


def test_a_full_put_is_sent_only_for_students_that_differ(school: TwelveTwenty, pushes: Push) -> None:
    students = pushes(f"{{{SCHOOL}, operation: students.replace}}", server=school.url, api_key=school.api_key)
    first, second, *_ = school.tables["students"].values()
    rows = [{"Id": first["Id"], "FirstName": first["FirstName"]}, {"Id": second["Id"], "FirstName": "Bart"}]
    report = students.run([*rows, {"Id": 1, "FirstName": "Nobody"}, {"Id": "x"}])
    assert str(report.accounts) == "4 read = 1 delivered + 1 unchanged + 1 invalid + 1 rejected", report.error
    assert [update.id for update in school.updates] == [second["Id"]]
    assert second["FirstName"] == "Bart"
    assert {problem.word: problem.status for problem in report.problems} == {"invalid": None, "rejected": 404}


def test_changed_only_spares_the_reading_as_well(school: TwelveTwenty, pushes: Push) -> None:
    to = f"{{{SCHOOL}, operation: students.replace, changed_only: true}}"
    students = pushes(to, server=school.url, api_key=school.api_key)
    rows = [{"Id": id_, "FirstName": "Bart"} for id_ in list(school.tables["students"])[:3]]
    assert students.run(rows).exit_code == 0
    report = students.run(rows)
    assert (str(report.accounts), report.calls) == ("3 read = 0 delivered + 3 unchanged", 0)


def test_files_are_uploaded_and_only_queued(game: TwelveTraits, pushes: Push) -> None:
    to = "{connector: 12traits, operation: survey_data.upload, key: file, changed_only: true}"
    uploads = pushes(to, server=game.url, api_key=game.api_key)
    (uploads.root / "a.csv").write_text("user_id,q1\n1,2\n")
    rows = [{"file": "a.csv"}, {"file": "gone.csv"}]
    report = uploads.run(rows)
    assert str(report.accounts) == "2 read = 0 delivered + 1 invalid + 1 accepted"
    assert [upload.filename for upload in game.uploads] == ["a.csv"]
    assert uploads.run(rows).accounts.counts["unchanged"] == 1
    (uploads.root / "a.csv").write_text("user_id,q1\n1,3\n")
    assert uploads.run(rows).accounts.counts["accepted"] == 1, "a file counts by what it holds"


def test_graphql_variables_and_fixed_arguments_are_filled(crm: Twenty, pushes: Push) -> None:
    crm.load(people=[person(1)])
    people = pushes("{connector: twenty, operation: graphql.update_person}", server=crm.url, api_key=crm.key)
    report = people.run([{"id": person(1)["id"], "jobTitle": "Editor"}])
    assert str(report.accounts) == "1 read = 1 delivered", report.error
    assert crm.records("people")[0]["jobTitle"] == "Editor"
    notes = pushes(f"{{{SCHOOL}, operation: notes.create, with: {{body: {{Text: x}}}}}}", server=crm.url, api_key="k")
    with pytest.raises(SpecError, match=r"is no argument of 'notes\.create'"):
        notes.run([], shape=Record({"Text": Plain("text")}))


def test_a_whole_number_becomes_its_digits_in_a_single_call_as_well(crm: Twenty, pushes: Push) -> None:
    people = pushes("{connector: twenty, operation: people.create}", server=crm.url, api_key=crm.key)
    report = people.run([person(1, jobTitle=4711)])
    assert str(report.accounts) == "1 read = 1 delivered", report.problems
    assert crm.records("people")[0]["jobTitle"] == "4711"


# Modes ------------------------------------------------------------------------------------------------------------


def test_create_only_sends_no_key_twice_and_takes_what_is_there_as_it_is(crm: Twenty, pushes: Push) -> None:
    crm.load(people=[person(1)])
    to = "{connector: twenty, operation: people.create, mode: create_only}"
    people = pushes(to, server=crm.url, api_key=crm.key)
    report = people.run([person(1, jobTitle="Other"), person(2)])
    assert str(report.accounts) == "2 read = 1 delivered + 1 unchanged", report.error
    report = people.run([person(2, jobTitle="Other")])
    assert (str(report.accounts), report.calls) == ("1 read = 0 delivered + 1 unchanged", 0)


def test_a_key_that_comes_again_much_later_is_noticed_though_its_first_row_is_unchanged(
    crm: Twenty, pushes: Push
) -> None:
    to = "{connector: twenty, operation: people.create, key: id, changed_only: true}"
    people = pushes(to, server=crm.url, api_key=crm.key)
    rows = [person(number) for number in range(60)]
    people.run(rows)
    for _ in range(2):
        report = people.run([*rows, person(0), person(0, jobTitle="Other")])
        assert str(report.accounts) == "62 read = 0 delivered + 61 unchanged + 1 invalid"
        assert report.calls == 0


def test_create_only_finds_what_is_there_in_a_batch_as_well(crm: Twenty, pushes: Push) -> None:
    crm.load(people=[person(3)])
    to = "{connector: twenty, operation: people.create_many, mode: create_only}"
    report = pushes(to, server=crm.url, api_key=crm.key).run([person(number) for number in range(8)])
    assert str(report.accounts) == "8 read = 7 delivered + 1 unchanged", report.error


def test_what_exists_is_rejected_by_an_ordinary_create(crm: Twenty, pushes: Push) -> None:
    crm.load(people=[person(1)])
    people = pushes("{connector: twenty, operation: people.create}", server=crm.url, api_key=crm.key)
    assert str(people.run([person(1), person(2)]).accounts) == "2 read = 1 delivered + 1 rejected"


def test_update_only_leaves_keys_alone_that_were_never_delivered(school: TwelveTwenty, pushes: Push) -> None:
    def push(mode: str) -> Pushes:
        to = f"{{{SCHOOL}, operation: students.update, mode: {mode}, key: Id}}"
        return pushes(to, server=school.url, api_key=school.api_key)

    one, two, *_ = school.tables["students"]
    push("upsert").run([{"Id": one, "FirstName": "Ann"}])
    report = push("update_only").run([{"Id": one, "FirstName": "Bea"}, {"Id": two, "FirstName": "Bea"}])
    assert str(report.accounts) == "2 read = 1 delivered + 1 unchanged"
    assert school.tables["students"][two]["FirstName"] != "Bea"


MIRROR = (
    "{connector: twenty, operation: people.upsert_many, mode: mirror, remove: people.delete_many, changed_only: true}"
)


def mirrored(crm: Twenty) -> set[str]:
    return {one["id"] for one in crm.records("people") if not one.get("deletedAt")}


def test_a_mirror_removes_what_we_delivered_and_the_source_no_longer_has(crm: Twenty, pushes: Push) -> None:
    crm.load(people=[person(999)])
    people = pushes(MIRROR, server=crm.url, api_key=crm.key)
    rows = [person(number) for number in range(100)]
    assert people.run(rows).removed == 0
    report = people.run(rows[10:])
    assert (str(report.accounts), report.removed) == ("90 read = 0 delivered + 90 unchanged", 10), report.error
    assert mirrored(crm) == {row["id"] for row in rows[10:]} | {person(999)["id"]}, "others' records stay"
    assert people.run(rows[10:]).removed == 0


@pytest.mark.parametrize(
    ("left", "said"),
    [(89, "11 of the 100 rows delivered are gone from the source (11.0%)"), (0, "none of the 100 rows")],
)
def test_a_mirror_removes_nothing_where_too_much_or_everything_is_gone(
    crm: Twenty, pushes: Push, left: int, said: str
) -> None:
    people = pushes(MIRROR, server=crm.url, api_key=crm.key)
    rows = [person(number) for number in range(100)]
    people.run(rows)
    report = people.run(rows[:left])
    assert isinstance(report.error, DestinationError)
    assert said in str(report.error) and report.exit_code == 1  # noqa: PT018
    assert (report.removed, len(mirrored(crm))) == (0, 100)
    assert people.run(rows).exit_code == 0, "a source that is whole again goes on as ever"
    allowed = pushes(MIRROR.replace("changed_only", "most_removed: 11%, changed_only"), **people.settings)
    assert allowed.run(rows[:left]).removed == (11 if left else 0)


def test_a_removal_that_is_cut_off_goes_on_with_the_next_start(crm: Twenty, pushes: Push) -> None:
    to = MIRROR.replace("delete_many", "delete").replace("changed_only", "most_removed: 50%, changed_only")
    people = pushes(to, server=crm.url, api_key=crm.key)
    rows = [person(number) for number in range(20)]
    people.run(rows)
    crm.fail(1, 403, "DELETE", skip=2)
    report = people.run(rows[5:])
    assert report.exit_code == 1
    assert len(mirrored(crm)) == 18
    report = people.run(rows[5:])
    assert (report.exit_code, mirrored(crm)) == (0, {row["id"] for row in rows[5:]}), report.error
    assert report.removed == 5
    assert len(crm.requests("DELETE")) == 6


class Cut(list[Any]):
    """Rows of a source that cannot be reached."""

    def __len__(self) -> int:
        raise LimitReached("no budget is left", until=0.0)


def test_a_mirror_that_begins_anew_and_gets_nowhere_begins_at_the_first_row_the_next_time(
    crm: Twenty, pushes: Push
) -> None:
    to = MIRROR.replace("changed_only: true", "most_removed: 100%")
    people = pushes(to, server=crm.url, api_key=crm.key)
    rows = [person(number) for number in range(130)]
    people.run(rows)
    crm.fail(1, 403, "POST /rest/batch", skip=1)
    assert people.run(rows).exit_code == 1
    assert people.run(Cut(), full_refresh=True).exit_code == 75
    report = people.run(rows)
    assert (str(report.accounts), report.removed) == ("130 read = 130 delivered", 0), report.error
    assert len(mirrored(crm)) == 130


# Lost answers -----------------------------------------------------------------------------------------------------


def test_a_row_whose_answer_was_lost_is_held_for_a_decision(game: TwelveTraits, pushes: Push) -> None:
    logins = pushes("{connector: 12traits, operation: logins.push}", server=game.url, api_key=game.api_key)
    game.drop(1, after_applying=True)
    report = logins.run([{"user_id": str(number)} for number in range(1002)])
    assert str(report.accounts) == "1,002 read = 2 delivered + 1,000 unknown"
    assert report.exit_code == 3
    assert len(list(held_rows(logins.root, "r"))) == 1000
    waiting = again(logins)
    assert (waiting.accounts.read, waiting.undecided, waiting.calls) == (0, 1000, 0)
    dropped = again(logins, unknown="drop")
    assert (dropped.dropped, dropped.held, dropped.calls) == (1000, 0, 0)


def test_a_request_refused_for_a_limit_is_not_taken_for_a_lost_one(
    game: TwelveTraits, pushes: Push, clock: ManualClock
) -> None:
    logins = pushes("{connector: 12traits, operation: logins.push}", server=game.url, api_key=game.api_key)
    game.fail(1, 429, headers={"Retry-After": "3600"})
    stopped = logins.run([{"user_id": "1"}])
    assert isinstance(stopped.error, LimitReached), stopped.error
    clock.sleep(3601)
    report = logins.run([{"user_id": "1"}])
    assert str(report.accounts) == "1 read = 1 delivered", report.error
    assert game.items["logins"] == [{"user_id": "1"}]


def test_a_row_of_unknown_outcome_can_be_sent_again(game: TwelveTraits, pushes: Push) -> None:
    logins = pushes("{connector: 12traits, operation: logins.push}", server=game.url, api_key=game.api_key)
    game.drop(1)
    logins.run([{"user_id": "1"}])
    assert str(again(logins, unknown="resend").accounts) == "1 read = 1 delivered"
    assert game.items["logins"] == [{"user_id": "1"}]


def test_a_key_of_unknown_outcome_is_not_sent_until_somebody_decides(crm: Twenty, pushes: Push) -> None:
    people = pushes("{connector: twenty, operation: people.create, key: id}", server=crm.url, api_key=crm.key)
    crm.drop(1, "POST /rest/people", after_applying=True)
    assert str(people.run([person(1)]).accounts) == "1 read = 0 delivered + 1 unknown"
    report = people.run([person(1)])
    assert (str(report.accounts), report.calls) == ("1 read = 0 delivered + 1 unknown", 0)
    again(people, unknown="drop")
    changed = pushes(people.to.replace("key: id", "key: id, changed_only: true"), **people.settings)
    assert str(changed.run([person(1)]).accounts) == "1 read = 0 delivered + 1 unchanged"


def test_a_twin_of_a_row_of_unknown_outcome_waits_with_it(crm: Twenty, pushes: Push) -> None:
    to = "{connector: twenty, operation: people.create, key: id, changed_only: true}"
    people = pushes(to, server=crm.url, api_key=crm.key)
    crm.drop(1, "POST /rest/people", after_applying=True)
    for calls in (1, 0, 0):
        report = people.run([person(1), person(1)])
        assert (str(report.accounts), report.calls) == ("2 read = 0 delivered + 2 unknown", calls)
    assert len(list(held_rows(people.root, "r"))) == 1


@pytest.mark.parametrize("applied", [True, False])
def test_a_row_of_unknown_outcome_is_read_back(crm: Twenty, pushes: Push, *, applied: bool) -> None:
    to = "{connector: twenty, operation: people.create, read_back: people.get}"
    people = pushes(to, server=crm.url, api_key=crm.key)
    crm.drop(1, "POST /rest/people", after_applying=applied)
    report = people.run([person(1), person(2)])
    assert str(report.accounts) == "2 read = 2 delivered", report.problems
    assert len(crm.requests("POST /rest/people")) == (2 if applied else 3)
    assert len(crm.records("people")) == 2


def test_a_record_that_differs_is_no_proof(crm: Twenty, pushes: Push) -> None:
    crm.load(people=[person(1, jobTitle="Other")])
    to = "{connector: twenty, operation: people.create, read_back: people.get}"
    people = pushes(to, server=crm.url, api_key=crm.key)
    crm.drop(1, "POST /rest/people")
    report = people.run([person(1, jobTitle="Editor")])
    assert str(report.accounts) == "1 read = 0 delivered + 1 unknown"
    assert "differs from what was sent" in report.problems[0].reason


def test_what_a_sandbox_took_is_not_taken_for_delivered_elsewhere(
    school: TwelveTwenty, pushes: Push, parts: Parts
) -> None:
    to = f"{{{SCHOOL}, operation: students.update, changed_only: true}}"
    rows = [{"Id": id_, "FirstName": "Bart"} for id_ in list(school.tables["students"])[:3]]
    with TwelveTwenty(clock=parts.clock) as sandbox:
        assert pushes(to, server=sandbox.url, api_key=sandbox.api_key).run(rows).exit_code == 0
    students = pushes(to, server=school.url, api_key=school.api_key)
    assert students.run([], keep_state=True).exit_code == 0, "to look binds nobody"
    with pytest.raises(ArgumentError, match="--full-refresh sends everything there"):
        students.run(rows)
    assert str(students.run(rows, full_refresh=True).accounts) == "3 read = 3 delivered"
    assert students.run(rows).calls == 0


def test_a_row_that_was_under_way_when_the_process_died_is_read_back(
    crm: Twenty, pushes: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = "{connector: twenty, operation: people.create, read_back: people.get}"
    people = pushes(to, server=crm.url, api_key=crm.key)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "told", die)
        with pytest.raises(KeyboardInterrupt):
            people.run([person(1), person(2)])
    report = people.run([person(1), person(2)])
    assert str(report.accounts) == "2 read = 2 delivered"
    assert len(crm.requests("POST /rest/people")) == 2


# Checks -----------------------------------------------------------------------------------------------------------

COLUMNS: Mapping[str, Any] = {"ExternalId": Plain("text"), "Titel": Plain("text")}


@pytest.mark.parametrize(
    ("to", "said"),
    [
        (f"{{{SCHOOL}, operation: students.list}}", "/to/operation: 'students.list' reads"),
        (f"{{{SCHOOL}, operation: students.delete}}", "'students.delete' destroys; say `destroys: true`"),
        (f"{{{SCHOOL}, operation: calendar_events.upsert}}", "takes no field 'Titel'; did you mean 'Title'?"),
        (f"{{{SCHOOL}, operation: calendar_events.upsert}}", "needs the field 'UserId', which the rows do not have"),
        (f"{{{SCHOOL}, operation: calendar_events.upsert, key: Titl}}", "/to/key: the rows have no field 'Titl'"),
        (
            f"{{{SCHOOL}, operation: calendar_events.upsert, with: {{x: 1}}}}",
            "/to/with/x: calendar_events.upsert: no arg",
        ),
        (f"{{{SCHOOL}, operation: calendar_events.upsert, rejects: a.txt}}", "expected a file that ends in .jsonl or"),
        (f"{{{SCHOOL}, operation: calendar_events.upsert, most_removed: lots}}", "expected a share such as 10%"),
        (f"{{{SCHOOL}, operation: calendar_events.upsert, remove: students.delete}}", "`remove` is for `mode: mirror`"),
        (f"{{{SCHOOL}, operation: calendar_events.upsert, mode: mirror}}", "a mirror needs `remove`"),
        (f"{{{SCHOOL}, operation: calendar_events.upsert, read_back: students.get}}", "cannot look a row up by Ext"),
        ("{connector: 12traits, operation: logins.push, changed_only: true}", "/to/changed_only: needs a `key`"),
        (f"{{{SCHOOL}, operation: students.replace, key: Id}}", "the rows have no field 'Id'"),
    ],
)
def test_a_push_that_cannot_work_sends_nothing_and_says_where(
    school: TwelveTwenty, pushes: Push, to: str, said: str
) -> None:
    settings = {"server": school.url, "api_key": "k"}
    with pytest.raises(SpecError) as caught:
        pushes(to, **settings).run([], shape=Record(COLUMNS))
    assert said in str(caught.value)
    assert "r.yaml:3:" in str(caught.value)
    assert school.exchanges == []


def test_what_destroys_runs_when_the_recipe_says_so(school: TwelveTwenty, pushes: Push) -> None:
    to = f"{{{SCHOOL}, operation: students.delete, destroys: true}}"
    students = pushes(to, server=school.url, api_key=school.api_key)
    one = next(iter(school.tables["students"]))
    assert str(students.run([{"Id": one}, {"Id": 5}]).accounts) == "2 read = 2 delivered", "what is gone is gone"
    students.to = to.replace(", destroys: true", "")
    assert students.run([{"Id": 5}], confirmed=True).exit_code == 0


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (
            "from: {connector: twenty, operation: people.list}\nto: {connector: twenty, operation: people.upsert_many}",
            "3:36 /to/operation: the rows' field 'updatedAt' is set by the vendor; leave it out by a `change`",
        ),
        (
            "from: {files: [data/*.jsonl]}\nto: {connector: twenty, operation: people.create, rejects: data/r.jsonl}",
            "3:60 /to/rejects: 'data/r.jsonl' is one of the files that the recipe reads",
        ),
        (
            "from: {connector: twenty, operation: people.list, since: updatedAt}\n"
            "to: {connector: twenty, operation: people.upsert_many, mode: mirror, remove: people.delete}",
            "2:58 /from/since: a mirror needs every row",
        ),
        (
            "from: {stdin: jsonl}\nto: {connector: twenty, operation: people.update, with: {dept: 1}}",
            "did you mean 'depth'?",
        ),
    ],
)
def test_a_recipe_is_checked_without_a_vendor(tmp_path: Path, recipe: str, said: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(f"name: r\n{recipe}\n")
    told = "\n".join(map(str, check_files([file])))
    assert said in told, told
