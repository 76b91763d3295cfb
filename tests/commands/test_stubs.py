"""`connectory stubs`: a type checker then knows the operations and arguments of connect("vendor")."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import connectory
from commands.conftest import Cli

PROGRAM = """\
from typing import assert_type

from connectory import Connector, Delivery, Records, connect
from connectory.errors import ConnectoryError

with connect("shop", api_key="x", branch="north", server="sandbox") as shop:
    assert_type(shop.customers.list(status="active", kind=2, complete=True), Records)
    assert_type(shop.orders.upsert([{"number": "A1", "amount": 1}]), Delivery)
    shop.customers.get(5)
    shop.customers.replace({"name": "Initech"}, id=5)
    shop.customers.create({"name": "Globex", "more": 1})
    shop.customers.list(stauts="active")  # wrong: line 12
    shop.customers.list(status="actve")  # wrong: line 13
    shop.customers.get()  # wrong: line 14
    shop.customers.get(id="5")  # wrong: line 15
assert_type(connect("another", anything=1), Connector)
"""


def test_mypy_knows_what_a_vendor_takes(cli: Cli, project: Path) -> None:
    assert cli("stubs", "shop").exit_code == 0
    (project / "program.py").write_text(PROGRAM)
    home = Path(connectory.__file__).parents[1]  # mypy finds it by itself where it is installed
    places = [project / "typings", *([home] if home.name != "site-packages" else [])]
    path = os.pathsep.join(map(str, places))
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir", os.devnull, "program.py"],
        cwd=project, capture_output=True, text=True, check=False, env={**os.environ, "MYPYPATH": path},
    )  # fmt: skip
    wrong = {int(line.split(":")[1]) for line in ended.stdout.splitlines() if ": error:" in line}
    assert wrong == {12, 13, 14, 15}, ended.stdout + ended.stderr


def test_what_is_written_is_python(cli: Cli, project: Path) -> None:
    result = cli("stubs")
    assert result.exit_code == 0
    files = sorted((project / "typings" / "connectory").glob("*.pyi"))
    assert {"__init__.pyi", "typed_shop.pyi"} <= {path.name for path in files}
    for path in files:
        compile(path.read_text(), str(path), "exec")
    assert "Customers, page by page." in (project / "typings" / "connectory" / "typed_shop.pyi").read_text()


@pytest.mark.parametrize(
    ("words", "message"), [(["shp"], "did you mean 'shop'?"), (["shop", "--to", "specs/shop.yaml"], "")]
)
def test_what_cannot_be_written_is_said(cli: Cli, project: Path, words: list[str], message: str) -> None:
    result = cli("stubs", *words)
    assert result.exit_code == 2
    assert message in result.stderr
