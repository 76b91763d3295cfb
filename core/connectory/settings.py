"""The settings of a vendor: from the caller, else the environment, else the project's `connectory.toml`.

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
import logging
import os
import re
import stat
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from connectory.errors import Fault, SettingError, nearest
from connectory.secrets import Hidden, Resolver, Secret, built_in_resolvers, is_reference, resolve_reference

log = logging.getLogger("connectory")

FILE = "connectory.toml"
DEFAULT_PROFILE = "default"
PROFILE_VARIABLE = "CONNECTORY_PROFILE"

_MARKS = ("specs", "connectors", "recipes")
_LARGEST = 1_000_000
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

Keys = tuple[str, ...]
Places = Mapping[Keys, tuple[int, int]]


@attrs.frozen
class SettingWanted:
    """One setting of a vendor. `obtain` says where it is obtained and what must be activated first."""

    name: str
    secret: bool
    required: bool
    default: Any
    about: str = ""
    obtain: str = ""


@attrs.frozen
class Resolved:
    """What a setting is (a Secret where it is secret, None where it is not given), and the place where that was found.

    Values of the environment and of the file are texts, to be read by the setting's type.
    """

    value: Any
    place: str


@attrs.frozen
class Project:
    """A project's folder, its file where it has one, and what that says: profile -> vendor -> setting -> text."""

    root: Path
    file: Path | None = None
    profiles: Mapping[str, Mapping[str, Hidden]] = attrs.field(factory=dict, repr=False)
    places: Places = attrs.field(factory=dict, repr=False)

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


def variable_name(vendor: str, setting: str) -> str:
    """The environment variable of a vendor's setting, as CONNECTORY_ACME_API_KEY."""
    return re.sub("[^A-Z0-9]", "_", f"CONNECTORY_{vendor}_{setting}".upper())


def places_looked_at(vendor: str, setting: str, project: Project | None, profile: str = DEFAULT_PROFILE) -> str:
    """Every place where a setting may stand, by its exact name, in the order of search."""
    table = f"{setting} in [profiles.{_key(profile)}.{_key(vendor)}] of "
    if project is None:
        table += f"{FILE} (there is none in this folder or above)"
    elif project.file is None:
        table += f"{project.root / FILE} (there is no such file)"
    else:
        table += str(project.file)
        if vendor not in (there := project.profiles.get(profile, {})):
            table += f" (there is no such table{nearest(vendor, there).rstrip('?')})"
    return f"the keyword {setting}; the environment variable {variable_name(vendor, setting)}; {table}"


def resolve_settings(
    vendor: str,
    wanted: Sequence[SettingWanted],
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    project: Project | None,
    resolvers: Mapping[str, Resolver],
    *,
    profile: str | None = None,
    vendors: Collection[str] | None = None,
) -> dict[str, Resolved]:
    """Every wanted setting by name: from `given`, else the environment, else the profile of the project, else default.

    A None in `given` and an empty environment variable count as not given. Secrets may be references anywhere, and in
    the project's file must be. `vendors`, where given, are all that the file may name. Raises SettingError with
    everything that is missing, unknown or wrong.
    """
    given, environ = Hidden(given), Hidden(environ)
    chosen = profile or environ.get(PROFILE_VARIABLE) or DEFAULT_PROFILE
    file_resolvers = {**resolvers, **built_in_resolvers(environ, project.root if project else None)}
    resolvers = {**resolvers, **built_in_resolvers(environ)}
    search = _Search(vendor, chosen, given, environ, project, resolvers, file_resolvers)
    wrong = [*search.unknown_profile(), *search.unknown_keywords(wanted), *search.faults_of_file(wanted, vendors)]
    found: dict[str, Resolved] = {}
    for setting in wanted:
        try:
            found[setting.name] = search.find(setting)
        except SettingError as why:
            wrong.append(str(why))
    if wrong:
        raise SettingError("\n".join(dict.fromkeys(wrong)))
    search.warn_of_misspelt_variables(wanted, vendors or ())
    return found


@attrs.frozen
class _Found:
    """A setting as it was found; `keys` where it stands in the project's file."""

    value: Any = attrs.field(repr=False)
    place: str
    keys: Keys | None = None


