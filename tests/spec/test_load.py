"""Loading a spec: keys and scalars that are wrong, what it extends, what a workspace adds to it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import attrs
import pytest
import yaml

from connectory.errors import ArgumentError, SpecError
from connectory.plugins.registry import Registry, SpecFile
from connectory.spec.load import Discovered, load_spec, read_discovered
from connectory.spec.typeexpr import Named, Scalar
from spec.loading import acme, faults_of, load_text, said

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("keys.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_wrong_key_or_scalar_is_told_in_its_words_at_its_place(
    registry: Registry, tmp_path: Path, case: dict[str, Any]
) -> None:
    text = acme(case.get("change"), case.get("add", ""))
    assert said(faults_of(registry, tmp_path, text)) == case["faults"]


def test_every_packaged_spec_loads(registry: Registry) -> None:
    for vendor in ("12build", "12traits", "12twenty", "twenty"):
        assert load_spec(registry, vendor).spec.name == vendor


def test_an_unknown_vendor_is_named_with_the_nearest(registry: Registry) -> None:
    with pytest.raises(ArgumentError, match="no connector '12twnty'; did you mean '12twenty'"):
        load_spec(registry, "12twnty")


@pytest.mark.parametrize("text", ["", "# only a comment\n", "- a\n- b\n", "acme\n"])
def test_a_file_that_holds_no_mapping_is_refused(registry: Registry, tmp_path: Path, text: str) -> None:
    (fault,) = faults_of(registry, tmp_path, text)
    assert (fault.line, fault.column) == (1, 1)


# What extends a packaged spec


def extending(registry: Registry, folder: Path, text: str) -> tuple[Registry, str]:
    """A registry whose packaged spec is ACME, and the text that extends it."""
    base = folder / "packaged"
    base.mkdir()
    (base / "acme.yaml").write_text(acme())
    packaged = {"acme": SpecFile("acme", base / "acme.yaml", "a test")}
    return attrs.evolve(registry, packaged=packaged), dedent(text)


def test_an_extension_adds_operations_types_and_parameters(registry: Registry, tmp_path: Path) -> None:
    registry, text = extending(
        registry,
        tmp_path,
        """\
        extends: acme
        about: with parts
        operations:
          things.list: {query: {colour: Colour}}
          parts.list: {get: /parts, pages: numbered, returns: Part}
        types:
          Part: {Id: int64! key}
          Colour: {name: str}
          Thing: {Weight: float}
        """,
    )
    spec = load_text(registry, tmp_path, text).spec
    assert (spec.name, spec.about) == ("acme", "with parts")
    assert list(spec.operations) == ["things.list", "things.get", "things.create_many", "parts.list"]
    assert list(spec.operations["things.list"].query) == ["year", "colour"]
    assert list(spec.types["Thing"]) == ["Id", "Name", "Changed", "Weight"]
    assert spec.operations["parts.list"].returns == Named("Part")


def test_an_extension_may_have_a_name_of_its_own(registry: Registry, tmp_path: Path) -> None:
    registry, text = extending(registry, tmp_path, "extends: acme\nname: acme_plus\n")
    assert load_text(registry, tmp_path, text, name="acme_plus").spec.name == "acme_plus"


def test_an_extension_changes_nothing_that_is_there(registry: Registry, tmp_path: Path) -> None:
    registry, text = extending(
        registry,
        tmp_path,
        """\
        extends: acme
        limits: {daily: {rate: 9000/day, gap: 1s}}
        operations:
          things.get: {get: /other, about: one}
        """,
    )
    base = tmp_path / "packaged" / "acme.yaml"
    assert said(faults_of(registry, tmp_path, text)) == [
        f"2:18 /limits/daily/rate: stands already in {base}:5; an extension adds, it does not change",
        f"4:16 /operations/things.get/get: stands already in {base}:10; an extension adds, it does not change",
    ]


def test_a_fault_of_the_extended_file_names_that_file(registry: Registry, tmp_path: Path) -> None:
    registry, text = extending(registry, tmp_path, "extends: acme\noperations: {parts.list: {get: /p, pages: numbr}}\n")
    base = tmp_path / "packaged" / "acme.yaml"
    base.write_text(acme({"returns: Thing}\n  things.get": "returns: Thng}\n  things.get"}))
    assert [(fault.file, fault.line) for fault in faults_of(registry, tmp_path, text)] == [
        (str(tmp_path / "acme.yaml"), 2),
        (str(base), 9),
    ]


def test_what_extends_nothing_is_refused(registry: Registry, tmp_path: Path) -> None:
    assert said(faults_of(registry, tmp_path, "extends: 12bild\n")) == [
        "1:10 /extends: no packaged connector '12bild'; did you mean '12build'?"
    ]


def test_one_more_function_of_a_packaged_vendor_takes_three_lines(registry: Registry, tmp_path: Path) -> None:
    text = """\
extends: 12build
operations:
  invitations.list: {get: "/{{ locale }}/rest/bs_1.0/invitations", records: .}
"""
    added = load_text(registry, tmp_path, text, name="12build").spec
    packaged = load_spec(registry, "12build").spec
    assert set(added.operations) - set(packaged.operations) == {"invitations.list"}
    assert attrs.evolve(added, operations=packaged.operations, extends=None) == packaged


# What a workspace adds


def test_discovered_types_replace_those_of_the_same_name(registry: Registry, tmp_path: Path) -> None:
    found = Discovered(types={"Thing": {"Id": "uuid! key", "size": {"type": "int", "most": 5}}, "Part": {"Id": "int"}})
    types = load_text(registry, tmp_path, acme(), discovered=found).spec.types
    assert {name: str(field.type) for name, field in types["Thing"].items()} == {"Id": "uuid", "size": "int"}
    assert types["Thing"]["size"].most == 5
    assert types["Part"]["Id"].type == Scalar("int")


def test_a_wrong_discovered_type_is_a_fault(registry: Registry, tmp_path: Path) -> None:
    found = Discovered(types={"Part": {"Id": "intt"}})
    assert said(faults_of(registry, tmp_path, acme(), discovered=found)) == [
        "1:1 /types/Part/Id: unknown type 'intt'; did you mean 'int'?"
    ]


def test_discovered_rows_join_the_known_ones(registry: Registry, tmp_path: Path) -> None:
    family = """\
    families:
      object:
        resource: "{{ object.plural }}"
        known: [{plural: cats, path: /cats}, {plural: dogs, path: /dogs}]
        operations: {list: {get: "{{ object.path }}"}}
    """
    found = Discovered(
        objects={"object": [{"plural": "dogs", "path": "/hounds"}, {"plural": "birds", "path": "/birds"}]}
    )
    operations = load_text(registry, tmp_path, acme(more=family), discovered=found).spec.operations
    assert {name: str(operations[name].get) for name in operations if not name.startswith("things")} == {
        "cats.list": "/cats",
        "dogs.list": "/hounds",
        "birds.list": "/birds",
    }


def test_a_kept_discovery_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "acme.json"
    assert read_discovered(file) == Discovered()
    file.write_text('{"objects": {"object": [{"plural": "cats"}]}, "types": {"Cat": {"id": "uuid"}}}')
    assert read_discovered(file) == Discovered({"object": [{"plural": "cats"}]}, {"Cat": {"id": "uuid"}})
    for broken in ("{", "[]", '{"objects": 3}', "\x00"):
        file.write_text(broken)
        with pytest.raises(SpecError, match="run `connectory discover` again"):
            read_discovered(file)
