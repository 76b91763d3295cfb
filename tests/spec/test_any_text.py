"""Whatever a file holds: the loader gives a spec, or faults that say where they are. Never anything else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from connectory.errors import SpecError
from connectory.operation import make_plan
from connectory.plugins.registry import Registry, load_registry
from connectory.spec.load import Loaded
from connectory.spec.schema import make_schema
from connectory.spec.yamltext import as_data
from spec.generated import TEXTS, specs
from spec.loading import ACME, load_text

REGISTRY: Registry = load_registry()
SCHEMA = jsonschema.Draft7Validator(make_schema(REGISTRY))
SHIPPED = {vendor: file.file.read_text(encoding="utf-8") for vendor, file in REGISTRY.packaged.items()}

few = settings(max_examples=150, suppress_health_check=list(HealthCheck))
many = settings(max_examples=6000, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("specs")


def loads(folder: Path, text: str | bytes, name: str = "acme") -> Loaded | None:
    """The spec, or None where faults with places are told; any other exception goes through."""
    try:
        return load_text(REGISTRY, folder, text, name=name)
    except SpecError as error:
        faults = error.faults
    lines = (text if isinstance(text, str) else text.decode("utf-8", "replace")).count("\n") + 1
    assert faults
    for fault in faults:
        assert fault.message
        assert 1 <= fault.line <= lines + 1
        assert fault.column >= 1
        assert fault.file.endswith(f"{name}.yaml")
    return None


def holds_for(folder: Path, made: dict[str, Any], flow: bool) -> None:
    """What a made-up spec must satisfy: when it loads, editors take it and every operation can be compiled."""
    text = yaml.safe_dump(made, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    loaded = loads(folder, text)
    event("loads" if loaded else "does not load")
    if loaded is None:
        return
    assert not [
        error.message for error in SCHEMA.iter_errors(as_data(loaded.tree)) if "families" not in error.absolute_path
    ]
    for name in loaded.spec.operations:
        make_plan(loaded.spec, REGISTRY, name)


@few
@given(made=specs(REGISTRY), flow=st.booleans())
def test_specs_of_the_vocabulary(folder: Path, made: dict[str, Any], flow: bool) -> None:
    holds_for(folder, made, flow)


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
@many
@given(made=specs(REGISTRY), flow=st.booleans())
def test_many_specs_of_the_vocabulary(folder: Path, made: dict[str, Any], flow: bool) -> None:
    holds_for(folder, made, flow)


@st.composite
def mended(draw: Any, texts: Sequence[str]) -> str:
    """A right spec with some lines lost, doubled, swapped or changed."""
    lines = draw(st.sampled_from(texts)).split("\n")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        begin = draw(st.integers(0, len(line)))
        piece = draw(
            st.sampled_from([*TEXTS, ": ", "- ", "{", "}", "[", "]", ",", "  ", "&a ", "*a", "!!x ", "|\n", "#"])
        )
        changed = [
            [],
            [line, line],
            [line[:begin] + piece + line[begin:]],
            [line[:begin] + line[begin + 1 :]],
            [lines[draw(st.integers(0, len(lines) - 1))]],
        ]
        lines[at : at + 1] = draw(st.sampled_from(changed))
        lines = lines or [""]
    return "\n".join(lines)


@few
@given(text=mended([ACME, SHIPPED["12build"], SHIPPED["12traits"]]))
def test_right_specs_with_slips(folder: Path, text: str) -> None:
    loads(folder, text)


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
@settings(max_examples=1500, suppress_health_check=list(HealthCheck))
@given(text=mended([ACME, *SHIPPED.values()]))
def test_many_right_specs_with_slips(folder: Path, text: str) -> None:
    loads(folder, text)


@few
@given(text=st.text(max_size=200) | st.binary(max_size=200))
def test_random_texts(folder: Path, text: str | bytes) -> None:
    loads(folder, text)
