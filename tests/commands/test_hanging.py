"""A plug-in that never comes back: nothing can hurry it, and whoever started the command can still end it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from commands.conftest import Spawn
from commands.shop import SPEC, Shop

HANGS = """
import time
from pathlib import Path
import attrs
from connectory import AuthKind, Template, hookimpl, word

@attrs.frozen
class Key:
    key: Template = word("what signs", names="auth")

def sign(options, request, now):
    Path("hanging").touch()
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass

@hookimpl
def connectory_auth():
    return {"hanging": AuthKind(Key, sign)}
"""


@pytest.mark.parametrize("words", [("call", "shop", "customers.list"), ("sync", "customers")])
def test_a_plugin_that_hangs_and_lets_no_interrupt_through_can_be_ended(
    spawn: Spawn, shop: Shop, project: Path, words: tuple[str, ...]
) -> None:
    for folder in ("connectors", "recipes"):
        (project / folder).mkdir()
    (project / "connectory.toml").touch()
    (project / "connectors" / "hangs.py").write_text(HANGS)
    signed = SPEC.replace('{headers: {X-Till: "{{ api_key }}"}}', '{use: hanging, key: "{{ api_key }}"}')
    (project / "specs" / "shop.yaml").write_text(signed)
    (project / "recipes" / "customers.yaml").write_text(
        "name: customers\nfrom: {connector: shop, operation: customers.list}\nto: {files: customers.jsonl}\n"
    )
    process = spawn(*words)
    until = time.monotonic() + 40
    while not (project / "hanging").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert b"interrupted" in process.communicate()[1]
    assert shop.requests() == []
