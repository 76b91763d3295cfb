"""The pytest plug-in in a project of a user's, outside of this repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from connectory.testing import collecting
from connectory.testing.recorded.keeping import keep
from testing.library import KEY, SPEC, Library, recorded, write_spec

# pytest run within pytest forgets what it has imported: imported here, it is one module for all.
for name in (
    *("testing.faults.cases", "testing.recorded.recording", "testing.recorded.replaying", "testing.recorded.guarding"),
    "recipes.changing.examples",
):
    import_module(f"connectory.{name}")

Run = Callable[..., str]
pytest_plugins = "pytester"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("-k", "books")`: pytest in the project."""

    def pytest_in_project(*words: str, expect: int = 0, apart: bool = False, **environment: str) -> str:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            words = ("--no-header", "-rs", "-p", "no:hypothesispytest", *words)
            result = pytester.runpytest_subprocess(*words) if apart else pytester.runpytest_inprocess(*words)
        text = result.stdout.str()
        assert result.ret == expect, text + result.stderr.str()
        return text

    return pytest_in_project


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    """A project with the library's spec and two recordings."""
    folder = pytester.path
    spec = write_spec(folder)
    with Library() as library:
        for operation, arguments in (("books.list", {"shelf": 1}), ("books.get", {"id": 3})):
            keep(recorded(spec, library, operation, arguments), folder / "cassettes")
    return folder


def test_specs_are_test_files_and_each_recorded_call_and_example_a_test(project: Path, run: Run) -> None:
    listed = run("--collect-only", "-q")
    for name in ("books.list[1]", "books.get[3]", "books.get[1]", "books.create[title]", "authors.list", "cassettes"):
        assert f"specs/library.yaml::{name}\n" in listed
    assert run("-q", "-m", "recorded or example or secrets").count(" passed") == 1


def test_names_and_marks_select(project: Path, run: Run) -> None:
    assert "1 passed" in run("-q", "-k", "books and list and not fault")
    assert "2 passed" in run("-q", "-m", "recorded")
    assert "1 passed" in run("-q", "specs/library.yaml::books.get[3]")


def test_a_failure_shows_the_difference_and_the_line_and_lf_runs_it_again(project: Path, run: Run) -> None:
    write_spec(project, SPEC.replace("page: page\n", "page: pg\n"))
    told = run("-q", "-m", "recorded", expect=1)
    line = SPEC[: SPEC.index("page: page\n")].count("\n") + 1
    assert f"specs/library.yaml:{line}:5 /pagers/numbered/page: request 2" in told
    assert "    made:     1\n    recorded: nothing\n" in told
    assert "/pagers/numbered/page: was page, is pg" in told
    assert "Traceback" not in told
    assert "1 failed, 1 passed" in told
    again = run("-q", "--lf", "-m", "recorded", expect=1)
    assert "1 failed" in again
    assert "passed" not in again


def test_tests_run_in_parallel_processes(project: Path, run: Run) -> None:
    assert re.search(r"\d+ passed", run("-q", "-n", "2", "-m", "recorded or example", apart=True))


def test_an_operation_with_neither_recording_nor_example_says_what_to_do(project: Path, run: Run) -> None:
    told = run("-q", "-m", "example")
    assert "connectory record library authors.list" in told
    assert "connectory mock library" in told


def test_a_spec_with_faults_is_a_collection_error_that_shows_them(project: Path, run: Run) -> None:
    write_spec(project, SPEC.replace("pages: numbered", "pages: numberd"))
    told = run("-q", expect=2)
    assert "/operations/books.list/pages: no pager 'numberd'; did you mean 'numbered'?" in told
    assert "Traceback" not in told


def test_a_broken_recording_fails_at_its_line(project: Path, run: Run) -> None:
    file = project / "cassettes" / "library" / "books.get[3].yaml"
    file.write_text(file.read_text().replace("code: 200", "code: many", 1))
    told = run("-q", "-m", "recorded", expect=1)
    assert re.search(
        r"books\.get\[3\]\.yaml:\d+:\d+ /interactions/0/response/status/code: expected a whole number", told
    )


def test_a_recording_that_holds_a_secret_fails_the_suite(project: Path, run: Run) -> None:
    file = project / "cassettes" / "library" / "books.get[3].yaml"
    file.write_text(file.read_text().replace("Book 3", "canary-of-a-test"))
    assert "what looks like a canary stands here" in run("-q", "-m", "secrets", expect=1)
    file.write_text(file.read_text().replace("canary-of-a-test", "spring-rain-7"))
    assert "1 passed" in run("-q", "-m", "secrets")
    told = run("-q", "-m", "secrets", expect=1, CONNECTORY_LIBRARY_API_KEY="spring-rain-7")
    assert "a known secret stands here" in told
    assert "spring-rain-7" not in told


