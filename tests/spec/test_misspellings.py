"""Every word of the vendors' specs, shipped or not, that the language or the same file knows, misspelt: each is caught
where it stands.

Many words are misspelt at once, but never two of which one could hide the other; each must be named by a fault at its
own line and column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Literal, get_args, get_origin

import pytest

from connectory.plugins.registry import Registry
from connectory.spec import language, words
from connectory.spec.spots import Spot, free_keys_in, keys_in, scalars_in
from connectory.spec.structure import FIELD_CLASSES
from connectory.spec.trees import Table, read_tree
from connectory.spec.typeexpr import MODIFIERS, SCALARS, TypeExpr
from spec.loading import faults_of

SHIPPED = ("12build", "12traits", "12twenty", "twenty")
OTHERS = {file.parent.name: file for file in sorted(Path(__file__).parents[1].glob("vendors/*/spec.yaml"))}
VENDORS = (*SHIPPED, *OTHERS)
Path_ = tuple[str | int, ...]
Change = tuple[Spot, str, str]  # where, the word there, the misspelt word


@pytest.fixture(scope="module")
def registry(registry_of_vendors: Registry) -> Registry:
    return registry_of_vendors


def misspelt(word: str) -> str:
    """The word with a letter too many, as no word of the specs has it."""
    return f"{word[:-1]}q{word[-1]}" if len(word) > 1 else f"{word}q"


def source_of(registry: Registry, vendor: str) -> tuple[str, Table]:
    """The text and the tree of a spec."""
    file = OTHERS.get(vendor) or registry.packaged[vendor].file
    source = file.read_bytes()
    return source.decode(), read_tree(source, str(file))


def changed(source: str, changes: Iterable[Change]) -> str:
    """The text with each word misspelt; positions of other words in the same line move with it."""
    lines = source.split("\n")
    for spot, old, new in sorted(changes, key=lambda change: (change[0].text.line, -change[0].text.column)):
        row, column = spot.text.line - 1, spot.text.column - 1
        at = lines[row].find(old, column)
        while at < 0:  # a text that is folded over several lines
            row, column = row + 1, 0
            at = lines[row].find(old)
        lines[row] = lines[row][:at] + new + lines[row][at + len(old) :]
    return "\n".join(lines)


def survivors(registry: Registry, folder: Path, vendor: str, changes: list[Change]) -> list[str]:
    """The misspelt words that no fault names at their place, all being in the file at once."""
    source, _ = source_of(registry, vendor)
    text = changed(source, changes)
    faults = faults_of(registry, folder, text, name=vendor)
    named = {(fault.line, fault.column): "" for fault in faults}
    for fault in faults:
        named[fault.line, fault.column] += fault.message
    shifts = _shifts(changes)
    missed = []
    for spot, old, new in changes:
        place = (spot.text.line, spot.text.column + shifts[id(spot.text)])
        told = "".join(named.values()) if spot.place in TOLD_AT_THE_EXAMPLE else named.get(place, "")
        if new not in told:
            missed.append(f"{vendor}.yaml:{place[0]}:{place[1]} {'/'.join(map(str, spot.path))}: {old} as {new}")
    return missed


def _shifts(changes: Iterable[Change]) -> dict[int, int]:
    """By how many columns a changed place is moved by changes before it in the same line."""
    lines: dict[int, list[Change]] = {}
    for change in changes:
        lines.setdefault(change[0].text.line, []).append(change)
    return {
        id(spot.text): sum(len(new) - len(old) for other, old, new in line if other.text.column < spot.text.column)
        for line in lines.values()
        for spot, _, _ in line
    }


def apart(spots: Iterable[Spot]) -> Iterator[list[Spot]]:
    """Groups in which no spot stands in the same mapping as another, or below that mapping."""
    groups: list[tuple[list[Spot], set[Path_], set[Path_]]] = []
    for spot in spots:
        mapping = spot.path[:-1]
        above = {mapping[:length] for length in range(len(mapping) + 1)}
        for group, mappings, all_above in groups:
            if not (above & mappings) and mapping not in all_above:
                group.append(spot)
                mappings.add(mapping)
                all_above |= above
                break
        else:
            groups.append(([spot], {mapping}, above))
    return (group for group, _, _ in groups)


def fail_for(missed: list[str]) -> None:
    """Fail with a line for each."""
    if missed:
        pytest.fail("not caught at its place:\n" + "\n".join(missed), pytrace=False)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_misspelt_key_is_caught(registry: Registry, tmp_path: Path, vendor: str) -> None:
    _, tree = source_of(registry, vendor)
    keys = list({(spot.text.line, spot.text.column): spot for spot in keys_in(registry, tree)}.values())  # aliases once
    missed = []
    for group in apart(keys):
        changes = [(spot, str(spot.text), misspelt(spot.text)) for spot in group]
        missed += survivors(registry, tmp_path, vendor, changes)
    fail_for(missed)
    assert len(keys) > 40  # else the walk has lost its way


def words_of(registry: Registry, vendor: str) -> Iterator[tuple[str, Change]]:
    """Every word in a spec that names something, with what it names."""
    _, tree = source_of(registry, vendor)
    for spot in scalars_in(registry, tree):
        for subject, find in FINDERS.items():
            for word in find(spot):
                if "{{" not in spot.text or subject in ("name in a template", "column of a family"):
                    yield subject, (spot, word, misspelt(word))
    for spot in free_keys_in(registry, tree):
        kind = FREE_KEYS.get(spot.place)
        if spot.place == "Example.with" and spot.path[-2] != "with":
            continue  # inside an argument
        if kind is not None and not re.search(r"[{/.*]", spot.text):
            yield kind, (spot, str(spot.text), misspelt(spot.text))
        if spot.place in ("Spec.assumed", "Spec.sources"):
            last = spot.text.rpartition("/")[2]
            yield "place in assumed and sources", (spot, str(spot.text), spot.text[: -len(last)] + misspelt(last))


def _reference(section: str) -> Callable[[Spot], Iterable[str]]:
    return lambda spot: [spot.text] if spot.field and spot.field.metadata.get("ref") == section else []


def _is_type(spot: Spot) -> bool:
    return spot.kind in FIELD_CLASSES or set(get_args(spot.kind)) - {NoneType} == set(get_args(TypeExpr))


def _type_names(spot: Spot) -> Iterable[str]:
    head = spot.text.partition(" = ")[0]
    return re.findall(r"\b[A-Z]\w*", head) if _is_type(spot) and "one of" not in head and "(" not in head else []


def _scalar_types(spot: Spot) -> Iterable[str]:
    head = re.match(r"(?:(?:list|map) of )*(\w+)", spot.text)
    return [head[1]] if _is_type(spot) and head and head[1] in SCALARS else []


def _modifiers(spot: Spot) -> Iterable[str]:
    return [word for word in spot.text.split()[1:] if word in MODIFIERS] if spot.kind in FIELD_CLASSES else []


def _names_in_templates(of_family: bool) -> Callable[[Spot], Iterable[str]]:
    """The first name of a text, `{{ object.plural }}` of a family or `{{ setting }}`."""

    def find(spot: Spot) -> Iterable[str]:
        names = re.findall(r"\{\{ (\w+\.)?(\w+)", spot.text)
        return [name for root, name in names[:1] if bool(root and root != "kept.") == of_family]

    return find


# Of a path that is not in an example's answer, either may be wrong: the fault stands at the example.
TOLD_AT_THE_EXAMPLE = ("Operation.records", "Operation.record", "Records.path")


def _is_place_of_records(spot: Spot) -> bool:
    return spot.place in TOLD_AT_THE_EXAMPLE and not isinstance(spot.path[-1], int) and spot.text != "."


def _when(condition: Callable[[Spot], bool]) -> Callable[[Spot], Iterable[str]]:
    return lambda spot: [spot.text] if condition(spot) else []


MEASURES = (words.Duration, words.Size, words.Lifetime, language.Rate, language.StatusText)

LINKED = ("Link.with", "Link.keep", "Recursion.with", "Recursion.keep")
FINDERS: Mapping[str, Callable[[Spot], Iterable[str]]] = {
    "operation": lambda spot: [*_reference("operations")(spot), *([spot.text] if spot.kind is language.Link else [])],
    "pager": _reference("pagers"),
    "limit": _reference("limits"),
    "setting": _reference("settings"),
    "server": _reference("servers"),
    "type": _type_names,
    "built-in type": _scalar_types,
    "modifier": _modifiers,
    "kind of plug-in": _when(lambda spot: spot.place.endswith(".use") or spot.kind is language.Discover),
    "fixed word": _when(lambda spot: get_origin(spot.kind) is Literal),
    "true or false": _when(lambda spot: spot.kind is bool),
    "codec": _when(lambda spot: spot.kind is words.CodecName and "%" not in spot.text),
    "format": _when(lambda spot: spot.kind in (words.BodyFormat, language.AnswerFormat)),
    "number": _when(lambda spot: spot.kind in (int, float)),
    "measure": _when(lambda spot: spot.kind in MEASURES),
    "name of the vendor": _when(lambda spot: spot.place == "Spec.name"),
    "parameter of a mark": _when(lambda spot: spot.place in ("Mark.from", "Mark.until")),
    "batched list": _when(lambda spot: spot.place.endswith(").items")),
    "field after or rises_with": _when(lambda spot: spot.place in ("Field.after", "Field.rises_with")),
    "field of a link": _when(lambda spot: spot.place in LINKED),
    "key of results": _when(lambda spot: spot.place == "Results.key"),
    "records in examples": _when(_is_place_of_records),
    "total in examples": _when(lambda spot: spot.place.endswith((".total_records", ".total_pages"))),
    "name in a template": _names_in_templates(of_family=False),
    "column of a family": _names_in_templates(of_family=True),
}
FREE_KEYS: Mapping[str, str] = {
    "Link.with": "parameter of a link",
    "Recursion.with": "parameter of a link",
    "Link.when": "field that a link asks for",
    "Recursion.when": "field that a link asks for",
    "Operation.path": "parameter of a path",
    "Step.with": "parameter of a step",
    "Example.with": "argument of an example",
    "Operation.marks": "field of a mark",
    "Operation.costs": "limit that has a cost",
}
# Places in answers are held against examples; of vendors that are not shipped, the tests against their servers do that.
IN_ANSWERS = ("key of results", "records in examples", "total in examples")
SUBJECTS = (*FINDERS, *FREE_KEYS.values(), "place in assumed and sources")


# What may be misspelt and stay unnoticed by `check`, for nothing in the file says how it is written. Names that are
# given here are noticed where they are used.
SURVIVORS: Mapping[str, tuple[str, ...]] = {
    "names given here": (
        *("Spec.settings", "Spec.servers", "Spec.limits", "Spec.pagers", "Spec.operations", "Spec.families"),
        *(
            "Spec.types",
            "Family.operations",
            "Family.known",
            "Step.keep",
            "Link.keep",
            "Recursion.keep",
            "Field.as",
            "Records.value_as",
        ),
    ),
    "names on the wire": (
        *("Operation.fields", "Operation.query", "Operation.headers", "Operation.variables", "Operation.document"),
        *("Auth.headers", "Auth.query", "Auth.cookies", "Auth(hmac).headers", "Auth(hmac).signature"),
        *("Auth(hmac).timestamp", "Token.fields", "Token.query", "Token.headers", "Token.scopes", "Send.headers"),
        *("Send.query", "Send.cookies", "Send.fields", "Slot.query", "Slot.headers", "Slot.fields", "Slot.variables"),
        *("Pager.size", "Pager.page", "Pager.offset", "Pager.cursor", "Rule.headers", "Mark.as"),
    ),
    "paths into answers": (
        *("Errors.code", "Errors.fields", "Errors.message", "Operation.record", "Operation.records", "Pager.more"),
        *("Pager.next", "Pager.records", "Pager.field", "Place.body", "Place.header", "Place.link", "Records.path"),
        *("Results.at", "Results.code", "Results.id", "Results.index", "Results.message", "Results.ok", "Rule.body"),
        *("Learn.limit", "Learn.remaining", "Learn.used", "Learn.reset", "Learn.refill", "Learn.cost"),
        *("Step.keep", "Step.until", "Step.failed", "Token.value", "Token.keep", "Match.item", "Match.result"),
        "Operation.marks",  # a path into a field; the field alone is held against the type
    ),
    "values on the wire": (
        *("Example.answer", "Example.with", "Field.default", "Field.example", "Field.labels", "Setting.default"),
        *("Setting.example", "Rule.body", "Rule.headers", "Send.headers", "Send.query", "Send.fields", "Wire.datetime"),
        *("Basic.user", "Link.when", "Recursion.when"),
    ),
    "patterns": ("Mark.codec", "Field.pattern", "Setting.pattern", "Place.match", "Test.matches", "Rule.text"),
    "addresses": (
        *("Operation.get", "Operation.post", "Operation.put", "Operation.patch", "Operation.delete"),
        *("Operation.graphql", "Spec.servers", "Spec.docs", "Token.get", "Token.post"),
    ),
    "prose": (
        *(
            "Limit.unit",
            "Spec.about",
            "Operation.about",
            "Field.about",
            "Setting.about",
            "Setting.obtain",
            "Example.about",
        ),
        *("Spec.assumed", "Spec.sources"),
    ),
}


def _survives(spot: Spot) -> bool:
    place = re.sub(r"\((?!hmac)\w+\)", "", spot.place)
    known = {place for places in SURVIVORS.values() for place in places}
    return place in known or (_is_type(spot) and "one of " in spot.text) or "{{" in spot.text


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_is_not_caught_is_a_name_a_path_or_a_value_of_the_wire_or_prose(registry: Registry, vendor: str) -> None:
    """Whatever stands in a spec belongs to what is misspelt above, or to SURVIVORS."""
    _, tree = source_of(registry, vendor)
    caught = {(spot.text.line, spot.text.column) for _, (spot, _, _) in words_of(registry, vendor)}
    spots = [*scalars_in(registry, tree), *free_keys_in(registry, tree)]
    left = [spot for spot in spots if (spot.text.line, spot.text.column) not in caught and not _survives(spot)]
    assert not left, "\n".join(f"{spot.text.line}:{spot.text.column} {spot.place}: {spot.text}" for spot in left)


CASES = [(vendor, subject) for subject in SUBJECTS for vendor in (SHIPPED if subject in IN_ANSWERS else VENDORS)]


@pytest.mark.parametrize(("vendor", "subject"), CASES)
def test_every_misspelt_word_is_caught(registry: Registry, tmp_path: Path, vendor: str, subject: str) -> None:
    changes = [change for about, change in words_of(registry, vendor) if about == subject]
    # One word a text, and what an alias repeats once.
    once = {(change[0].text.line, change[0].text.column): change for change in changes}
    fail_for(survivors(registry, tmp_path, vendor, list(once.values())))


def test_each_kind_of_word_occurs(registry: Registry) -> None:
    seen = {subject for vendor in VENDORS for subject, _ in words_of(registry, vendor)}
    assert set(SUBJECTS) == seen
