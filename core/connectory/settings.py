"""The settings of a vendor: from the caller, else the environment, else the project's `connectory.toml`."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs

from connectory.errors import SettingError, nearest
from connectory.project import DEFAULT_PROFILE, FILE, Keys, table_name
from connectory.project import Project as Project
from connectory.project import find_project as find_project
from connectory.secrets import Hidden, Resolver, Secret, built_in_resolvers, is_reference, resolve_reference

log = logging.getLogger("connectory")

PROFILE_VARIABLE = "CONNECTORY_PROFILE"


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


def variable_name(vendor: str, setting: str) -> str:
    """The environment variable of a vendor's setting, as CONNECTORY_ACME_API_KEY."""
    return re.sub("[^A-Z0-9]", "_", f"CONNECTORY_{vendor}_{setting}".upper())


def places_looked_at(vendor: str, setting: str, project: Project | None, profile: str = DEFAULT_PROFILE) -> str:
    """Every place where a setting may stand, by its exact name, in the order of search."""
    table = f"{setting} in {table_name('profiles', profile, vendor)} of "
    if project is None:
        table += f"{FILE} (there is none in this folder or above)"
    elif project.file is None:
        table += f"{project.root / FILE} (there is no such file)"
    else:
        table += str(project.file)
        if vendor not in (there := project.profiles.get(profile, {})):
            table += f" (there is no such table{nearest(vendor, there)})"
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
    in_file = {**resolvers, **built_in_resolvers(environ, project.root if project else None)}
    search = _Search(vendor, chosen, given, environ, project, {**resolvers, **built_in_resolvers(environ)}, in_file)
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
    resolvers_in_file: Mapping[str, Resolver]

    def find(self, setting: SettingWanted) -> Resolved:
        """The setting in the first place that has it. Raises SettingError when it is missing or wrong."""
        found = self._first(setting.name)
        if found is not None:
            return Resolved(self._value(setting, found), found.place)
        if setting.default is not None:
            return Resolved(Secret(str(setting.default)) if setting.secret else setting.default, "default")
        if setting.required:
            raise SettingError(self._missing(setting))
        return Resolved(None, "not given")

    def _first(self, name: str) -> _Found | None:
        if self.given.get(name) is not None:
            return _Found(self.given[name], f"keyword {name}")
        variable = variable_name(self.vendor, name)
        if self.environ.get(variable):
            return _Found(self.environ[variable], f"environment {variable}")
        table = self.project.settings(self.profile, self.vendor) if self.project else {}
        if self.project is not None and name in table:
            keys = ("profiles", self.profile, self.vendor)
            return _Found(table[name], f"{self.project.file} {table_name(*keys)}", (*keys, name))
        return None

    def _value(self, setting: SettingWanted, found: _Found) -> Any:
        resolvers = self.resolvers if found.keys is None else self.resolvers_in_file
        refers = isinstance(found.value, str) and is_reference(found.value, resolvers)
        if not setting.secret:
            if refers:
                raise self._wrong(setting, found, "references are for secrets; write the value of this setting itself")
            return found.value
        if isinstance(found.value, Secret):
            secret = found.value
        elif not isinstance(found.value, str):
            raise self._wrong(setting, found, f"a secret is a text, not {type(found.value).__name__}")
        elif refers:
            secret = self._referred(setting, found, resolvers)
        elif found.keys is not None:
            raise self._wrong(setting, found, self._literal(setting.name))
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

    def _literal(self, name: str) -> str:
        return (
            "a secret must not stand in this file, which is made to be committed: write a reference"
            f" (env:NAME, file:PATH, keyring:NAME), or set {variable_name(self.vendor, name)}"
        )

    def _missing(self, setting: SettingWanted) -> str:
        about = f" ({setting.about})" if setting.about else ""
        looked = places_looked_at(self.vendor, setting.name, self.project, self.profile)
        obtain = f"\n    where to get it: {setting.obtain}" if setting.obtain else ""
        kind = "secret" if setting.secret else "setting"
        return f"{self.vendor}: the {kind} '{setting.name}' is missing{about}\n    looked at: {looked}{obtain}"

    def unknown_profile(self) -> Iterator[str]:
        """The fault of a profile that was asked for and is not there."""
        there = self.project.profiles if self.project else {}
        if self.profile in there or self.profile == DEFAULT_PROFILE:
            return
        if self.project is None or self.project.file is None:
            yield f"profile '{self.profile}': there is no {FILE} in this folder or above"
            return
        known = f"{nearest(self.profile, there)} (profiles: {', '.join(there) or 'none'})"
        yield f"{self.project.file}: there is no profile '{self.profile}'{known}"

    def unknown_keywords(self, wanted: Sequence[SettingWanted]) -> Iterator[str]:
        """Keywords that are no setting."""
        names = [setting.name for setting in wanted]
        for name in self.given:
            if name not in names:
                yield f"{self.vendor}: no setting '{name}'{nearest(name, names)} (settings: {', '.join(names)})"

    def faults_of_file(self, wanted: Sequence[SettingWanted], vendors: Collection[str] | None) -> Iterator[str]:
        """Vendors and settings that are none, in every profile of the file, and literal secrets of this vendor."""
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
                    elif settings[name].secret and not is_reference(table[name], self.resolvers_in_file):
                        yield str(self.project.fault((*keys, name), self._literal(name)))

    def warn_of_misspelt_variables(self, wanted: Sequence[SettingWanted], vendors: Collection[str]) -> None:
        """A warning only: the environment is shared, and a vendor's name may begin with another's."""
        start = variable_name(self.vendor, "")
        known = {variable_name(self.vendor, setting.name): setting.name for setting in wanted}
        longer = tuple(other for v in vendors if len(other := variable_name(v, "")) > len(start))
        for variable in self.environ:
            if variable.startswith(start) and variable not in known and not variable.startswith(longer):
                hint = nearest(variable.removeprefix(start).lower(), known.values())
                if hint:
                    log.warning("the environment variable %s is no setting of %s%s", variable, self.vendor, hint)


def _is_garbled(secret: Secret) -> bool:
    """Keys in PEM have lines; in any other secret a line break came by mistake, and no header could carry it."""
    return not secret.reveal().startswith("-----BEGIN ") and any(ord(c) < 32 or ord(c) == 127 for c in secret.reveal())
