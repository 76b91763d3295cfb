"""Puts a connector together: spec, settings, limits, token store and transport of one vendor."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs

from connectory.ahead import LeavableClock
from connectory.auth.credentials import Credentials
from connectory.auth.rotation import Rotation
from connectory.auth.tokens import TokenKey, TokenStore
from connectory.calls import Line
from connectory.clock import Clock, SystemClock
from connectory.connector import Connector
from connectory.errors import ArgumentError, SettingError, nearest
from connectory.invoke import Engine, new_key
from connectory.limits.blocks import usual_ledger
from connectory.limits.budgets import NO_RESTRAINT, Budget, Restraint, parse_rate
from connectory.limits.costs import Costs, Gate, always_open
from connectory.limits.ledger import Ledger
from connectory.limits.sqlite import SqliteLedger
from connectory.messages import origin_of
from connectory.operation import builtin_judge
from connectory.outcomes import Judge, compile_rules
from connectory.plugins.registry import Registry
from connectory.plugins.registry import load_registry as _load_registry
from connectory.retry import DEFAULT, Policy
from connectory.secrets import Hidden, Redactor, Secret
from connectory.settings import Project, Resolved, SettingWanted, find_project, resolve_settings
from connectory.spec.checks.vendor import auth_names
from connectory.spec.expressions import compile_expression, expression_names
from connectory.spec.language import Auth, Limit, Spec
from connectory.spec.load import Loaded, load_spec, read_discovered
from connectory.spec.typeexpr import Scalar
from connectory.spec.words import Setting
from connectory.spending import Teller
from connectory.transport.client import Transport, UrllibTransport
from connectory.transport.options import TransportOptions
from connectory.values.codecs import BUILT_IN
from connectory.values.texts import parse_text
from connectory.values.writing import ValueFault, Writers

UNIVERSAL = {
    "server": "name of one of the connector's servers, or a URL (self-hosted, a mock, an emulator)",
    "concurrent": "requests at once, up to what the vendor allows",
    "allow_http": "true lets requests go over plain HTTP to a host that is not this machine",
}


@attrs.frozen
class Parts:
    """What a program or a test may put in place of the usual: time, the places where things are kept, the
    transport, and what makes the keys of items that have none.

    `restraint` is what is left to others of each limit, `gate` is asked before each call, and `costs` counts them.
    """

    clock: Clock = attrs.Factory(SystemClock)
    ledger: Ledger | None = None
    tokens: TokenStore | None = None
    rotation: Rotation | None = None
    transport: Transport | None = None
    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    policy: Policy = DEFAULT
    make_key: Callable[[], str] = new_key
    restraint: Restraint = NO_RESTRAINT
    gate: Gate = always_open
    costs: Costs | None = None


def connect(
    vendor: str,
    *,
    profile: str | None = None,
    project: str | Path | None = None,
    max_wait: float = 300.0,
    parts: Parts | None = None,
    **settings: Any,
) -> Connector:
    """A vendor's operations, ready to call.

    `settings` are the vendor's own and `server`, `concurrent`, `allow_http`; those not given come from the environment
    (`CONNECTORY_<VENDOR>_<SETTING>`) and the project's `connectory.toml`. `max_wait` is the longest pause, in seconds,
    that a limit may cost; a longer one raises LimitReached with the time to come back. Nothing is sent yet.

    Raises ArgumentError for a vendor nobody brings, SpecError for a wrong spec, SettingError for settings.
    """
    given = Hidden(settings)  # a secret among them stays out of tracebacks
    del settings
    if isinstance(max_wait, bool) or not isinstance(max_wait, int | float):
        raise ArgumentError(f"max_wait is a number of seconds, got {type(max_wait).__name__}")
    parts = parts or Parts()
    home = open_project(project)
    registry = load_registry(home.root if home else None)
    loaded = load_spec(registry, vendor, read_discovered(discovery_file(home, vendor)))
    resolved = _resolve(loaded.spec, registry, given, parts.environ, home, profile)
    return Connector(_engine(loaded.spec, registry, resolved, parts, max_wait), discovery_file(home, vendor))


def connect_spec(
    loaded: Loaded,
    registry: Registry,
    settings: Mapping[str, Any],
    *,
    parts: Parts,
    max_wait: float = 300.0,
    discoveries: Path | None = None,
) -> Connector:
    """A connector of a spec at hand. `settings` are values of their types, secrets as `Secret`; none is looked for
    elsewhere, and those not given are the spec's defaults."""
    spec, values = loaded.spec, dict.fromkeys(UNIVERSAL, None) | dict(settings)
    for name, setting in spec.settings.items():
        if setting.value is None and values.get(name) is None:
            values[name] = setting.default
    _compute(spec, registry, values)
    return Connector(_engine(spec, registry, values, parts, max_wait), discoveries)


