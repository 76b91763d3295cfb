"""A run of mutants: what is refused, what a test notices, what nothing notices, and the page that keeps it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from connectory.connecting import load_registry
from connectory.errors import SpecError
from connectory.plugins.registry import SpecFile
from connectory.spec.load import Discovered, load_tree
from connectory.spec.trees import Table, read_tree
from connectory.testing.audits.mutants import mutants_of
from connectory.testing.audits.mutation import Subject, TooLong, Verdict, judge, limited
from connectory.testing.audits.touched import touched
from connectory.testing.audits.verdicts import Found, read_reasons, report

SPEC = """\
name: acme
settings: {key: secret!}
servers: {live: "https://acme.example"}
auth: {bearer: "{{ key }}"}
pagers:
  numbered: {use: page_number, page: page, size: size, largest: 2, total_records: total, records: rows}
operations:
  goods.list:
    get: /goods
    query: {kind: str}
    pages: numbered
    returns: Good
    examples: [{answer: {total: 1, rows: [{Id: 1, Made: "2026-05-20T18:25:43Z"}]}}]
  goods.get: {get: "/goods/{id}", path: {id: int}, returns: Good, examples: [{with: {id: 1}, answer: {Id: 1}}]}
  shops.list: {get: /shops, records: ., examples: [{answer: [{name: x}]}]}
types:
  Good: {Id: int64 key, Name: str, Made: datetime, "*": any}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "acme.yaml").write_text(SPEC)
    return tmp_path


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "connectory.commands.main", "--project", str(project), "mutate", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=project, check=False, timeout=100)


def test_examples_notice_a_wrong_record_path_and_not_a_wrong_address(project: Path) -> None:
    found = run(project, "acme", "--only", "operations/goods.list", "--json", "--at-least", "0")
    assert found.returncode == 0, found.stderr
    told = msgspec.json.decode(found.stdout)[0]
    survived = [survivor["mutant"] for survivor in told["survivors"]]
    assert "operations/goods.list/get: '/goodsx' for '/goods'" in survived  # an example says nothing of the request
    assert "operations/goods.list/returns: 'str' for 'Good'" not in survived  # but of the answer
    assert told["killed"] > 0
    assert found.stderr.startswith(f"acme: {told['killed_percent']:.1f} % of")


def test_too_few_killed_is_a_failure_and_each_survivor_has_its_line(project: Path) -> None:
    found = run(project, "acme", "--only", "operations/shops.list/get")
    assert found.returncode == 1
    assert found.stdout.splitlines()[0] == "specs/acme.yaml:15 operations/shops.list/get: '/shopsx' for '/shops'"


def test_a_reason_is_shown_with_its_survivor_and_kept_on_the_page(project: Path) -> None:
    docs = project / "docs"
    docs.mkdir()
    (docs / "mutation.yaml").write_text('acme:\n  "operations/shops.list/get: *": no recording yet\n')
    for _ in range(2):  # made again, the page is the same
        run(project, "acme", "--only", "operations/shops.list/get", "--write")
    page = (docs / "mutation.md").read_text()
    assert "Survived: no recording yet\n\n- line 15, `operations/shops.list/get: '/shopsx' for '/shops'`" in page
    assert "no reason is known yet" not in page
    assert "| acme | 4 | 2 | 0 | 0 | 2 | 0.0 % |" in page


def test_only_what_the_page_tells_is_tried_again(project: Path) -> None:
    refused = run(project, "acme", "--again")
    assert (refused.returncode, "no docs/mutation.md to go by" in refused.stderr) == (1, True)
    run(project, "acme", "--only", "operations/shops.list/", "--write")
    page = (project / "docs" / "mutation.md").read_text()
    found = run(project, "acme", "--again")
    assert [f"- line {line[16:].replace(' ', ', `', 1)}`" for line in found.stdout.splitlines()] == [
        line for line in page.splitlines() if line.startswith("- line")
    ]
    assert found.stderr.startswith("acme: 0.0 % of ")


def test_tests_that_fail_anyway_prove_nothing(project: Path) -> None:
    file = project / "specs" / "acme.yaml"
    file.write_text(SPEC.replace('Made: "2026-05-20T18:25:43Z"', "Made: tomorrow"))
    found = run(project, "acme")
    assert found.returncode == 1
    assert "error: acme: goods.list fail without any mistake planted" in found.stderr


def test_a_wrong_name_and_a_folder_without_specs_are_wrong_input(tmp_path: Path, project: Path) -> None:
    found = run(project, "acne")
    assert (found.returncode, "did you mean 'acme'?" in found.stderr) == (2, True)
    (tmp_path / "empty").mkdir()
    found = run(tmp_path / "empty")
    assert (found.returncode, "name a VENDOR" in found.stderr) == (2, True)


def test_reasons_that_are_no_texts_are_refused_at_their_line(tmp_path: Path) -> None:
    file = tmp_path / "mutation.yaml"
    file.write_text("acme:\n  a: b\nother: [1]\n")
    with pytest.raises(SpecError, match=r"mutation.yaml:3:8 /other: expected mutants, each with a reason"):
        read_reasons(file)


def test_more_processes_come_to_the_same_verdicts(project: Path) -> None:
    subject = Subject("acme", project, project / "cassettes")
    numbers = range(0, 40, 2)
    assert list(judge(subject, numbers, 2)) == list(judge(subject, numbers, 1))


def test_a_mutant_that_does_not_end_is_stopped() -> None:
    def walk_for_ever() -> None:
        with limited(0.02):
            while True:
                pass

    with pytest.raises(TooLong):
        walk_for_ever()


@pytest.mark.parametrize(
    ("mutant", "names"),
    [
        ("auth/bearer: '{{ key }}x'", ["goods.list", "goods.get", "shops.list"]),
        ("pagers/numbered/largest: '3'", ["goods.list"]),
        ("types/Good/Made: 'str'", ["goods.list", "goods.get"]),
        ("operations/shops.list/get: '/shopsx'", ["shops.list"]),
    ],
)
def test_the_operations_that_a_change_touches(tmp_path: Path, mutant: str, names: list[str]) -> None:
    file = tmp_path / "acme.yaml"
    file.write_text(SPEC)
    registry, source = load_registry(None), SpecFile("acme", file, "a test")
    tree = read_tree(file.read_bytes(), str(file))

    def load(tree: Table) -> object:
        return load_tree(registry, tree, source, Discovered()).spec

    changed = next(one for one in mutants_of(registry, tree) if one.key.startswith(mutant))
    assert touched(load(tree), load(changed.tree)) == names  # type: ignore[arg-type]


def test_a_page_names_what_has_no_reason_first() -> None:
    verdicts = [
        Verdict("a/b: 'x'", 3, "survived"),
        Verdict("c: 'y'", 9, "survived"),
        Verdict("d", 1, "killed", "t", "example"),
    ]
    page = report([Found("acme", "specs/acme.yaml", verdicts, {"a/*": "it means the same"})], "docs/mutation.yaml")
    assert page.index("no reason is known yet") < page.index("line 9") < page.index("it means the same")
    assert "Killed: 1 by an example." in page
