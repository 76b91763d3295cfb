"""`connectory fmt` and `connectory show --canonical`."""

from __future__ import annotations

from pathlib import Path

from commands.conftest import Cli

LONG = """\
# a vendor
servers: {production: https://acme.example}
name: acme   # the vendor's own name
operations:
  things.list:
    # the list
    records: {path: rows}
    get: /things
"""
SHORT = """\
# a vendor
name: acme   # the vendor's own name
servers: {production: https://acme.example}
operations:
  things.list:
    get: /things
    # the list
    records: rows
"""


def write(folder: Path, text: str, name: str = "acme") -> Path:
    (folder / "specs").mkdir(exist_ok=True)
    file = folder / "specs" / f"{name}.yaml"
    file.write_text(text)
    return file


def test_specs_are_written_in_the_shortest_form_once(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path, LONG)
    file.chmod(0o640)
    first = cli("fmt")
    assert (first.exit_code, first.stdout, file.read_text()) == (0, f"{file}\n", SHORT)
    assert "1 spec: 1 changed" in first.stderr
    assert file.stat().st_mode & 0o777 == 0o640
    assert [held.name for held in file.parent.iterdir()] == ["acme.yaml"]
    second = cli("fmt", "specs/acme.yaml")
    assert (second.exit_code, second.stdout, file.read_text()) == (0, "", SHORT)


def test_check_names_what_is_not_formatted_and_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path, LONG)
    checked = cli("fmt", "--check")
    assert (checked.exit_code, checked.stdout, file.read_text()) == (1, f"{file}\n", LONG)
    assert "1 spec: 1 not formatted" in checked.stderr
    write(tmp_path, SHORT)
    assert cli("fmt", "--check").exit_code == 0


def test_a_spec_with_faults_is_told_and_left_alone(cli: Cli, tmp_path: Path) -> None:
    wrong = LONG.replace("records: {path", "recrds: {path")
    file = write(tmp_path, wrong)
    done = cli("fmt")
    assert done.exit_code == 2
    assert "specs/acme.yaml:7:5 /operations/things.list/recrds: unknown key 'recrds'; did you mean 'records'?" in (
        done.stdout
    )
    assert file.read_text() == wrong


def test_the_canonical_spec_is_itself_a_spec(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path, LONG)
    shown = cli("show", "acme", "--canonical")
    assert shown.stdout == (
        "name: acme\nconnectory: 1\nservers:\n  production: https://acme.example\noperations:\n  things.list:\n"
        "    get: /things\n    records:\n      path:\n        - rows\n"
    )
    write(tmp_path, shown.stdout)
    assert cli("show", "acme", "--canonical").stdout == shown.stdout
    assert cli("fmt").exit_code == 0
    assert cli("show", "acme", "things.list", "--canonical").stdout.startswith("operations:\n  things.list:\n")