def settings_of(
    loaded: Loaded,
    registry: Registry,
    given: Mapping[str, Any],
    *,
    environ: Mapping[str, str],
    project: Project | None = None,
    profile: str | None = None,
) -> dict[str, Any]:
    """Every setting that `connect` would use, by name, as a value of its type. Raises SettingError."""
    return _resolve(loaded.spec, registry, given, environ, project, profile)


def open_project(project: str | Path | None = None) -> Project | None:
    """The project given, or the one around the working directory."""
    return find_project(Path(project) if project is not None else Path.cwd())


@lru_cache(maxsize=8)
def load_registry(project: Path | None = None) -> Registry:
    """The plug-ins installed and those of a project, found once a process."""
    return _load_registry(project)


def open_spec(vendor: str, project: str | Path | None = None) -> Loaded:
    """The checked spec of a vendor, with what was discovered in this project."""
    home = open_project(project)
    return load_spec(load_registry(home.root if home else None), vendor, read_discovered(discovery_file(home, vendor)))


def discovery_file(project: Project | None, vendor: str) -> Path:
    """Where a project keeps what `connectory discover` found of a vendor."""
    root = project.root if project else Path.cwd()
    return root / ".connectory" / "discovered" / f"{vendor}.json"


def _resolve(
    spec: Spec,
    registry: Registry,
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    project: Project | None,
    profile: str | None,
) -> dict[str, Any]:
    """Every setting by name, as a value of its type; None where it is not given."""
    wanted = [
        SettingWanted(
            name=name,
            secret=setting.type == Scalar("secret"),
            required=setting.required,
            default=setting.default,
            about=setting.about,
            obtain=setting.obtain,
        )
        for name, setting in spec.settings.items()
        if setting.value is None
    ]
    wanted += [
        SettingWanted(name=name, secret=False, required=False, default=None, about=about)
        for name, about in UNIVERSAL.items()
    ]
    found = resolve_settings(
        spec.name, wanted, given, environ, project, registry.secrets, profile=profile, vendors=registry.specs
    )
    values = {name: _typed(spec, name, resolved) for name, resolved in found.items()}
    _compute(spec, registry, values)
    return values


def _compute(spec: Spec, registry: Registry, values: dict[str, Any]) -> None:
    """Fill in the settings that are made of others."""
    for name, setting in spec.settings.items():
        if setting.value is not None:
            values[name] = compile_expression(str(setting.value), registry.filters).render_optional(_revealed(values))


def _typed(spec: Spec, name: str, resolved: Resolved) -> Any:
    value, setting = resolved.value, spec.settings.get(name, _UNIVERSAL_TYPES.get(name, Setting()))
    if value is None:
        return None
    where = f"{spec.name}: setting '{name}' ({resolved.place})"
    if isinstance(value, str):
        try:
            value = parse_text(value, setting.type)
        except ValueError as why:
            raise SettingError(f"{where}: {why}") from None
    if not isinstance(value, Secret):
        try:
            Writers(spec.types, "rfc3339", BUILT_IN).of(setting.type)(value)
        except ValueFault as why:
            raise SettingError(f"{where}: {why}") from None
    allowed = getattr(setting.type, "values", None)
    if allowed is not None and value not in allowed:
        raise SettingError(f"{where}: expected one of {', '.join(map(str, allowed))}")
    if not _fits(setting.pattern, value):
        shown = "" if isinstance(value, Secret) else f" '{value}'"
        raise SettingError(f"{where}:{shown} does not look like {setting.pattern}")
    return value


