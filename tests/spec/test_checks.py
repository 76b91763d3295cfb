"""What a spec can say wrongly although its keys and types are right: each once, in its words and at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from connectory.plugins.kinds import AuthKind
from connectory.plugins.registry import Registry
from connectory.spec.words import Template, word
from spec.loading import acme, faults_of, load_text, said

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("faults.yaml").read_text(encoding="utf-8"))


def test_the_spec_that_is_broken_here_is_right(registry: Registry, tmp_path: Path) -> None:
    assert load_text(registry, tmp_path, acme()).spec.name == "acme"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_fault_is_told_in_its_words_at_its_place(registry: Registry, tmp_path: Path, case: dict[str, Any]) -> None:
    text = acme(case.get("change"), case.get("add", ""))
    assert said(faults_of(registry, tmp_path, text)) == case["faults"]


def test_every_fault_is_told_at_once(registry: Registry, tmp_path: Path) -> None:
    broken = {
        "{{ school }}": "{{ schol }}",
        "5000/day": "5000/day, zone: Mars",
        "pages: numbered": "pages: numberd",
        "{key: Id}": "{key: Idd}",
    }
    assert [line.partition(" ")[0] for line in said(faults_of(registry, tmp_path, acme(broken)))] == [
        "3:23",
        "5:40",
        "9:58",
        "11:97",
    ]


@attrs.frozen
class Signed:
    """Signed with a secret."""

    secret: Template = word("what signs", names="auth")


def test_templates_among_a_plug_ins_options_are_checked(registry: Registry, tmp_path: Path) -> None:
    grown = attrs.evolve(registry, auth={"signed": AuthKind(Signed, lambda options, request, now: request)})
    auth = 'auth: {bearer: "{{ api_key }}"}'
    good = acme({auth: 'auth: {use: signed, secret: "{{ api_key }}"}'})
    assert faults_of(grown, tmp_path, good) == ()  # and the setting counts as used
    wrong = acme({auth: 'auth: {use: signed, secret: "{{ apikey }}"}'})
    assert said(faults_of(grown, tmp_path, wrong)) == [
        "4:29 /auth/secret: {{ apikey }} names nothing; did you mean 'api_key'? (there are api_key, school)"
    ]


def test_a_default_is_read_as_its_type_says(registry: Registry, tmp_path: Path) -> None:
    listed = "d: {type: list of str, default: [1, x]}"
    fields = f"{{a: str = 0478, b: int = 60, c: {{type: str, default: no}}, {listed}, e: bool = true}}"
    query = load_text(registry, tmp_path, acme({"{year: int}": fields})).spec.operations["things.list"].query
    assert {name: field.default for name, field in query.items()} == {
        "a": "0478",
        "b": 60,
        "c": "no",
        "d": ["1", "x"],
        "e": True,
    }
