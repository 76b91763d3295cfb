"""What a structured spec must still satisfy: references, templates, parameters, pages, batches. All faults at once."""

from __future__ import annotations

from collections.abc import Iterator

from connectory.plugins.registry import Registry
from connectory.spec.checks import operations, references, templates, vendor
from connectory.spec.language import Spec
from connectory.spec.structure import Problem


def check_spec(spec: Spec, registry: Registry) -> Iterator[Problem]:
    """Every problem of a spec whose keys and types are right."""
    yield from vendor.check(spec, registry)
    yield from references.check(spec, registry)
    yield from templates.check(spec, registry)
    yield from operations.check(spec, registry)
