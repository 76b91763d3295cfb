"""Plug-ins that raise or give nonsense while they are used: an error names them, and every item has its word."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectory.errors import PluginError
from emulators.exchange import Answer
from engine.conftest import Connecting, Vendor

PLUGIN = """
import attrs
from connectory import AuthKind, PagerKind, PageRequest, Template, hookimpl, word
from connectory.plugins.kinds import BatchKind, Codec, Format, NoOptions, OutcomeKind

@attrs.frozen
class Key:
    key: Template = word("what signs", names="auth")

@hookimpl
def HOOK():
    return {"ill": KIND}
"""
SPEC = """
settings: {api_key: secret!}
servers: {production: https://api.acme.example}
auth: {AUTH}
pagers: {all: {use: PAGER, records: items}}
operations:
  things.list: {get: /things, pages: all, query: {since: DATE}, outcomes: OUTCOMES}
  things.push: {post: /things, body: list of any, batch: {largest: 2, use: CHUNKS}}
"""
WELL = {
    "AUTH": 'bearer: "{{ api_key }}"',
    "PAGER": "offset, offset: o, size: n, largest: 9, total_records: total",
    "DATE": "date",
    "OUTCOMES": "[]",
    "CHUNKS": "chunks",
}


def ill(connecting: Connecting, root: Path, hook: str, kind: str, **put: str) -> object:
    """A connector whose spec uses such a plug-in where `put` says."""
    (root / "connectors").mkdir()
    (root / "connectors" / "ill.py").write_text(PLUGIN.replace("HOOK", hook).replace("KIND", kind))
    spec = SPEC
    for name, well in {**WELL, **put}.items():
        spec = spec.replace(name, well)
    return connecting(spec, api_key="key-of-acme")


@pytest.mark.parametrize("given", ["1 / 0", "None", "5", "'nonsense'", "object()", "[1, 2]"])
@pytest.mark.parametrize(
    ("hook", "kind", "put", "welcome"),
    [
        ("connectory_auth", "AuthKind(Key, lambda *_: GIVEN)", {"AUTH": 'use: ill, key: "{{ api_key }}"'}, ()),
        ("connectory_pagers", "PagerKind(NoOptions, lambda *_: GIVEN, lambda *_: None)", {"PAGER": "ill"}, ()),
        (
            "connectory_pagers",
            "PagerKind(NoOptions, lambda *_: PageRequest(), lambda *_: GIVEN)",
            {"PAGER": "ill"},
            ("None",),
        ),
        ("connectory_outcomes", "OutcomeKind(NoOptions, lambda *_: GIVEN)", {"OUTCOMES": "[{use: ill}]"}, ("None",)),
        (
            "connectory_codecs",
            "Codec(lambda value: GIVEN, lambda moment: GIVEN)",
            {"DATE": "datetime(ill)"},
            ("5", "'nonsense'"),
        ),
    ],
    ids=["auth", "first page", "next page", "outcome", "codec"],
)
def test_a_plugin_that_gives_nonsense_is_named(
    connecting: Connecting,
    vendor: Vendor,
    tmp_path: Path,
    hook: str,
    kind: str,
    put: dict[str, str],
    welcome: tuple[str, ...],
    given: str,
) -> None:
    vendor.reply = lambda ask: Answer.json({"items": [{"id": 1}], "total": 1})
    acme = ill(connecting, tmp_path, hook, kind.replace("GIVEN", given), **put)
    since = "2026-05-20T10:00:00Z" if "DATE" in put else "2026-05-20"
    if given in welcome:
        assert list(acme.things.list(since=since)) == [{"id": 1}]  # type: ignore[attr-defined]
        return
    with pytest.raises(PluginError, match="'ill'"):
        list(acme.things.list(since=since))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("cut", "delivered"),
    [
        ("1 / 0", 0),
        ("None", 0),
        ("5", 0),
        ("(item for item in items)", 0),
        ("([item for item, _ in items][:3] for _ in range(1))", 3),
        ("([item, item] for item, _ in items)", 0),
        ("([item] if item.row < 3 else 1 / 0 for item, _ in items)", 2),
    ],
    ids=["raises", "nothing", "a number", "no chunks", "keeps some back", "doubles each", "raises later"],
)
def test_a_plugin_that_cuts_batches_badly_loses_no_item(
    connecting: Connecting, vendor: Vendor, tmp_path: Path, cut: str, delivered: int
) -> None:
    kind = f"BatchKind(NoOptions, lambda batch, items: {cut}, lambda batch: 'ill')"
    acme = ill(connecting, tmp_path, "connectory_batches", kind, CHUNKS="ill")
    with pytest.raises(PluginError, match="'ill'") as caught:
        acme.things.push([{"n": n} for n in range(5)])  # type: ignore[attr-defined]
    told = caught.value.delivery  # type: ignore[attr-defined]
    assert told.delivered == delivered
    assert [result.item["n"] for result in told.not_tried] == list(range(delivered, 5))
    assert sum(len(exchange.json()) for exchange in vendor.requests()) == delivered
