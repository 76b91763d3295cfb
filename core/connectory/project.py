"""A user's project: its folder, and the profiles in its `connectory.toml`.

    [profiles.default.acme]            # profile, then vendor; a profile stands alone, it inherits nothing
    site = "hilltop"
    api_key = "env:HILLTOP_KEY"        # a secret is a reference here, never the value: this file is committed

    [profiles.trial.acme]              # taken by profile="trial", --profile trial or CONNECTORY_PROFILE=trial
    server = "sandbox"
    site = "hilltop"
    api_key = "file:.secrets/trial"    # relative to this file

The profile is `default` unless another is named. Values are texts, numbers, true or false, and dates.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from connectory.errors import Fault, SettingError, nearest
from connectory.secrets import Hidden

FILE = "connectory.toml"
DEFAULT_PROFILE = "default"

Keys = tuple[str, ...]
Places = Mapping[Keys, tuple[int, int]]

_MARKS = ("specs", "connectors", "recipes")
_LARGEST = 1_000_000
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@attrs.frozen
class Project:
    """A project's folder, its file where it has one, and what that says: profile -> vendor -> setting -> text."""

    root: Path
    file: Path | None = None
    profiles: Mapping[str, Mapping[str, Hidden]] = attrs.field(factory=dict, repr=False)
    places: Places = attrs.field(factory=dict, repr=False)

    def settings(self, profile: str, vendor: str) -> Hidden:
        """What the file says of a vendor in a profile; empty where it says nothing."""
        return self.profiles.get(profile, {}).get(vendor, Hidden({}))

    def fault(self, keys: Keys, message: str) -> Fault:
        """A fault of the file, at the line of this key or of the nearest table around it."""
        return _fault(self.root / FILE, self.places, keys, message)


def find_project(start: Path) -> Project | None:
    """The project that a folder belongs to: the nearest one upwards with a `connectory.toml`, else the folder itself
    where it holds specs/, connectors/ or recipes/.

    A folder into which every user may put files (/tmp) is nobody's project, since a project's connectors are run.
    Raises SettingError with all faults of the file, and for a folder that is not there.
    """
    start = start.resolve()
    if not start.is_dir():
        raise SettingError(f"{start}: there is no such folder")
    for folder in (start, *start.parents):
        if os.path.isfile(folder / FILE) and not _is_shared(folder):
            return _read_project(folder)
    has_mark = any(os.path.isdir(start / mark) for mark in _MARKS)
    return Project(start) if has_mark and not _is_shared(start) else None


def table_name(*keys: str) -> str:
    """The header of a table, as TOML writes it: `[profiles.default.acme]`."""
    return f"[{'.'.join(key if re.fullmatch(r'[A-Za-z0-9_-]+', key) else json.dumps(key) for key in keys)}]"


def _is_shared(folder: Path) -> bool:
    mode = folder.stat().st_mode
    return os.name == "posix" and bool(mode & stat.S_ISVTX) and bool(mode & stat.S_IWOTH)


def _read_project(folder: Path) -> Project:
    file = folder / FILE
    data, places, faults = _parse(file)
    profiles = _profiles(data, lambda keys, message: faults.append(_fault(file, places, keys, message)))
    if faults:
        raise SettingError("\n".join(map(str, faults)))
    return Project(folder, file, profiles, places)


def _parse(file: Path) -> tuple[Hidden, Places, list[Fault]]:
    """It raises nothing, so that no traceback holds the file, in which somebody may have put a secret."""
    import tomllib  # here, since not every project has such a file

    try:
        with file.open("rb") as opened:
            raw = opened.read(_LARGEST + 1)
    except OSError as why:
        return Hidden({}), {}, [_fault(file, {}, (), f"cannot be read: {why.strerror}")]
    if len(raw) > _LARGEST:
        return Hidden({}), {}, [_fault(file, {}, (), f"is larger than {_LARGEST:,} bytes")]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Hidden({}), {}, [_fault(file, {}, (), "is not UTF-8")]
    try:
        return Hidden(tomllib.loads(text)), dict(_key_places(text)), []
    except RecursionError:
        return Hidden({}), {}, [_fault(file, {}, (), "is nested too deeply")]
    except ValueError as why:  # TOMLDecodeError, or a number too long for Python
        return Hidden({}), {}, [_syntax_fault(file, str(why), text.count("\n") + 1)]


def _syntax_fault(file: Path, message: str, last_line: int) -> Fault:
    found = _POSITION.search(message)
    if found is None:
        return Fault(str(file), 1, 1, "", message)
    line, column = (int(found[1]), int(found[2])) if found[1] else (last_line, 1)
    return Fault(str(file), line, column, "", _POSITION.sub("", message))


_Report = Callable[[Keys, str], None]


def _profiles(data: Hidden, report: _Report) -> dict[str, dict[str, Hidden]]:
    for key in data:
        if key != "profiles":
            hint = nearest(key, ["profiles"])
            report((key,), f"unknown key '{key}'{hint}; settings stand in [profiles.default.VENDOR]")
    read: dict[str, dict[str, Hidden]] = {}
    for profile, vendors in _tables(data.get("profiles", {}), ("profiles",), "[profiles.PROFILE.VENDOR]", report):
        read[profile] = {}
        shape = table_name("profiles", profile, "VENDOR")
        for vendor, settings in _tables(vendors, ("profiles", profile), shape, report):
            keys = ("profiles", profile, vendor)
            read[profile][vendor] = Hidden({name: _text(settings[name], (*keys, name), report) for name in settings})
    return read


def _tables(table: object, keys: Keys, shape: str, report: _Report) -> Iterator[tuple[str, Hidden]]:
    """The tables in a table; anything else there is a fault."""
    if not isinstance(table, dict | Hidden):
        report(keys, f"expected tables {shape}")
        return
    for key in table:
        if isinstance(table[key], dict):
            yield key, Hidden(table[key])
        else:
            report((*keys, key), f"expected a table: settings stand in {shape}")


def _text(value: object, keys: Keys, report: _Report) -> str:
    """A value as the environment would have it: the setting's type reads it."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() if -(2**63) <= value < 2**63:
            return str(value)
        case float() | datetime.time():
            return str(value)
        case datetime.date():
            return value.isoformat()
    kind = {dict: "a table", list: "a list", int: "a number of more than 64 bits"}[type(value)]
    report(keys, f"expected a text, a number, true or false, or a date, not {kind}")
    return ""


def _key_places(text: str) -> Iterator[tuple[Keys, tuple[int, int]]]:
    """Line and column of the keys that stand on a line of their own; tomllib keeps no places."""
    import tomllib

    table: Keys = ()
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            paths = list(_paths(tomllib.loads(line)))
        except (ValueError, RecursionError):  # part of a value of several lines
            continue
        if line.lstrip().startswith("["):
            table, paths = (), paths[-1:]
        for path in paths:
            yield (*table, *path), (number, len(line) - len(line.lstrip()) + 1)
        if line.lstrip().startswith("["):
            table = paths[0]


def _paths(value: dict[str, Any], above: Keys = ()) -> Iterator[Keys]:
    for key, inner in value.items():
        yield (*above, key)
        if isinstance(inner, dict):
            yield from _paths(inner, (*above, key))


def _fault(file: Path, places: Places, keys: Keys, message: str) -> Fault:
    line, column = next((places[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in places), (1, 1))
    return Fault(str(file), line, column, "/".join(keys), message)
