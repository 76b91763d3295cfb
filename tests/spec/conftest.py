"""What the tests of the spec language share."""

from __future__ import annotations

import pytest

from connectory.plugins.registry import Registry, load_registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The built-in kinds and those of the packaged connectors."""
    return load_registry()
