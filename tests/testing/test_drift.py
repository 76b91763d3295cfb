"""What a vendor answers today against its recordings: by shape, never by value, and against what server."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from connectory.clock import ManualClock
from connectory.commands.main import main
from connectory.connecting import load_registry
from connectory.spec.load import load_spec
from connectory.testing.audits.drift import Seen, drift_of
from connectory.testing.audits.outline import changes, outline_of
from connectory.testing.recorded.keeping import keep
from connectory.testing.recorded.recording import Target
from conversations.talk import START, Talk, recorded
from conversations.twelvetwenty import VENDOR
from emulators.exchange import Answer, Ask
from emulators.twelvetwenty import TwelveTwenty

KNOBS = {"students": 4, "other_students": 1, "marks_in_lists": "all"}
TALKS = (
    Talk(operation="students.list", given={"year": 2018}, label="2018", knobs=KNOBS),
    Talk(operation="students.get", given={"id": 270067010400013}, label="one", knobs=KNOBS),
    Talk(operation="students.get", given={"id": 1}, label="missing", errors=True, knobs=KNOBS),
    Talk(operation="students.create", given={"body": {"FirstName": "Bart"}}, label="one", knobs=KNOBS),
    Talk(operation="companies.list", given={"modify_from_date": "2024-01-08T06:20:00Z"}, label="since", knobs=KNOBS),
)


@pytest.fixture(scope="module")
def cassettes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cassettes")
    registry = load_registry(None)
    loaded = load_spec(registry, "12twenty")
    for talk in TALKS:
        keep(recorded(registry, loaded, VENDOR, talk), folder)
    return folder


def asked_again(cassettes: Path, before: Callable[[TwelveTwenty], object] = lambda vendor: None, **knobs: Any) -> Seen:
    registry = load_registry(None)
    clock = ManualClock(START)
    with TwelveTwenty(clock=clock, **{**VENDOR.knobs, **KNOBS, **knobs}) as vendor:
        before(vendor)
        target = Target(root=None, settings=VENDOR.settings, server=vendor.url, environ={}, clock=clock)
        return drift_of(registry, load_spec(registry, "12twenty"), cassettes, target)


def told(seen: Seen) -> list[str]:
    return [str(drift) for drift in seen.drifts]


def test_the_same_vendor_with_other_records_has_not_drifted(cassettes: Path) -> None:
    seen = asked_again(cassettes, other_students=3, companies=5)
    assert told(seen) == []
    assert list(seen.compared) == ["companies.list[since]", "students.list[2018]", "students.get[one]"]
    assert (seen.server, seen.host) == ("emulator", "loopback")  # the report says against what it was seen


def test_only_reading_calls_are_made_again(cassettes: Path) -> None:
    made: list[str] = []

    def watch(vendor: TwelveTwenty) -> None:
        answer = vendor.answer

        def noted(ask: Ask) -> Answer:
            made.append(ask.method)
            return answer(ask)

        vendor.answer = noted  # type: ignore[method-assign]

    asked_again(cassettes, watch)
    assert set(made) == {"GET"}


def test_what_drifted_is_named_with_its_place(cassettes: Path) -> None:
    def change(vendor: TwelveTwenty) -> None:
        for id, student in vendor.tables["students"].items():
            student.pop("StudentId")
            vendor.tables["students"][id] = {**student, "FirstName": 7, "LastName": None, "Nickname": "x"}

    seen = asked_again(cassettes, change, number_of_pages=False)
    assert "students.list[2018]: NumberOfPages: is gone, was a number" in told(seen)
    assert "students.list[2018]: Items.*.StudentId: is gone, was a text" in told(seen)
    assert "students.list[2018]: Items.*.FirstName: was a text, is a number" in told(seen)
    assert "students.list[2018]: Items.*.LastName: was always a text, is null now and then" in told(seen)
    assert "students.get[one]: Nickname: is new: a text" in told(seen)


def test_a_call_that_fails_now_is_a_difference(cassettes: Path) -> None:
    seen = asked_again(cassettes, lambda vendor: vendor.fail(times=9, status=403, match="companies"))
    assert "companies.list[since]: status: was 200, is 403" in told(seen)
    assert any(said.startswith("companies.list[since]: the call: ended well, ends in Denied") for said in told(seen))


def test_where_a_record_is_gone_one_that_was_just_listed_is_asked_for(cassettes: Path) -> None:
    seen = asked_again(cassettes, lambda vendor: vendor.tables["students"].pop(270067010400013))
    assert told(seen) == []
    assert "students.get[one]" in seen.compared


def test_assumed_facts_are_tried_where_a_reading_call_can(cassettes: Path) -> None:
    facts = {place: tried for _, place, _, tried in asked_again(cassettes).assumed}
    assert facts["operations/companies.list/query/ModifyFromDate"]
    assert not facts["operations/students.list/query/StudentId"]
    assert not facts["servers/sandbox"]


@pytest.fixture
def project(tmp_path: Path, cassettes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "cassettes").symlink_to(cassettes)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "CONNECTORY_12TWENTY_API_KEY", "key/of+hilltop==")
    return tmp_path


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["check", "--live", "12twenty", *words])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_ends_with_0_when_all_is_the_same_and_says_where_it_looked(project: Path) -> None:
    with TwelveTwenty(**{**VENDOR.knobs, **KNOBS}) as vendor:
        code, out, err = run("--server", vendor.url, "--set", "school=hilltop")
    assert (code, out) == (0, ""), err
    assert "3 calls compared, 0 differences, 0 not compared; 1 of 15 assumed facts tried" in err
    assert "(seen against emulator, on this machine)" in err


def test_the_command_ends_with_1_when_something_drifted(project: Path) -> None:
    with TwelveTwenty(**{**VENDOR.knobs, **KNOBS}, number_of_pages=False) as vendor:
        code, out, _ = run("--server", vendor.url, "--set", "school=hilltop")
    assert code == 1
    assert "12twenty students.list[2018]: NumberOfPages: is gone, was a number\n" in out


def test_settings_that_are_missing_are_wrong_input(project: Path) -> None:
    code, _, err = run()
    assert code == 2
    assert "school" in err


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_an_answer_does_not_differ_from_itself(value: Any) -> None:
    assert list(changes(outline_of(value), outline_of(value), (), ())) == []
