"""Plug-ins that come with an installed package, by its entry point."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from connectory import PluginError
from connectory.plugins.registry import load_registry

HOOK = """
from connectory import hookimpl

@hookimpl
def connectory_filters():
    return {"shout": str.upper}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages with one whose entry point names a module `loud`."""
    about = tmp_path / "loud-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[connectory]\nloud = loud_plugin\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "loud_plugin", raising=False)
    return tmp_path


def test_an_installed_packages_words_join_the_built_in_ones(site: Path) -> None:
    (site / "loud_plugin.py").write_text(HOOK)
    registry = load_registry()
    assert registry.filters["shout"]("a") == "A"
    assert ("loud_plugin", "loud 1.0") in [(plugin.name, plugin.origin) for plugin in registry.plugins]


def test_one_that_cannot_be_imported_is_named_and_the_others_go_on(site: Path) -> None:
    (site / "loud_plugin.py").write_text("import no_such_module\n")
    registry = load_registry()
    assert "no_such_module" in registry.broken["loud"]
    assert "json" in registry.formats


def test_a_misspelt_hook_fails_at_start_with_the_nearest_name(site: Path) -> None:
    (site / "loud_plugin.py").write_text(HOOK.replace("connectory_filters", "connectory_filtres"))
    with pytest.raises(PluginError, match="did you mean 'connectory_filters'"):
        load_registry()