def _fits(pattern: str | None, value: Any) -> bool:
    """Whether a value looks as it must; a secret is revealed in this frame only."""
    text = value.reveal() if isinstance(value, Secret) else str(value)
    return pattern is None or re.fullmatch(pattern, text) is not None


_UNIVERSAL_TYPES = {"concurrent": Setting(type=Scalar("int")), "allow_http": Setting(type=Scalar("bool"))}


def _revealed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return Hidden({name: value.reveal() if isinstance(value, Secret) else value for name, value in values.items()})


def _engine(spec: Spec, registry: Registry, settings: dict[str, Any], parts: Parts, max_wait: float) -> Engine:
    redactor = Redactor()
    for value in settings.values():
        if isinstance(value, Secret):
            redactor.add(value.reveal())
    names = _revealed({name: value for name, value in settings.items() if name not in UNIVERSAL})

    def render(text: str, known: Mapping[str, Any]) -> str | None:
        return compile_expression(text, registry.filters).render_optional(known) if "{{" in text else text

    def by_settings(text: str) -> str | None:
        return render(text, names)

    base = _base(spec, settings.get("server"), by_settings)
    concurrency, limits = _concurrency(spec, settings.get("concurrent"))
    budgets = {
        name: attrs.evolve(_budget(spec, name, limit, limits[name], settings, base), restraint=parts.restraint)
        for name, limit in spec.limits.items()
    }
    number, auth = _choose_auth(spec, names)
    options = TransportOptions(pool_size=max(10, concurrency), allow_http=bool(settings.get("allow_http")))
    bases = {name: _rendered_server(spec, name, by_settings) for name in spec.servers}
    elsewhere = "://" in str(settings.get("server") or "")
    if elsewhere:
        bases = dict.fromkeys(bases, base)
    line = Line(
        vendor=spec.name,
        base=base,
        elsewhere=elsewhere,
        origins=_own_origins(spec, base, bases),
        token=auth.token if auth else None,
        token_key=_token_key(spec, base, number, settings) if auth and auth.token else None,
        token_budgets=[budgets[name] for name, limit in spec.limits.items() if limit.for_ == "all"],
        credentials=Credentials(auth, registry.auth[auth.use] if auth and auth.use else None, names, render),
        obtain=_obtain(spec, auth),
        transport=parts.transport or UrllibTransport(options, clock=parts.clock),
        ledger=parts.ledger
        or (usual_ledger() if isinstance(parts.clock, SystemClock) else SqliteLedger(clock=parts.clock)),
        tokens=parts.tokens or TokenStore(),
        rotation=parts.rotation or Rotation(),
        clock=LeavableClock(parts.clock),
        redactor=redactor,
        codecs=registry.codecs,
        formats=registry.formats,
        judges=_token_judges(spec, registry),
        errors=spec.errors,
        render=render,
        max_wait=max_wait,
        policy=parts.policy,
        lease_seconds=options.deadline + 30.0,
        costs=parts.costs or Costs(),
        teller=Teller({name: limit.learn for name, limit in spec.limits.items() if limit.learn}, registry.codecs),
        gate=parts.gate,
    )
    return Engine(
        spec=spec,
        registry=registry,
        line=line,
        settings=names,
        budgets=budgets,
        bases=bases,
        concurrency=concurrency,
        make_key=parts.make_key,
    )


def _token_judges(spec: Spec, registry: Registry) -> tuple[Judge, ...]:
    rules = compile_rules(spec.outcomes, registry.outcomes, registry.codecs, "read")
    return (*rules, builtin_judge(registry, "status"))


def _rendered_server(spec: Spec, name: str, render: Callable[[str], str | None]) -> str:
    """The base URL; one that a login's answer tells is a template still."""
    template = str(spec.servers[name])
    return template if names_kept(template) else render(template) or ""