@attrs.frozen
class _Search:
    """The places of one vendor's settings. No method has a secret's value among its variables when it raises."""

    vendor: str
    profile: str
    given: Mapping[str, Any]
    environ: Mapping[str, str]
    project: Project | None
    resolvers: Mapping[str, Resolver]
    file_resolvers: Mapping[str, Resolver]

    def find(self, setting: SettingWanted) -> Resolved:
        found = self._first(setting.name)
        if found is not None:
            return Resolved(self._value(setting, found), found.place)
        if setting.default is None and setting.required:
            raise SettingError(self._missing(setting))
        if setting.default is None:
            return Resolved(None, "not given")
        return Resolved(Secret(str(setting.default)) if setting.secret else setting.default, "default")

    def _first(self, name: str) -> _Found | None:
        if self.given.get(name) is not None:
            return _Found(self.given[name], f"keyword {name}")
        variable = variable_name(self.vendor, name)
        if self.environ.get(variable):
            return _Found(self.environ[variable], f"environment {variable}")
        if self.project is not None and name in (
            table := self.project.profiles.get(self.profile, {}).get(self.vendor, {})
        ):
            place = f"{self.project.file} [profiles.{_key(self.profile)}.{_key(self.vendor)}]"
            return _Found(table[name], place, ("profiles", self.profile, self.vendor, name))
        return None

    def _value(self, setting: SettingWanted, found: _Found) -> Any:
        resolvers = self.resolvers if found.keys is None else self.file_resolvers
        refers = isinstance(found.value, str) and is_reference(found.value, resolvers)
        if not setting.secret:
            if refers:
                raise self._wrong(
                    setting, found, "a reference is for secrets, and this setting is shown to people: write its value"
                )
            return found.value
        if isinstance(found.value, Secret):
            secret = found.value
        elif not isinstance(found.value, str):
            raise self._wrong(setting, found, f"a secret is a text, not {type(found.value).__name__}")
        elif refers:
            secret = self._referred(setting, found, resolvers)
        elif found.keys is not None:
            raise self._wrong(setting, found, _literal(variable_name(self.vendor, setting.name)))
        else:
            secret = Secret(found.value)
        if not secret:
            raise self._wrong(setting, found, "the secret is empty")
        if _is_garbled(secret):
            raise self._wrong(setting, found, "the secret holds a line break or another control character")
        return secret

    def _referred(self, setting: SettingWanted, found: _Found, resolvers: Mapping[str, Resolver]) -> Secret:
        try:
            return resolve_reference(found.value, resolvers)
        except SettingError as why:
            problem = str(why)
        raise self._wrong(setting, found, problem)

    def _wrong(self, setting: SettingWanted, found: _Found, message: str) -> SettingError:
        if found.keys is not None and self.project is not None:
            return SettingError(str(self.project.fault(found.keys, message)))
        return SettingError(f"{self.vendor}: setting '{setting.name}' ({found.place}): {message}")

    def _missing(self, setting: SettingWanted) -> str:
        about = f" ({setting.about})" if setting.about else ""
        looked = places_looked_at(self.vendor, setting.name, self.project, self.profile)
        obtain = f"\n    where to get it: {setting.obtain}" if setting.obtain else ""
        kind = "secret" if setting.secret else "setting"
        return f"{self.vendor}: {kind} '{setting.name}' is missing{about}\n    looked at: {looked}{obtain}"

    def unknown_profile(self) -> Iterator[str]:
        there = self.project.profiles if self.project else {}
        if self.profile in there or self.profile == DEFAULT_PROFILE:
            return
        if self.project is None or self.project.file is None:
            yield f"profile '{self.profile}': there is no {FILE} in this folder or above that could have it"
            return
        profiles = ", ".join(there) or "none"
        yield f"{self.project.file}: there is no profile '{self.profile}'{nearest(self.profile, there)} (profiles: {profiles})"

    def unknown_keywords(self, wanted: Sequence[SettingWanted]) -> Iterator[str]:
        names = [setting.name for setting in wanted]
        for name in self.given:
            if name not in names:
                yield f"{self.vendor}: no setting '{name}'{nearest(name, names)} (settings: {', '.join(names)})"

    def faults_of_file(self, wanted: Sequence[SettingWanted], vendors: Collection[str] | None) -> Iterator[str]:
        """Names in the file that mean nothing, in every profile; literal secrets of this vendor."""
        if self.project is None:
            return
        settings = {setting.name: setting for setting in wanted}
        for profile, tables in self.project.profiles.items():
            for vendor, table in tables.items():
                keys = ("profiles", profile, vendor)
                if vendors is not None and vendor not in vendors:
                    yield str(self.project.fault(keys, f"no vendor '{vendor}'{nearest(vendor, vendors)}"))
                for name in table if vendor == self.vendor else ():
                    if name not in settings:
                        known = f"{nearest(name, settings)} (settings: {', '.join(settings)})"
                        yield str(self.project.fault((*keys, name), f"no setting '{name}'{known}"))
                    elif settings[name].secret and not is_reference(table[name], self.file_resolvers):
                        message = _literal(variable_name(self.vendor, name))
                        yield str(self.project.fault((*keys, name), message))

    def warn_of_misspelt_variables(self, wanted: Sequence[SettingWanted], vendors: Collection[str]) -> None:
        """A warning only: the environment is shared, and a variable may belong to something else."""
        names = {variable_name(self.vendor, setting.name) for setting in wanted}
        start = variable_name(self.vendor, "")
        others = tuple(
            variable_name(v, "") for v in vendors if variable_name(v, "").startswith(start) and v != self.vendor
        )
        for variable in self.environ:
            if variable.startswith(start) and variable not in names and not (others and variable.startswith(others)):
                log.warning(
                    "environment variable %s is no setting of %s%s", variable, self.vendor, nearest(variable, names)
                )