def test_recipes_are_tested_by_their_examples(project: Path, run: Run) -> None:
    folder = project / "recipes"
    folder.mkdir()
    examples = "[{rows: [{a: 1}], gives: [{a: 1}]}, {about: of two, rows: [{a: 1}], gives: [{a: 2}]}]"
    text = f"name: rows\nfrom: {{files: a.csv}}\nto: {{duckdb: o.duckdb, table: t}}\nexamples: {examples}\n"
    (folder / "rows.yaml").write_text(text)
    told = run("-q", "recipes", expect=1)
    assert "recipes/rows.yaml:4:" in told
    assert "row 1, a: expected 2, found 1" in told
    assert "1 failed, 1 passed" in told


def test_recording_again_needs_one_word(project: Path, run: Run) -> None:
    with Library() as library:
        library.books[2]["title"] = "Another"
        given = {"CONNECTORY_LIBRARY_API_KEY": KEY, "CONNECTORY_LIBRARY_SERVER": f"{library.url}/api"}
        assert "2 passed" in run("-q", "-m", "recorded", "--record", **given)
    text = (project / "cassettes" / "library" / "books.get[3].yaml").read_text()
    assert '"title": "Another"' in text
    assert "https://main.library.example/api/v1/books/3" in text
    assert "2 passed" in run("-q", "-m", "recorded", "--record")  # without credentials it replays what there is


def test_arguments_that_are_stand_ins_are_not_sent_when_recording_again(pytester: pytest.Pytester, run: Run) -> None:
    path = 'get: "/v1/books/{id}"\n    path: {id: '
    spec = write_spec(pytester.path, SPEC.replace(f"{path}int64}}", f"{path}{{type: int64, personal: true}}}}"))
    with Library() as library:
        library.books[0]["id"] = 271828
        keep(recorded(spec, library, "books.get", {"id": 271828}), pytester.path / "cassettes")
        asked = len(library.exchanges)
        given = {"CONNECTORY_LIBRARY_API_KEY": KEY, "CONNECTORY_LIBRARY_SERVER": f"{library.url}/api"}
        assert "1 passed" in run("-q", "-m", "recorded", "--record", **given)
        assert len(library.exchanges) == asked


def test_a_refusal_of_arguments_is_recorded_again(pytester: pytest.Pytester, run: Run) -> None:
    spec = write_spec(pytester.path)
    with Library() as library:
        wrong = recorded(spec, library, "books.get", {"id": "x"}, label="wrong", errors=True)
        assert wrong.gives == {"refused": ["id"]}
        keep(wrong, pytester.path / "cassettes")
        given = {"CONNECTORY_LIBRARY_API_KEY": KEY, "CONNECTORY_LIBRARY_SERVER": f"{library.url}/api"}
        assert "1 passed" in run("-q", "-m", "recorded", "--record", **given)


def test_specs_of_others_are_left_alone(pytester: pytest.Pytester, run: Run) -> None:
    tmp_path = pytester.path
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "openapi.yaml").write_text("openapi: 3.1.0\ninfo: {}\npaths: {}\n")
    (tmp_path / "specs" / "config.yaml").write_text("a: 1\n")
    (tmp_path / "specs" / "queue.yaml").write_text("name: queue\noperations:\n  - publish\nservers: {a: b}\n")
    (tmp_path / "specs" / "api.yaml").write_text("name: api\noperations: {get: {}}\n")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "image.yaml").write_text("from: ubuntu:22.04\nsteps: [a]\n")
    (tmp_path / "recipes" / "mail.yaml").write_text("name: mail\nfrom: a@b.example\nto: c@d.example\n")
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n")
    assert "1 passed" in run("-q")


def test_without_vcrpy_a_spec_is_skipped_and_says_what_to_install(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "find_spec", lambda name: None)
    assert "pip install 'connectory[test]'" in run("-q", expect=pytest.ExitCode.NO_TESTS_COLLECTED)


def test_a_project_without_specs_imports_nothing_of_ours(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(
        "import sys\n"
        "def test_one():\n"
        "    heavy = {'vcr', 'yaml', 'attrs', 'connectory.spec', 'connectory.connecting', 'urllib3'}\n"
        "    assert not [name for name in sys.modules if name in heavy]\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:timeout"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