def _base(spec: Spec, server: Any, render: Callable[[str], str | None]) -> str:
    """The base URL: a server of the spec by name, or a URL given."""
    if server is None:
        return _rendered_server(spec, next(iter(spec.servers)), render)
    if server in spec.servers:
        return _rendered_server(spec, server, render)
    if "://" not in server:
        raise SettingError(
            f"{spec.name}: no server '{server}'{nearest(server, spec.servers)} "
            f"(there are {', '.join(spec.servers)}); or give a URL"
        )
    try:
        origin_of(server)
    except ValueError as why:
        raise SettingError(f"{spec.name}: server '{server}': {why}") from None
    return str(server)


def _own_origins(spec: Spec, base: str, bases: Mapping[str, str]) -> frozenset[str]:
    """Where credentials may go: the server in use, and those that operations name."""
    named = {bases[operation.server] for operation in spec.operations.values() if operation.server}
    return frozenset(origin_of(one) for one in {base, *named} if one and not names_kept(one))


def _concurrency(spec: Spec, wanted: int | None) -> tuple[int, dict[str, int | None]]:
    """Requests at once of one walk, and of each limit: what the vendor advises, unless more is asked for."""
    if wanted is not None and wanted < 1:
        raise SettingError(f"{spec.name}: concurrent={wanted}: at least one request at once")
    limits: dict[str, int | None] = {}
    for name, limit in spec.limits.items():
        allowed = limit.concurrent
        if wanted is not None and allowed is not None and wanted > allowed:
            raise SettingError(f"{spec.name}: concurrent={wanted} is above the {allowed} that the vendor allows")
        limits[name] = wanted or limit.advised or allowed if allowed is not None else limit.advised
    bounded = [count for name, count in limits.items() if count is not None and spec.limits[name].for_ == "all"]
    return min(bounded, default=wanted or 1), limits


def _budget(
    spec: Spec, name: str, limit: Limit, concurrent: int | None, settings: Mapping[str, Any], base: str
) -> Budget:
    owners = limit.per or tuple(n for n, setting in spec.settings.items() if setting.type == Scalar("secret"))
    clear = _revealed(settings)
    where = base if names_kept(base) else origin_of(base)
    scope = "\x00".join([spec.name, where, name, *(f"{owner}={clear.get(owner)}" for owner in owners)])
    return Budget(
        key=hashlib.sha256(scope.encode()).hexdigest()[:32],
        name=name,
        windows=tuple(parse_rate(rate, limit.zone) for rate in limit.rate),
        gap=limit.gap,
        concurrent=concurrent,
        burst=limit.burst,
        unit=limit.unit,
    )


def _choose_auth(spec: Spec, names: Mapping[str, Any]) -> tuple[int, Auth | None]:
    """The first alternative whose settings are all given."""
    wanting: list[str] = []
    for number, auth in enumerate(spec.auth):
        used = {name for name in auth_names(auth) if name in spec.settings}
        optional = {name for name in used if not spec.settings[name].required}
        missing = sorted(name for name in used if names.get(name) is None)
        if not missing or (len(spec.auth) == 1 and set(missing) <= optional):
            return number, auth
        wanting.append(" and ".join(missing))
    if not spec.auth:
        return 0, None
    raise SettingError(f"{spec.name}: no credentials; give {', or '.join(wanting)}")


def names_kept(template: str) -> bool:
    """Whether a text names what a login's answer tells (`{{ kept.instance_url }}`)."""
    return "{{" in template and any(name.partition(".")[0] == "kept" for name in expression_names(template))


def _token_key(spec: Spec, base: str, number: int, settings: Mapping[str, Any]) -> TokenKey:
    clear = _revealed(settings)
    secrets = {name: str(clear.get(name)) for name in sorted(spec.settings)}
    return TokenKey.of(vendor=spec.name, server=base, alternative=number, secrets=secrets)


def _obtain(spec: Spec, auth: Auth | None) -> str:
    """Where the credentials in use come from, for errors about them."""
    names = auth_names(auth) if auth else frozenset()
    said = [f"{name}: {setting.obtain}" for name, setting in spec.settings.items() if name in names and setting.obtain]
    if auth and auth.token and (auth.token.authorize or auth.token.device):
        said.append(f"log in again: connectory login {spec.name}")
    return "; ".join(said)
