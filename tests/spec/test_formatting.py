"""A formatted spec says the same in the order of the language, shorter, with every comment; formatting it twice
changes nothing. The canonical tree says it all the same once more, in full."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import attrs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from connectory.errors import SpecError
from connectory.plugins.registry import Registry, SpecFile
from connectory.spec.canonical import canonical_text
from connectory.spec.formatting import format_spec, same_value
from connectory.spec.language import Spec
from connectory.spec.load import Discovered, load_tree
from connectory.spec.trees import read_tree
from spec.generated import specs
from spec.loading import acme

ROOT = Path(__file__).parents[2]
SPECS = {
    file.stem if file.parent.name == "specs" else file.parent.name: file.read_text(encoding="utf-8")
    for file in sorted([*ROOT.glob("specs/*.yaml"), *ROOT.glob("tests/vendors/*/spec.yaml")])
}
HEAD = "name: acme\nservers: {production: https://acme.example}\n"


@pytest.fixture(scope="module")
def registry(registry_of_vendors: Registry) -> Registry:
    return registry_of_vendors


def value(registry: Registry, text: str) -> Spec:
    """What a spec's text says."""
    tree = read_tree(text.encode("utf-8", "surrogatepass"), "s.yaml")
    name = str(next((said for key, said in tree.items() if key == "name"), ""))
    return load_tree(registry, tree, SpecFile(name, Path("s.yaml"), "a test"), Discovered()).spec


def formatted(registry: Registry, text: str) -> str:
    """The text, formatted; seen to mean the same, and to be left alone the second time."""
    made = format_spec(registry, text)
    assert same_value(value(registry, made), value(registry, text))
    assert format_spec(registry, made) == made
    return made


def without_families(spec: Spec) -> Spec:
    """The spec without what the canonical tree cannot hold: what is written and noted once for many operations."""
    return attrs.evolve(spec, families={}, assumed={}, sources={})


def comments(text: str) -> list[str]:
    return sorted(re.findall(r"#c\d+#", text))


@pytest.mark.parametrize("vendor", SPECS)
def test_a_formatted_spec_loads_to_the_equal_value_and_keeps_its_comments(registry: Registry, vendor: str) -> None:
    text = SPECS[vendor]
    made = formatted(registry, text)
    assert sorted(re.findall(r"(?m)^ *#.*|(?<= )# .*", made)) == sorted(re.findall(r"(?m)^ *#.*|(?<= )# .*", text))
    assert len(made) <= len(text)


@pytest.mark.parametrize("vendor", SPECS)
def test_the_canonical_tree_loads_to_the_equal_value(registry: Registry, vendor: str) -> None:
    spec = value(registry, SPECS[vendor])
    again = value(registry, canonical_text(spec))
    assert without_families(again) == without_families(spec)
    assert canonical_text(again) == canonical_text(spec)


@pytest.mark.parametrize("vendor", SPECS)
def test_the_shortest_form_of_the_canonical_tree_is_as_short_as_by_hand(registry: Registry, vendor: str) -> None:
    spec = value(registry, SPECS[vendor])
    short = formatted(registry, canonical_text(spec))
    assert len(yaml.dump(yaml.safe_load(short))) <= len(canonical_text(spec))
    if not spec.families:
        by_hand = yaml.dump(yaml.safe_load(formatted(registry, SPECS[vendor])), width=10_000)
        assert len(yaml.dump(yaml.safe_load(short), width=10_000)) <= len(by_hand) * 1.02 + 50


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_loads_is_formatted_to_the_same_value(registry: Registry, data: st.DataObject) -> None:
    made: dict[str, Any] = data.draw(specs(registry))
    text = yaml.safe_dump(made, sort_keys=False, default_flow_style=data.draw(st.sampled_from([None, True, False])))
    try:
        spec = value(registry, text)
    except SpecError:
        return
    formatted(registry, text)
    assert without_families(value(registry, canonical_text(spec))) == without_families(spec)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_comments_anywhere_stay_and_change_nothing(registry: Registry, data: st.DataObject) -> None:
    text = SPECS[data.draw(st.sampled_from(sorted(SPECS)))]
    lines = text.split("\n")
    for number in data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=20)):
        if data.draw(st.booleans()):
            lines[number] += f" #c{number}#"
        else:
            indent = " " * data.draw(st.integers(0, 8))
            lines[number] = f"{indent}#c{number}#\n{lines[number]}"
    commented = "\n".join(lines)
    try:
        value(registry, commented)
    except SpecError:
        return  # a comment broke a text that goes over several lines
    assert comments(formatted(registry, commented)) == comments(commented)


