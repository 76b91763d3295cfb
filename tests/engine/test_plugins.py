"""Plug-ins of a project that are wrong: named at start, before any spec uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectory.errors import PluginError
from connectory.plugins.registry import load_registry


def write(project: Path, hook: str, returns: str) -> None:
    (project / "connectors").mkdir()
    text = f"from connectory import hookimpl\n\n\n@hookimpl\ndef {hook}():\n    return {returns}\n"
    (project / "connectors" / "wrong.py").write_text(text)


@pytest.mark.parametrize(
    ("hook", "returns", "expected"),
    [
        ("connectory_auth", "{'signed': 5}", "'signed' must be an AuthKind, not int"),
        ("connectory_auth", "{'signed': lambda request: request}", "'signed' must be an AuthKind, not function"),
        ("connectory_pagers", "{'mine': print}", "'mine' must be a PagerKind, not builtin_function_or_method"),
        ("connectory_codecs", "{'mine': None}", "'mine' must be a Codec, not NoneType"),
        ("connectory_filters", "{'mine': 'upper'}", "'mine' must be a function, not str"),
        ("connectory_auth", "['signed']", "must return a mapping, not list"),
        ("connectory_auths", "{}", "did you mean 'connectory_auth'"),
    ],
)
def test_a_hook_that_gives_another_kind_is_named_at_start(
    tmp_path: Path, hook: str, returns: str, expected: str
) -> None:
    write(tmp_path, hook, returns)
    with pytest.raises(PluginError, match="wrong") as caught:
        load_registry(tmp_path)
    assert expected in str(caught.value)
