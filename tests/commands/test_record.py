"""`connectory record`: one call, or a spec's examples, kept as cassettes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from commands.conftest import Cli
from commands.shop import KEY, Shop
from connectory.testing.recorded.cassettes import read_cassette


def files(project: Path) -> list[str]:
    return sorted(file.name for file in (project / "cassettes" / "shop").glob("*"))


def test_one_call_is_recorded_and_one_that_says_the_same_stays(project: Path, shop: Shop, cli: Cli) -> None:
    done = cli("record", "shop", "customers.list", "vip=true", "--limit", "2")
    assert done.exit_code == 0, done.output
    assert "recorded   cassettes/shop/customers.list[true first 2].yaml (1 request, emulator)" in done.stderr
    cassette = read_cassette(project / "cassettes" / "shop" / "customers.list[true first 2].yaml")
    assert cassette.arguments == {"vip": True}
    assert cassette.exchanges[0].url.startswith("https://main.shop.example/v1/customers?")
    again = cli("record", "shop", "customers.list", "vip=true", "--limit", "2")
    assert "unchanged  cassettes/shop/customers.list[true first 2].yaml" in again.stderr
    assert KEY not in "".join(file.read_text() for file in (project / "cassettes").rglob("*.yaml"))


def test_without_an_operation_the_examples_that_read_are_recorded(project: Path, shop: Shop, cli: Cli) -> None:
    shop.pictures["p.png"] = b"\x89PNG"
    done = cli("record", "shop")
    names = files(project)
    assert names
    assert not [name for name in names if name.startswith(("customers.create", "customers.delete", "orders.upsert"))]
    assert f"{len(names)} of " in done.stderr
    requests = {ask.method for ask in shop.exchanges}
    assert requests == {"GET"}


def test_missing_credentials_are_named_before_anything_is_sent(
    project: Path, shop: Shop, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONNECTORY_SHOP_API_KEY")
    done = cli("record", "shop")
    assert done.exit_code == 2
    assert "the secret 'api_key' is missing" in done.stderr
    assert shop.exchanges == []


def test_a_call_that_fails_is_not_kept_unless_that_is_meant(project: Path, shop: Shop, cli: Cli) -> None:
    done = cli("record", "shop", "customers.get", "id=99")
    assert done.exit_code == 1
    assert "ended in Missing (no such customer); nothing is kept (--errors keeps it)" in done.stderr
    assert files(project) == []
    assert cli("record", "shop", "customers.get", "id=99", "--errors", "--label", "missing").exit_code == 0
    assert files(project) == ["customers.get[missing].yaml"]


def test_a_label_cannot_leave_the_vendors_folder(project: Path, shop: Shop, cli: Cli) -> None:
    done = cli("record", "shop", "customers.get", "id=1", "--label", "../../../evil/x")
    assert done.exit_code == 2
    assert "label '../../../evil/x' cannot be in a file's name" in done.stderr
    assert shop.exchanges == []


def test_recording_again_takes_the_label_and_the_limit_that_are_given(project: Path, shop: Shop, cli: Cli) -> None:
    assert cli("record", "shop", "customers.list", "vip=true", "--limit", "2").exit_code == 0
    assert cli("record", "shop", "customers.list", "--limit", "1").exit_code == 0
    assert "customers.list[true first 1].yaml" in files(project)
    done = cli("record", "shop", "customers.list", "--label", "again")
    assert done.exit_code == 2
    assert "--label names one recording, and customers.list has 3 examples and recordings" in done.stderr
    assert cli("record", "shop", "--limit", "1").exit_code == 2


def test_a_call_that_destroys_needs_a_yes(project: Path, shop: Shop, cli: Cli) -> None:
    done = cli("record", "shop", "customers.delete", "id=1")
    assert done.exit_code == 2
    assert "customers.delete[1] destroys: add --yes if that is meant" in done.stderr
    assert shop.exchanges == []
    assert cli("record", "shop", "customers.delete", "id=1", "--yes").exit_code == 0


def test_changes_that_git_does_not_have_are_not_recorded_over(project: Path, shop: Shop, cli: Cli) -> None:
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    assert cli("record", "shop", "customers.get", "id=1").exit_code == 0
    done = cli("record", "shop", "customers.get", "id=1")
    assert done.exit_code == 2
    assert "customers.get[1].yaml has changes that git does not have: commit them, or add --yes" in done.stderr
    assert cli("record", "shop", "customers.get", "id=1", "--yes").exit_code == 0


def test_a_batch_takes_its_items_from_a_file_and_accepting_sends_nothing(project: Path, shop: Shop, cli: Cli) -> None:
    (project / "orders.jsonl").write_text('{"number": "a", "amount": 1.5}\n{"number": "b", "amount": 2}\n')
    done = cli("record", "shop", "orders.upsert", "--data", "@orders.jsonl", "--recorded", "shop 1.2")
    assert done.exit_code == 0, done.output
    (name,) = files(project)
    cassette = read_cassette(project / "cassettes" / "shop" / name)
    assert cassette.recorded.server == "shop 1.2"
    assert cassette.gives is not None
    assert cassette.gives["accounts"] == {"read": 2, "delivered": 2}
    before = len(shop.exchanges)
    done = cli("record", "shop", "--accept")
    assert f"unchanged  cassettes/shop/{name}" in done.stderr
    assert len(shop.exchanges) == before


def test_what_a_sync_asks_for_by_a_mark_is_recorded(project: Path, shop: Shop, cli: Cli) -> None:
    spec = project / "specs" / "shop.yaml"
    spec.write_text(
        spec.read_text().replace(
            "    pages: numbered\n", "    pages: numbered\n    marks: {joined: {from: since}}\n", 1
        )
    )
    misspelt = cli("record", "shop", "customers.list", "--since", "jioned=2026-01-03")
    assert (misspelt.exit_code, "did you mean 'joined'?" in misspelt.stderr) == (2, True)
    assert cli("record", "shop", "customers.list", "--since", "2026-01-03").exit_code == 2
    assert shop.exchanges == []
    done = cli("record", "shop", "customers.list", "--since", "joined=2026-01-03", "--label", "new")
    assert done.exit_code == 0, done.output
    cassette = read_cassette(project / "cassettes" / "shop" / "customers.list[new].yaml")
    assert cassette.arguments == {"changed_since": {"joined": "2026-01-03"}}
    assert "since=2026-01-03" in cassette.exchanges[0].url
