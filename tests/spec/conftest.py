"""What the tests of the spec language share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectory.plugins.registry import Registry, load_registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The built-in kinds and those of the packaged connectors."""
    return load_registry()


@pytest.fixture(scope="session")
def registry_of_vendors(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """With the plug-ins, too, that lie beside the specs of vendors which are not shipped."""
    project = tmp_path_factory.mktemp("vendors")
    (project / "connectors").mkdir()
    (project / "connectory.toml").touch()
    for plugin in (Path(__file__).parents[1] / "vendors").glob("*/*_plugin.py"):
        shutil.copy(plugin, project / "connectors")
    return load_registry(project)
