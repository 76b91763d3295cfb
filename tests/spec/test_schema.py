"""The JSON Schema for editors: it takes what the loader takes, and refuses misspelt keys as the loader does."""

from __future__ import annotations

from pathlib import Path

import attrs
import jsonschema
import pytest

from connectory.plugins.kinds import AuthKind
from connectory.plugins.registry import Registry
from connectory.spec.schema import Schema, make_recipe_schema, make_schema
from connectory.spec.spots import keys_in
from connectory.spec.words import Template, word
from connectory.spec.yamltext import as_data, read_yaml
from spec.loading import acme, faults_of
from spec.test_misspellings import VENDORS, apart, changed, misspelt, source_of


@pytest.fixture(scope="module")
def schema(registry: Registry) -> Schema:
    return make_schema(registry)


def errors_of(schema: Schema, text: str | bytes) -> list[str]:
    """What the schema says of a text: `/operations/x: message`."""
    data = as_data(read_yaml(text, "x.yaml"))
    found = jsonschema.Draft7Validator(schema).iter_errors(data)
    return [f"/{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def test_it_is_a_schema(registry: Registry) -> None:
    jsonschema.Draft7Validator.check_schema(make_schema(registry))
    jsonschema.Draft7Validator.check_schema(make_recipe_schema(registry))


@pytest.mark.parametrize("vendor", VENDORS)
def test_it_takes_every_spec(registry_of_vendors: Registry, vendor: str) -> None:
    source, _ = source_of(registry_of_vendors, vendor)
    assert errors_of(make_schema(registry_of_vendors), source.encode()) == []


def test_it_takes_every_shipped_recipe(registry: Registry) -> None:
    folder = Path(str(registry.packaged["twenty"].file)).parent / "demo"
    recipes = sorted(folder.glob("*.yaml"))
    assert recipes
    for recipe in recipes:
        assert errors_of(make_recipe_schema(registry), recipe.read_bytes()) == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_it_refuses_every_misspelt_key_as_the_loader_does(registry_of_vendors: Registry, vendor: str) -> None:
    source, tree = source_of(registry_of_vendors, vendor)
    schema = make_schema(registry_of_vendors)
    keys = {(spot.text.line, spot.text.column): spot for spot in keys_in(registry_of_vendors, tree)}
    missed = []
    for group in apart(keys.values()):
        text = changed(source, [(spot, str(spot.text), misspelt(spot.text)) for spot in group])
        told = errors_of(schema, text)
        for spot in group:
            above = "/" + "/".join(map(str, spot.path[:-1])) + ": "
            if not any(line.startswith(above) and f"'{misspelt(spot.text)}'" in line for line in told):
                missed.append("/".join(map(str, spot.path)))
    assert not missed


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("path", "query: {a: intt}", "does not match"),
        ("type", "query: {a: {type: strr}}", "does not match"),
        ("enum", "does: raed", "is not one of"),
        ("pages", "pages: [a]", "is not of type"),
        ("status", "outcomes: {status: 4x, is: ok}", "does not match"),
        ("word", "outcomes: {status: 404, is: okay}", "is not one of"),
        ("duration", "marks: {Changed: {from: year, window: 3 days}}", "does not match"),
        ("size", "batch: {bytes: 4 megs}", "does not match"),
        ("bool", "repeatable: yes", "is not of type"),
        ("codec", "wire: {datetime: rfc}", "is not valid under any"),
        ("path", "records: a..b", "does not match"),
    ],
)
def test_it_knows_what_may_stand_behind_a_key(
    registry: Registry, schema: Schema, tmp_path: Path, key: str, value: str, message: str
) -> None:
    text = acme(more=f"# {key}\n").replace("things.list: {get: /things,", f"things.list: {{get: /things, {value},")
    text = text.replace("query: {year: int}, pages: numbered, returns: Thing", "about: x")
    assert faults_of(registry, tmp_path, text)
    assert [line for line in errors_of(schema, text) if message in line]


def test_options_of_another_kind_are_refused(schema: Schema) -> None:
    assert errors_of(schema, acme({"page: page,": "page: page, cursor: c,"})) == [
        "/pagers/numbered: Additional properties are not allowed ('cursor' was unexpected)"
    ]
    assert errors_of(schema, acme({"page: page, ": ""})) == ["/pagers/numbered: 'page' is a required property"]


def test_what_extends_may_leave_out_what_is_there(schema: Schema) -> None:
    assert errors_of(schema, "extends: acme\noperations: {a.list: {get: /a}}") == []
    assert "'servers' is a required property" in errors_of(schema, "name: acme")[0]


@attrs.frozen
class Signed:
    """Signed with a secret."""

    secret: Template = word("what signs", names="auth")
    digest: str = word("hash", "sha256")


def test_a_plug_in_brings_its_options(registry: Registry) -> None:
    grown = attrs.evolve(registry, auth={"signed": AuthKind(Signed, lambda options, request, now: request)})
    schema = make_schema(grown)
    bearer = 'auth: {bearer: "{{ api_key }}"}'
    assert errors_of(schema, acme()) == []
    assert errors_of(schema, acme({bearer: 'auth: {use: signed, secret: "{{ api_key }}"}'})) == []
    assert errors_of(schema, acme({bearer: 'auth: {use: signed, secrt: "{{ api_key }}"}'})) == [
        "/auth: Additional properties are not allowed ('secrt' was unexpected)",
        "/auth: 'secret' is a required property",
    ]
    assert errors_of(schema, acme({bearer: 'auth: {secret: "{{ api_key }}"}'})) == [
        "/auth: Additional properties are not allowed ('secret' was unexpected)"
    ]


def test_texts_of_a_family_may_be_templates_anywhere(schema: Schema) -> None:
    family = """\
    families:
      object:
        resource: "{{ object.plural }}"
        known: [{plural: cats, does: read}]
        operations:
          list: {get: "/{{ object.plural }}", does: "{{ object.does }}", returns: "list of {{ object.type }}",
                 repeatable: "{{ object.again }}", batch: {largest: "{{ object.size }}"},
                 query: {a: "{{ object.type }}!"}}
    """
    assert errors_of(schema, acme(more=family)) == []
    assert errors_of(schema, acme(more=family.replace("repeatable:", "repeatible:"))) != []


def test_every_key_is_described(schema: Schema) -> None:
    described = [
        one for definition in schema["definitions"].values() for one in definition.get("properties", {}).values()
    ]
    assert len(described) > 150
    assert not [one for one in described if not one.get("description") and "const" not in one and "enum" not in one]
