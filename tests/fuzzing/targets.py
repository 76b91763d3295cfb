"""What is fuzzed: functions of bytes that must return, whatever comes.

A target catches what is allowed and lets everything else out.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import attrs

from connectory.answers import BrokenTextWarning, decode_answer, find_each
from connectory.errors import SpecError
from connectory.formats import FORMATS
from connectory.messages import Headers, Response
from connectory.operation import make_plan
from connectory.paging.walk import find_records
from connectory.plugins.registry import Registry, SpecFile, load_registry
from connectory.spec import language
from connectory.spec import words as words_of_specs
from connectory.spec.expressions import compile_expression
from connectory.spec.load import Discovered, load_tree
from connectory.spec.pieces import ExpressionFault
from connectory.spec.places import parse_path
from connectory.spec.trees import read_tree
from connectory.spec.words import Place, Records
from connectory.transport.decoding import BadBody, Meter, decode

NAMES: Mapping[str, object] = {"a": 1, "b": "text", "c": [1, 2], "d": {"e": None}}
PATHS = [parse_path(text) for text in ("items", ".", "data.*.id", "a.0.b")]


@cache
def registry() -> Registry:
    return load_registry()


def spec(data: bytes) -> None:
    """A spec, or its faults with their places; what loads has operations that can be planned."""
    try:
        loaded = load_tree(
            registry(), read_tree(data, "acme.yaml"), SpecFile("acme", Path("acme.yaml"), "fuzzing"), Discovered()
        )
    except SpecError as error:
        placed = [fault for fault in error.faults if fault.message and fault.line >= 1 and fault.column >= 1]
        if not placed or len(placed) < len(error.faults):
            raise AssertionError(f"a fault without words or place: {error.faults}") from error
        return
    for name in loaded.spec.operations:
        make_plan(loaded.spec, registry(), name)


def answer(data: bytes) -> None:
    """An answer in the format of its first byte: read, or a fault in words; its places can be looked for."""
    readers = [form.read for form in FORMATS.values() if form.read is not None]
    read = readers[data[0] % len(readers)] if data else readers[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BrokenTextWarning)
        decoded = decode_answer(Response(200, Headers({}), data[1:]), read)
    assert decoded.data is None or not decoded.fault
    for path in PATHS:
        find_records(Records(path=(path,)), decoded)
        list(find_each(Place(body=(path,)), decoded))


def coding(data: bytes) -> None:
    """A body in gzip or deflate, in two pieces: whole bytes within the bounds, or BadBody."""
    name, cut = ("gzip", "deflate")[data[0] % 2 if data else 0], len(data) // 2
    meter = Meter(max_bytes=1 << 20, max_ratio=100)
    try:
        size = sum(map(len, decode([data[1:cut], data[cut:]], name, meter)))
    except BadBody:
        return
    assert size <= 1 << 20


def template(data: bytes) -> None:
    """A text with `{{ }}`: compiled and filled, or a fault."""
    with suppress(ExpressionFault):
        compile_expression(data.decode("utf-8", "replace")).render(NAMES)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (spec, answer, coding, template)
}


def words_of(target: str) -> str:
    """A dictionary for libFuzzer: the words that a spec is made of."""
    words = ["{{ ", " }}", "'", '"', ": ", "- ", "{", "}", "[", "]", "&a ", "*a", "<<: ", "!!", "|\n", ">-\n", "\n  "]
    if target == "spec":
        kinds = [
            kind
            for module in (language, words_of_specs)
            for kind in vars(module).values()
            if isinstance(kind, type) and attrs.has(kind)
        ]
        words += sorted({field.name.rstrip("_") for kind in kinds for field in attrs.fields(kind)})
    return "".join(f"{json.dumps(word)}\n".replace("\\n", "\\x0a") for word in words)
