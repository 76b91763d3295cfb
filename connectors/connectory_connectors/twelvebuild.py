"""12Build: everything it needs stands in its spec."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources.abc import Traversable

from connectory import hookimpl
from connectory_connectors import spec_file


@hookimpl
def connectory_specs() -> Sequence[Traversable]:
    return [spec_file("12build.yaml")]