def _literal(variable: str) -> str:
    return (
        "a secret must not stand in this file, which is made to be committed: write a reference"
        f" (env:NAME, file:PATH, keyring:NAME), or set {variable}"
    )


def _is_garbled(secret: Secret) -> bool:
    """Keys in PEM have lines; in any other secret a line break came by mistake, and no header could carry it."""
    return not secret.reveal().startswith("-----BEGIN ") and any(ord(c) < 32 or ord(c) == 127 for c in secret.reveal())


def _is_shared(folder: Path) -> bool:
    mode = folder.stat().st_mode
    return os.name == "posix" and bool(mode & stat.S_ISVTX) and bool(mode & stat.S_IWOTH)


def _read_project(folder: Path) -> Project:
    file = folder / FILE
    data, places, faults = _parse(file)
    profiles = _profiles(data, file, places, faults)
    if faults:
        raise SettingError("\n".join(map(str, faults)))
    return Project(folder, file, profiles, places)


def _parse(file: Path) -> tuple[Hidden, Places, list[Fault]]:
    try:
        with file.open("rb") as opened:
            raw = opened.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            return Hidden({}), {}, [_fault(file, {}, (), f"larger than {_LARGEST:,} bytes")]
        text = raw.decode("utf-8-sig")
        return Hidden(tomllib.loads(text)), dict(_key_places(text)), []
    except OSError as why:
        fault = _fault(file, {}, (), f"cannot be read: {why.strerror}")
    except UnicodeDecodeError:
        fault = _fault(file, {}, (), "is not UTF-8")
    except RecursionError:
        fault = _fault(file, {}, (), "is nested too deeply")
    except ValueError as why:  # TOMLDecodeError, and numbers too long for Python
        found = _POSITION.search(str(why))
        line, column = (int(found[1]), int(found[2])) if found and found[1] else (text.count("\n") + 1, 1)
        fault = Fault(str(file), line, column, "", _POSITION.sub("", str(why)))
    return Hidden({}), {}, [fault]


def _profiles(data: Hidden, file: Path, places: Places, faults: list[Fault]) -> dict[str, dict[str, Hidden]]:
    def wrong(keys: Keys, message: str) -> None:
        faults.append(_fault(file, places, keys, message))

    for key in data:
        if key != "profiles":
            wrong(
                (key,), f"unknown key '{key}'{nearest(key, ['profiles'])}; settings stand in [profiles.default.VENDOR]"
            )
    read: dict[str, dict[str, Hidden]] = {}
    for profile, tables in _tables(data.get("profiles", {}), ("profiles",), wrong):
        read[profile] = {}
        for vendor, settings in _tables(tables, ("profiles", profile), wrong):
            keys = ("profiles", profile, vendor)
            read[profile][vendor] = Hidden({n: _text(settings[n], (*keys, n), wrong) for n in settings})
    return read


def _tables(table: Any, keys: Keys, wrong: Any) -> Iterator[tuple[str, Hidden]]:
    """The tables in a table; anything else there is a fault."""
    shape = f"[{'.'.join([*map(_key, keys), *['PROFILE', 'VENDOR'][len(keys) - 1 :]])}]"
    if not isinstance(table, dict | Hidden):
        wrong(keys, f"expected tables {shape}, not {_kind(table)}")
        return
    for key in table:
        if isinstance(table[key], dict):
            yield key, Hidden(table[key])
        else:
            wrong((*keys, key), f"expected a table, not {_kind(table[key])}: settings stand in {shape}")


def _text(value: Any, keys: Keys, wrong: Any) -> str:
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
    wrong(keys, f"expected a text, a number, true or false, or a date, not {_kind(value)}")
    return ""


def _kind(value: Any) -> str:
    kinds = {dict: "a table", list: "a list", str: "a text", bool: "true or false", int: "a number that long"}
    return kinds.get(type(value), "this")


def _key_places(text: str) -> Iterator[tuple[Keys, tuple[int, int]]]:
    """Line and column of the keys that stand on a line of their own; tomllib keeps no places."""
    table: Keys = ()
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            paths = list(_paths(tomllib.loads(line)))
        except (ValueError, RecursionError):  # part of a value of several lines
            continue
        if line.lstrip().startswith("["):
            table = ()
            paths = paths[-1:]
        for path in paths:
            yield (*table, *path), (number, len(line) - len(line.lstrip()) + 1)
        if line.lstrip().startswith("["):
            table = paths[-1]


def _paths(value: dict[str, Any], above: Keys = ()) -> Iterator[Keys]:
    for key, inner in value.items():
        yield (*above, key)
        if isinstance(inner, dict):
            yield from _paths(inner, (*above, key))


def _fault(file: Path, places: Places, keys: Keys, message: str) -> Fault:
    line, column = next((places[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in places), (1, 1))
    return Fault(str(file), line, column, "/".join(keys), message)


def _key(name: str) -> str:
    """A key as TOML writes it."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
