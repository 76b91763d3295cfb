"""Settings as they are given: what is wrong is named before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from connectory.errors import SettingError
from engine.conftest import Connecting, Vendor

SPEC = """
settings: {branch: str!, shelf: int, kind: one of a | b, fast: bool}
servers: {production: "https://{{ branch }}.acme.example"}
send: {query: {shelf: "{{ shelf }}", kind: "{{ kind }}", fast: "{{ fast }}"}}
limits: {calls: {concurrent: 3}}
operations: {things.get: {get: /things}}
"""


@pytest.mark.parametrize(
    "wrong",
    [
        {"branch": 5},
        {"branch": ["a"]},
        {"shelf": 2.5},
        {"shelf": True},
        {"shelf": "two"},
        {"kind": "c"},
        {"fast": 1},
        {"concurrent": 0},
        {"concurrent": -1},
        {"concurrent": 4},
        {"concurrent": 1.5},
        {"allow_http": "perhaps"},
        {"server": 8080},
    ],
)
def test_a_setting_of_another_type_is_refused_by_name(
    connecting: Connecting, vendor: Vendor, wrong: dict[str, Any]
) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        connecting(SPEC, **{"branch": "main", **wrong})
    assert vendor.requests() == []


def test_settings_reach_the_vendor_as_their_types_say(connecting: Connecting, vendor: Vendor) -> None:
    connecting(SPEC, branch="main", shelf="2", kind="a", concurrent="2").things.get()
    (asked,) = vendor.requests()
    assert (asked.argument("shelf"), asked.argument("kind"), asked.argument("fast")) == ("2", "a", None)
