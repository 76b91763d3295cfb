"""The commands against the emulators of the four vendors, as a user would point them elsewhere: by the environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands.conftest import Cli
from emulators.server import Emulator
from emulators.twelvebuild import TwelveBuild
from emulators.twelvetraits import TwelveTraits
from emulators.twelvetwenty import TwelveTwenty
from emulators.twenty import Twenty


def point(monkeypatch: pytest.MonkeyPatch, vendor: str, emulator: Emulator, **settings: str) -> None:
    for name, value in {"server": emulator.url, **settings}.items():
        monkeypatch.setenv(f"CONNECTORY_{vendor.upper()}_{name.upper()}", value)


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_people_of_a_workspace_as_a_table(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with Twenty(only=["people", "companies"]) as workspace:
        workspace.load(people=[{"name": {"firstName": f"Ada {n}", "lastName": "Byron"}} for n in range(130)])
        point(monkeypatch, "twenty", workspace, api_key=workspace.key)
        result = cli("call", "twenty", "people.list", "--limit", "60", "--output", "table")
        assert result.exit_code == 0, result.stderr
        assert len(result.stdout.splitlines()) == 62
        assert len(workspace.requests("/rest/people")) == 1
        everything = cli("call", "twenty", "people.list")
        names = {json.loads(line)["name"]["firstName"] for line in everything.stdout.splitlines()}
        assert names == {f"Ada {n}" for n in range(130)}


def test_objects_of_a_workspace_are_operations_once_discovered(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Twenty(custom_objects={"gadget": "gadgets"}) as workspace:
        point(monkeypatch, "twenty", workspace, api_key=workspace.key)
        assert cli("show", "twenty", "gadgets.list").exit_code == 2
        found = cli("discover", "twenty")
        assert found.exit_code == 0, found.stderr
        assert "gadgets" in found.stdout
        assert ".connectory" in found.stdout
        assert "nothing has changed" in cli("discover", "twenty").stdout
        assert "/rest/gadgets" in cli("show", "twenty", "gadgets.list").stdout
        assert cli("call", "twenty", "gadgets.create", "--data", '{"name": "Lens"}').exit_code == 0
        assert [row["name"] for row in rows(cli("call", "twenty", "gadgets.list").stdout)] == ["Lens"]


def test_a_filter_that_changes_everything_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with Twenty(only=["people", "companies"]) as workspace:
        point(monkeypatch, "twenty", workspace, api_key=workspace.key)
        for words in ([], ["filter="]):
            result = cli("call", "twenty", "people.delete_where", *words, "--yes")
            assert result.exit_code == 2, result.output
        assert workspace.requests() == []


def test_students_are_read_and_one_bad_event_of_a_batch_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with TwelveTwenty(students=70) as school:
        point(monkeypatch, "12twenty", school, api_key=school.api_key, school="hilltop")
        listed = cli("call", "12twenty", "students.list", "--limit", "60")
        assert listed.exit_code == 0, listed.stderr
        students = rows(listed.stdout)
        assert len(students) == 60
        hours = {"StartTime": "2026-05-20T18:25:43Z", "EndTime": "2026-05-20T19:25:43Z"}
        event = {"UserId": students[0]["Id"], "TypeId": 1, "Title": "Algebra", **hours}
        events = [{**event, "ExternalId": f"e-{n}"} for n in range(20)]
        school.refuse["e-7"] = "Event is owned by another student."
        result = cli("call", "12twenty", "calendar_events.upsert", "--data", "-", input=json.dumps(events))
        assert result.exit_code == 3, result.stderr
        assert "20 read = 19 delivered + 1 rejected (2 calls)" in result.stderr
        assert next(row for row in rows(result.stdout) if row["outcome"] == "rejected")["row"] == 8
        assert school.api_key not in result.output + listed.output


def test_a_project_is_added(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with TwelveBuild() as builder:
        point(monkeypatch, "12build", builder, api_key=builder.api_key, login=builder.login)
        phases = cli("call", "12build", "phases.list")
        assert (phases.exit_code, bool(phases.stdout)) == (0, True), phases.stderr
        added = cli("call", "12build", "projects.add", "name=Nieuwbouw school", "deadline_date=2026-12-24T12:00:00Z")
        assert added.exit_code == 0, added.stderr
        assert "Nieuwbouw school" in {project["name"] for project in builder.stored.values()}


def test_logins_go_by_the_thousand(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "logins.csv").write_text("user_id,level\n" + "".join(f"u{n},{n}\n" for n in range(1001)))
    with TwelveTraits() as dashboard:
        point(monkeypatch, "12traits", dashboard, api_key=dashboard.api_key)
        result = cli("call", "12traits", "logins.push", "--data", "@logins.csv", "--to", "results.csv")
        assert result.exit_code == 0, result.stderr
        assert "1,001 read = 1,001 delivered (2 calls)" in result.stderr
        assert len((tmp_path / "results.csv").read_text().splitlines()) == 1002
        assert dashboard.items["logins"][1000] == {"user_id": "u1000", "level": 1000}
