"""What a structured spec must still satisfy: references, templates, parameters, pages, values. All faults at once."""

from __future__ import annotations

from collections.abc import Iterator

from connectory.plugins.registry import Registry
from connectory.spec.checks import examples, flows, links, operations, references, templates, values, vendor
from connectory.spec.checks.walking import walk
from connectory.spec.language import Spec
from connectory.spec.problems import Problem


def check_spec(spec: Spec, registry: Registry) -> Iterator[Problem]:
    """Every problem of a spec whose keys and types are right."""
    nodes = walk(spec)
    yield from vendor.check(spec, nodes)
    wrong = list(references.check(spec, registry, nodes))
    yield from wrong
    yield from templates.check(spec, registry, nodes)
    yield from operations.check(spec)
    yield from links.check(spec)
    yield from flows.check(spec)
    yield from examples.check(spec)
    if not wrong:  # values can be held against types only when these are all there
        yield from values.check(spec, registry, nodes)
