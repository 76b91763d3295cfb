"""Which operations a change of a spec can be seen in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from connectory.spec.language import Spec
from connectory.testing.recorded.blame import related, types_of

_EVERYWHERE: Final = ("settings", "servers", "auth", "send", "wire", "errors", "outcomes")


def touched(before: Spec, after: Spec) -> list[str]:
    """The operations that mean something else now, those of `before`, in their order."""
    if any(getattr(before, name) != getattr(after, name) for name in _EVERYWHERE):
        return list(before.operations)
    if list(before.servers) != list(after.servers):  # the first is the default
        return list(before.operations)
    changed = {section: _changed(getattr(before, section), getattr(after, section)) for section in _NAMED}
    return [name for name in before.operations if _is_touched(before, name, changed)]


_NAMED: Final = ("operations", "pagers", "limits", "types")


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def _is_touched(spec: Spec, name: str, changed: Mapping[str, set[str]]) -> bool:
    called = related(spec, name)
    used = {
        "operations": called,
        "pagers": [pages for one in called if (pages := spec.operations[one].pages)],
        "limits": list(_limits(spec, called)),
        "types": types_of(spec, name),
    }
    return any(changed[section].intersection(used[section]) for section in _NAMED)


def _limits(spec: Spec, called: Iterable[str]) -> Iterator[str]:
    for one in called:
        yield from spec.operations[one].limits or [n for n, limit in spec.limits.items() if limit.for_ == "all"]