def cases() -> Iterator[tuple[str, str, str]]:
    """What is formatted, and what becomes of it; both below HEAD."""
    yield (
        "keys in the order of the language",
        "operations:\n  a.list: {records: ., query: {y: int}, get: /a}\nlimits: {l: {rate: 5/day}}\n",
        "limits: {l: {rate: 5/day}}\noperations:\n  a.list: {get: /a, query: {y: int}, records: .}\n",
    )
    yield (
        "names keep their order",
        "operations: {b.get: {get: /b}, a.get: {get: /a, query: {z: int, y: int}}}\n",
        "operations: {b.get: {get: /b}, a.get: {get: /a, query: {z: int, y: int}}}\n",
    )
    yield (
        "a comment goes with the key below it and with the key in its line",
        "# all calls\noperations:\n  a.get: {get: /a}\n\n# where to read\nlimits: {l: {rate: 5/day}}  # public\n",
        "\n# where to read\nlimits: {l: {rate: 5/day}}  # public\n# all calls\noperations:\n  a.get: {get: /a}\n",
    )
    yield (
        "comments inside a block go with its keys",
        "operations:\n  a.list:\n    # there\n    records: .  # all\n    # so\n    get: /a\n",
        "operations:\n  a.list:\n    # so\n    get: /a\n    # there\n    records: .  # all\n",
    )
    yield (
        "a comment that is indented more belongs to what is above it",
        "operations:\n  a.get:\n    get: /a\n    # later: b.get\nlimits: {l: {rate: 5/day}}\n",
        "limits: {l: {rate: 5/day}}\noperations:\n  a.get:\n    get: /a\n    # later: b.get\n",
    )
    yield (
        "short forms",
        "pagers: {p: {use: cursor, cursor: {query: c}, next: {body: n}, records: {path: rows}, size: {query: s},"
        " largest: 5, more: {m: {in: [true]}}}}\n"
        "operations:\n"
        "  a.list: {get: /a, pages: p, query: {y: {type: int, required: true}, z: {type: str, default: x}}}\n",
        "pagers: {p: {use: cursor, records: rows, size: s, largest: 5, more: {m: true}, cursor: c, next: n}}\n"
        "operations:\n  a.list: {get: /a, query: {y: int!, z: str = x}, pages: p}\n",
    )
    yield (
        "a block that has a short form moves up behind its key",
        "operations:\n  a.list:\n    get: /a\n    records:\n      path: rows\n    outcomes:\n      - status: 404\n"
        "        is: missing\n",
        "operations:\n  a.list:\n    get: /a\n    records: rows\n    outcomes:\n        status: 404\n"
        "        is: missing\n",
    )
    yield (
        "what is explained is not shortened",
        "operations:\n  a.list:\n    get: /a\n    records:\n      path: rows  # so\n    deprecated: false  # not yet\n",
        "operations:\n  a.list:\n    get: /a\n    records:\n      path: rows  # so\n    deprecated: false  # not yet\n",
    )
    yield (
        "defaults are left out",
        "wire: {}\noperations: {a.get: {get: /a, anonymous: false, deprecated: true}}\n",
        "operations: {a.get: {get: /a, deprecated: true}}\n",
    )
    yield (
        "an anchor stays before its aliases",
        "operations:\n  a.list: &a {records: ., get: /a}\n  b.list: {query: &q {y: int}, get: /b, records: .}\n"
        "  c.list: {path: {id: int}, get: '/c/{id}', query: *q, records: .}\n",
        "operations:\n  a.list: &a {records: ., get: /a}\n  b.list: {get: /b, query: &q {y: int}, records: .}\n"
        "  c.list: {get: '/c/{id}', path: {id: int}, query: *q, records: .}\n",
    )
    yield (
        "texts in blocks are moved as they are",
        "operations:\n  g.get:\n    document: |\n      query {\n        a\n      }\n\n    graphql: /g\n",
        "operations:\n  g.get:\n    graphql: /g\n    document: |\n      query {\n        a\n      }\n",
    )
    yield (
        "a list of one over several lines",
        "operations:\n  a.get:\n    get: /a\n    examples:\n    - with: {}\n      answer:\n        - 1\n",
        "operations:\n  a.get:\n    get: /a\n    examples:\n      answer:\n        - 1\n",
    )


@pytest.mark.parametrize(("before", "after"), [case[1:] for case in cases()], ids=[case[0] for case in cases()])
def test_this_becomes_that(registry: Registry, before: str, after: str) -> None:
    assert formatted(registry, HEAD + before) == HEAD + after


def test_what_stands_at_the_top_of_a_file_stays_there(registry: Registry) -> None:
    text = "# yaml-language-server: $schema=connectory.schema.json\n\n" + "about: x\n" + HEAD
    made = formatted(registry, text)
    assert made.startswith("# yaml-language-server: $schema=connectory.schema.json\n\nname: acme\nabout: x\nservers:")


def test_line_ends_of_windows_and_a_byte_order_mark_are_made_usual(registry: Registry) -> None:
    text = acme()
    assert format_spec(registry, "\ufeff" + text.replace("\n", "\r\n")) == format_spec(registry, text)


def test_the_canonical_tree_leaves_nothing_short(registry: Registry) -> None:
    text = acme(more="verify: things.list\n")
    assert canonical_text(value(registry, text), "things.get") == dedent("""\
        operations:
          things.get:
            get: /things/{id}
            path:
              id:
                type: int64
            returns: Thing
        """)
    assert "Name:\n      type: str\n" in canonical_text(value(registry, text))


def test_canonical_texts_stay_texts_and_durations_stay_exact(registry: Registry) -> None:
    text = acme(
        {
            "query: {year: int}": "query: {a: {type: str, default: '0o17'}, b: {type: any, default: '1e3'}}",
            "rate: 5000/day": "rate: 5000/day, gap: 0.62s",
        }
    )
    spec = value(registry, text)
    default: object = spec.operations["things.list"].query["b"].default
    assert default == "1e3"
    assert value(registry, canonical_text(spec)) == spec
    assert "gap: 0.62s" in canonical_text(spec)


def test_keys_behind_question_marks_stay_as_they_are(registry: Registry) -> None:
    text = (
        "name: acme\nservers: {production: https://a.example}\nsend:\n  headers:\n    ? ''\n    : x\noperations: {}\n"
    )
    assert format_spec(registry, text) == text
