"""`connectory list`: the vendors with their strategy, and the plug-ins with where they come from."""

from __future__ import annotations

from pathlib import Path

from commands.conftest import Cli


def test_each_vendor_has_its_sentence_and_its_strategy_in_plain_words(cli: Cli, project: Path) -> None:
    lines = cli("list").stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("shop "))
    assert lines[at].endswith("Customers and orders of a shop")
    assert lines[at + 1].strip() == "X-Till; page number, 3 records a page; batches of 2, item by item"


def test_the_packaged_vendors_are_told_by_rules_alone(cli: Cli) -> None:
    text = " ".join(cli("list").stdout.split())
    assert "query-key token (24 h), bearer; page number, 500 records a page; batches of 1,000, all or nothing" in text
    assert "form token (at most 1 h), X-Auth-Token" in text
    assert "bearer key; page number, 500 records a page; batches of 1,000, all or nothing" in text


def test_strategies_of_other_kinds(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "connectors").mkdir()
    (tmp_path / "specs" / "odd.yaml").write_text(
        """\
name: odd
settings: {user: str!, key: secret!}
servers: {production: https://odd.example}
auth:
  - token: {post: /login, headers: {X-Key: "{{ key }}"}, value: token}
    cookies: {session: "{{ token }}"}
  - basic: {user: "{{ user }}", password: "{{ key }}"}
  - query: {apikey: "{{ key }}"}
operations:
  things.list: {get: /things, records: .}
"""
    )
    text = " ".join(cli("list").stdout.split())
    assert "header-key token, cookie session or basic or key in query apikey; no paging; single calls" in text


def test_a_vendor_whose_spec_is_wrong_keeps_its_place(cli: Cli, project: Path) -> None:
    (project / "specs" / "bad.yaml").write_text("name: bad\nservres: {}\n")
    result = cli("list")
    assert result.exit_code == 0
    assert "bad" in result.stdout
    assert "cannot be used: " in result.stdout
    assert "Customers and orders of a shop" in result.stdout


def test_plugins_are_told_with_their_origin_and_broken_ones_with_the_reason(cli: Cli, project: Path) -> None:
    (project / "connectors").mkdir()
    (project / "connectors" / "good.py").write_text(
        "from connectory import hookimpl\n\n\n@hookimpl\ndef connectory_filters():\n    return {'shout': str.upper}\n"
    )
    (project / "connectors" / "bad.py").write_text("import no_such_module_here\n")
    result = cli("list", "--plugins")
    good = next(line for line in result.stdout.splitlines() if line.startswith("good"))
    assert "filters" in good
    assert "No module named 'no_such_module_here'" in " ".join(result.stdout.split())
    assert any(line.startswith("builtin") for line in result.stdout.splitlines())
    assert "bad could not be loaded" in cli("list").stderr
