"""A spec of many operations loads in time that grows with its length, and not much above what its YAML alone takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from connectory.plugins.registry import Registry
from spec.loading import acme, load_text

OPERATION = """\
  things{n}.list:
    get: /things{n}
    about: Things of kind {n}, partly filled
    query: {{year: {{type: int, about: the year, example: 2018}}, name: str}}
    pages: numbered
    returns: Thing
    detail: {{operation: things.get, with: {{id: Id}}}}
    examples: [{{with: {{year: 2018}}, answer: {{total: 1, rows: [{{Id: 1, Name: x}}]}}}}]
"""


def spec_of(count: int) -> str:
    """ACME with so many operations more."""
    head, types, tail = acme().partition("types:\n")
    return head + "".join(OPERATION.format(n=n) for n in range(count)) + types + tail


def seconds(work: Callable[[], object]) -> float:
    """The least of three."""
    taken = []
    for _ in range(3):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


@pytest.mark.growth
def test_a_thousand_operations_load_in_a_few_times_what_their_yaml_takes(registry: Registry, tmp_path: Path) -> None:
    load_text(registry, tmp_path, acme())  # what is made once a process
    small, large = spec_of(200), spec_of(1000)
    ours = seconds(lambda: load_text(registry, tmp_path, large))
    assert ours < 8 * seconds(lambda: load_text(registry, tmp_path, small))
    if yaml.__with_libyaml__:
        theirs = seconds(lambda: yaml.load(large, Loader=yaml.CSafeLoader))
        assert ours < 4 * theirs, f"{ours:.2f} s against {theirs:.2f} s"
