"""Operations written once for many objects: what comes of them, and what is wrong in them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from connectory.plugins.registry import Registry
from connectory.spec.load import Discovered
from connectory.spec.typeexpr import ListOf, Named
from spec.loading import faults_of, load_text, said

HEAD = """\
name: acme
settings: {key: secret!}
servers: {production: https://acme.example}
auth: {bearer: "{{ key }}"}
"""
FAMILY = """\
families:
  object:
    resource: "{{ object.plural | snake }}"
    known:
      - {plural: blueCats, type: Cat}
      - {plural: dogs, type: Dog}
    operations:
      list: {get: "/{{ object.plural }}", returns: "list of {{ object.type }}", records: "data.{{ object.plural }}"}
      create: {post: "/{{ object.plural }}", body: "{{ object.type }}"}
      special.{{ object.plural | snake }}: {get: "/s", does: read}
types: {Cat: {id: int}, Dog: {id: int}}
"""


def family(text: str) -> str:
    """A spec with a family, from what follows its head."""
    return HEAD + dedent(text)


def test_each_operation_is_written_out_for_each_object(registry: Registry, tmp_path: Path) -> None:
    operations = load_text(registry, tmp_path, family(FAMILY)).spec.operations
    assert list(operations) == [
        "blue_cats.list",
        "blue_cats.create",
        "special.blue_cats",
        "dogs.list",
        "dogs.create",
        "special.dogs",
    ]
    cats = operations["blue_cats.list"]
    assert str(cats.get) == "/blueCats"
    assert cats.returns == ListOf(Named("Cat"))
    assert cats.records is not None
    assert str(cats.records.path[0]) == "data.blueCats"
    assert operations["dogs.create"].body == Named("Dog")


def test_one_known_object_needs_no_list(registry: Registry, tmp_path: Path) -> None:
    text = family(
        """\
        families:
          f: {resource: cats, known: {path: /c}, operations: {list: {get: "{{ f.path }}"}}}
        """
    )
    assert list(load_text(registry, tmp_path, text).spec.operations) == ["cats.list"]


def test_a_known_object_may_be_only_discovered(registry: Registry, tmp_path: Path) -> None:
    text = family(FAMILY).replace(
        "    known:\n      - {plural: blueCats, type: Cat}\n      - {plural: dogs, type: Dog}\n", ""
    )
    found = Discovered(objects={"object": [{"plural": "newOnes", "type": "Cat"}]})
    (fault,) = faults_of(registry, tmp_path, text, discovered=found)
    assert fault.message == "no object is known and none is discovered: add known or discover"


def test_other_templates_are_left_for_later(registry: Registry, tmp_path: Path) -> None:
    text = family(
        """\
        families:
          f:
            resource: cats
            known: [{name: tom}]
            operations:
              list: {get: "/{{ f.name }}", send: {headers: {X: "{{ f.name }}-{{ key }}"}}}
        """
    )
    send = load_text(registry, tmp_path, text).spec.operations["cats.list"].send
    assert dict(send.headers) == {"X": "tom-{{ key }}"}


def test_what_is_assumed_of_a_family_is_assumed_of_each_object(registry: Registry, tmp_path: Path) -> None:
    text = family(FAMILY) + "assumed: {families/object/operations/list/returns: seen once}\n"
    assumed = load_text(registry, tmp_path, text).spec.assumed
    assert assumed == {
        "families/object/operations/list/returns": "seen once",
        "operations/blue_cats.list/returns": "seen once",
        "operations/dogs.list/returns": "seen once",
    }


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        (
            'object.plural }}", body',
            'object.plurl }}", body',
            [
                "13:22 /families/object/operations/create/post: {{ object.plurl }} names nothing; did you mean "
                "'object.plural'? (there are object.plural, object.type)"
            ],
        ),
        (
            '"/s", does',
            '"/{{ objct.plural }}", does',
            ["14:50 /operations/special.blue_cats/get: {{ objct.plural }} names nothing (there are key)"],
        ),
        (
            '{get: "/s", does: read}',
            '{get: "/s", does: read, about: "{{ objct.type }}"}',
            ["14:75 /operations/special.blue_cats/about: nothing is computed here: '{{ }}' cannot stand in this place"],
        ),
        (
            "does: read",
            "does: raed",
            [
                "14:62 /operations/special.blue_cats/does: expected one of read, write, destroy, found 'raed'; "
                "did you mean 'read'?"
            ],
        ),
        (
            'snake }}"\n',
            'snke }}"\n',
            [
                "7:15 /families/object/resource: no filter 'snke'; did you mean 'snake'? "
                "(there are b64, capital, date, hex, lower, snake, upper)"
            ],
        ),
        (
            "type: Dog}\n",
            "kind: Dog}\n",
            [
                f"{place}: {{{{ object.type }}}} names nothing; did you mean 'object.plural'? "
                "(there are object.kind, object.plural)"
                for place in (
                    "12:52 /families/object/operations/list/returns",
                    "13:52 /families/object/operations/create/body",
                )
            ],
        ),
        (
            "resource:",
            "resourc:",
            ["7:5 /families/object/resourc: unknown key 'resourc'; did you mean 'resource'?"],
        ),
        (
            "list: {get:",
            "list: {gt:",
            ["12:14 /operations/blue_cats.list/gt: unknown key 'gt'; did you mean 'get'?"],
        ),
        (
            "      create:",
            "      special.{{ object.type | lower }}s: {get: /x, does: read}\n      create:",
            [
                "15:7 /families/object/operations/special.{{ object.plural | snake }}: "
                "operation 'special.dogs' exists already"
            ],
        ),
        (
            'body: "{{ object.type }}"',
            'fields: {"{{ object.type }}": int, Dog: int}',
            ["13:81 /families/object/operations/create/fields: the key 'Dog' stands twice once it is filled in"],
        ),
    ],
)
def test_a_fault_in_a_family_is_told_once_where_it_is_written(
    registry: Registry, tmp_path: Path, old: str, new: str, faults: list[str]
) -> None:
    text = family(FAMILY)
    assert text.count(old) == 1
    assert said(faults_of(registry, tmp_path, text.replace(old, new))) == faults
