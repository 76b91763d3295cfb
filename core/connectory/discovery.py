"""What a workspace's own discovery finds, kept in the project where the loader of specs reads it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import msgspec

from connectory.calls import Purpose
from connectory.errors import CallError, ConnectoryError, LimitReached, PluginError, SpecError
from connectory.invoke import Engine
from connectory.messages import Request
from connectory.plugins.kinds import Discovered as Found
from connectory.request import cookie_header
from connectory.spec.load import Discovered, load_file, read_discovered

Query = Mapping[str, str] | Iterable[tuple[str, str]]


@attrs.frozen
class Summary:
    """What a discovery found: names of objects by family, and how they differ from those kept before."""

    vendor: str
    file: Path
    objects: Mapping[str, tuple[str, ...]]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __str__(self) -> str:
        count = sum(map(len, self.objects.values()))
        lines = [f"{self.vendor}: {count} object{'' if count == 1 else 's'} of this workspace, kept in {self.file}"]
        for word, names in (("new", self.added), ("gone", self.removed), ("changed", self.changed)):
            if names:
                lines.append(f"{word}: {', '.join(names)}")
        return "\n".join(lines if len(lines) > 1 else [*lines, "nothing has changed since the last time"])


def discover(engine: Engine, file: Path) -> Summary:
    """Ask the workspace for its objects and keep them in `file`. They become operations where a spec is next loaded.

    Raises CallError or LimitReached where the vendor does not answer and PluginError where what came makes no working
    spec; each says that what was kept before stays in use.
    """
    spec = engine.spec
    before = _kept(file)
    call = _caller(engine)
    found: dict[str, Found] = {}
    try:
        for name, family in spec.families.items():
            if family.discover is not None:
                kind = engine.registry.discover[family.discover.use]
                found[name] = _ask(f"{spec.name}: {family.discover.use}", kind.discover, family.discover.options, call)
        if not found:
            raise PluginError(f"{spec.name}: its spec names no discovery; its operations are the same everywhere")
        after = _ordered(found)
        _keep(engine, file, after)
    except (CallError, LimitReached, PluginError) as why:
        raise _with_note(why, file, before) from why.__cause__
    return _summary(spec.name, file, before or Discovered(), after)


def _kept(file: Path) -> Discovered | None:
    """What the last discovery kept; None where there is none, or none that can be read: it is about to be replaced."""
    try:
        return read_discovered(file) if file.exists() else None
    except SpecError:
        return None


def _caller(engine: Engine) -> Callable[..., Any]:
    """`call(method, path, query=(), body=None)` over the connector's line: signed, judged and within the limits."""
    line, spec = engine.line, engine.spec
    general = [name for name, limit in spec.limits.items() if limit.for_ == "all"]
    purpose = Purpose(
        operation="discovery",
        judges=line.judges,
        errors=spec.errors,
        budgets=[budget for name in general if (budget := engine.budgets[name]).bounds],
        repeatable=True,
        format=engine.registry.formats["json"],
    )

    def constants(spot: str) -> dict[str, str]:
        return {name: str(value) for name, value in engine.texts(spec.send, spot).items()}

    cookies = constants("cookies")
    headers = {"Accept": "application/json", **constants("headers")}
    headers |= {"Cookie": cookie_header(cookies)} if cookies else {}

    def call(method: str, path: str, query: Query = (), body: Any = None) -> Any:
        if method not in ("GET", "POST") or not path.startswith("/"):
            raise ValueError(f"expected GET or POST and a path such as /objects, got {method} {path}")
        pairs = dict(query.items() if isinstance(query, Mapping) else query)
        sent = headers if body is None else {**headers, "Content-Type": "application/json"}
        request = Request(
            method=method,
            url=line.settled(line.base).rstrip("/") + path,
            query=tuple({**constants("query"), **pairs}.items()),
            headers=sent,
            body=None if body is None else msgspec.json.encode(body),
        )
        return line.exchange(purpose, request)[1].data

    return call


def _ask(who: str, ask: Callable[[Any, Callable[..., Any]], Found], options: Any, call: Callable[..., Any]) -> Found:
    try:
        found = ask(options, call)
    except ConnectoryError:
        raise
    except Exception as why:  # a stranger's code, and a stranger's answer, may raise anything
        raise PluginError(f"{who}: the answer is not as expected ({type(why).__name__}: {why})") from why
    if not isinstance(found, Found):
        raise PluginError(f"{who}: expected Discovered, got {type(found).__name__}")
    return found


def _ordered(found: Mapping[str, Found]) -> Discovered:
    """The same finds in the same order whatever order the vendor has them in; `*`, the rest of a type, stands last."""

    def sorted_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
        return dict(sorted(fields.items(), key=lambda field: (field[0] == "*", field[0])))

    types = {name: sorted_fields(fields) for one in found.values() for name, fields in one.types.items()}
    pagers = {name: dict(sorted(numbers.items())) for one in found.values() for name, numbers in one.pagers.items()}
    return Discovered(
        objects={family: sorted(map(dict, one.objects), key=_name) for family, one in sorted(found.items())},
        types=dict(sorted(types.items())),
        pagers=dict(sorted(pagers.items())),
    )


def _name(row: Mapping[str, str]) -> str:
    """An object's name: its first column, as in a family's `known`."""
    return str(next(iter(row.values())))


def _with_note(why: ConnectoryError, file: Path, before: Discovered | None) -> ConnectoryError:
    count = sum(map(len, before.objects.values())) if before else 0
    stays = f"the {count} objects kept in {file} stay in use" if before else "no earlier discovery is kept"
    why.args = (f"{why}; {stays}",)
    return why


def _keep(engine: Engine, file: Path, after: Discovered) -> None:
    """Write it, for this user only and in a form that shows what differs, and put it in place if the spec loads so."""
    for folder in (file.parent.parent, file.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{file.stem}.", suffix=".new", dir=file.parent)  # mode 0600
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
            out.write(json.dumps(attrs.asdict(after), indent=2, ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())
        load_file(engine.registry, engine.registry.specs[engine.spec.name], read_discovered(fresh))
        fresh.replace(file)
    except SpecError as why:
        said = f"{engine.spec.name}: what the workspace says of itself makes no working spec, nothing of it is kept"
        raise PluginError(f"{said}:\n{why}\n") from why
    finally:
        fresh.unlink(missing_ok=True)


def _summary(vendor: str, file: Path, before: Discovered, after: Discovered) -> Summary:
    old, new = _by_name(before), _by_name(after)
    return Summary(
        vendor=vendor,
        file=file,
        objects={family: tuple(map(_name, rows)) for family, rows in after.objects.items()},
        added=tuple(name for _, name in sorted(new.keys() - old.keys())),
        removed=tuple(name for _, name in sorted(old.keys() - new.keys())),
        changed=tuple(key[1] for key in sorted(new.keys() & old.keys()) if old[key] != new[key]),
    )


def _by_name(kept: Discovered) -> dict[tuple[str, str], tuple[Mapping[str, str], Sequence[Any]]]:
    """Family and name -> the object's row and the types that its row names."""
    return {
        (family, _name(row)): (row, [kept.types[value] for value in row.values() if value in kept.types])
        for family, rows in kept.objects.items()
        for row in rows
    }
