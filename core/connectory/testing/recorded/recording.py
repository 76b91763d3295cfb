"""A call made against a live server, recorded below the HTTP client, cleaned, and proved to play before it is kept."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import vcr.cassette
from vcr.record_mode import RecordMode

from connectory.auth.tokens import TokenStore
from connectory.clock import Clock, SystemClock
from connectory.connecting import Parts, connect_spec, open_project, settings_of
from connectory.connector import Connector
from connectory.errors import ArgumentError, SettingError
from connectory.messages import Request
from connectory.mock.listener import NAME as MOCK
from connectory.plugins.registry import Registry
from connectory.secrets import Secret
from connectory.spec.load import Loaded
from connectory.spec.typeexpr import Scalar
from connectory.testing.cases import Case
from connectory.testing.recorded.blame import related
from connectory.testing.recorded.cassettes import (
    MOST_EXCHANGES,
    Cassette,
    Exchange,
    Recorded,
    case_name,
    cassette_file,
    check_label,
    label_for,
    read_cassette,
    too_many,
)
from connectory.testing.recorded.cleaning import Collecting, NotRecorded, placeholder_token
from connectory.testing.recorded.files import with_files, without_files
from connectory.testing.recorded.finishing import Raw, finish
from connectory.testing.recorded.keeping import keep
from connectory.testing.recorded.outcome import error_said, perform
from connectory.testing.recorded.player import OTHERS, asked_by, open_cassette
from connectory.testing.recorded.replaying import numbered_keys, placeholder
from connectory.testing.recorded.standins import StandIns
from connectory.transport.client import UrllibTransport
from connectory.transport.options import TransportOptions
from connectory.transport.sanity import is_loopback

STAND_INS: Final = "not recorded: its arguments are stand-ins, give them again"
SANDBOX: Final = "sandbox"
"""The server that is recorded, where a spec has one of this name and nobody says otherwise."""


@attrs.frozen(kw_only=True)
class Target:
    """What is talked to, and as whom: `settings` as a caller gives them, `server` a name or a URL."""

    root: Path | None
    settings: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    server: str | None = None
    profile: str | None = None
    said: str = ""
    max_wait: float = 300.0
    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    clock: Clock = attrs.Factory(SystemClock)


@attrs.frozen(kw_only=True)
class Wanted:
    """A call to record. `errors` keeps one that ends in an error; `stand_ins`: its arguments are not those that were
    sent, for a recording keeps no personal values."""

    operation: str
    arguments: Mapping[str, Any]
    label: str | None = None
    limit: int | None = None
    errors: bool = False
    stand_ins: bool = False

    @property
    def name(self) -> str:
        label = label_for(self.arguments, self.limit) if self.label is None else self.label
        return case_name(self.operation, label)


def record(registry: Registry, loaded: Loaded, wanted: Wanted, target: Target) -> Cassette:
    """Make a call and return its cassette, not yet written.

    Raises InputError where nothing was sent (settings that are missing, wrong arguments), NotRecorded where the call
    failed or its recording does not give the same again.
    """
    check_label(wanted.label or "")
    if wanted.stand_ins:
        raise NotRecorded(f"{wanted.name}: {STAND_INS}")
    values, server = choose_server(loaded, settings_for(registry, loaded, target))
    started = target.clock.now()
    tape = _Tape(wanted.name)
    with _connected(registry, loaded, values, wanted.operation, target) as connector:
        collecting = _collect(connector, values)
        signed = _watch_signing(connector)
        plan = connector.operation(wanted.operation).plan
        with tempfile.TemporaryDirectory() as folder:
            given = with_files(plan, wanted.arguments, Path(folder))
            arguments = without_files(plan, given)
            with open_cassette(tape):
                gave = perform(connector, wanted.operation, given, wanted.limit, refusals=wanted.errors)
        if "error" in gave and not wanted.errors:
            raise NotRecorded(f"{wanted.name}: ended in {error_said(gave)}; nothing is kept (--errors keeps it)")
        if len(tape.data) > MOST_EXCHANGES:
            raise NotRecorded(f"{wanted.name}: {too_many(len(tape.data))}")
        said = target.said or _server_said(loaded, server, connector, tape)
        engine = connector.engine
        raw = Raw(
            operation=wanted.operation,
            arguments=arguments,
            label=wanted.label,
            limit=wanted.limit,
            exchanges=tape.exchanges(),
            gave=gave,
            settings=_kept_settings(loaded, values),
            secrets=_known_secrets(loaded, values, collecting),
            signed=frozenset(signed),
            bases={"": engine.line.base, **engine.bases},
            recorded=Recorded(said, _host_kind(server, connector), _moment(started)),
            clock=int(started),
        )
    return finish(registry, loaded, raw, collecting)


def settings_for(registry: Registry, loaded: Loaded, target: Target) -> dict[str, Any]:
    """The settings to record with. Raises SettingError that says which are missing."""
    given = {**target.settings, **({"server": target.server} if target.server else {})}
    home = open_project(target.root) if target.root else None
    return settings_of(loaded, registry, given, environ=target.environ, project=home, profile=target.profile)


def choose_server(loaded: Loaded, values: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The settings with the server that is recorded: as given, else the sandbox, else the default."""
    server = values.get("server") or (SANDBOX if SANDBOX in loaded.spec.servers else next(iter(loaded.spec.servers)))
    return {**values, "server": server, "concurrent": 1}, str(server)


@contextmanager
def _connected(
    registry: Registry, loaded: Loaded, values: Mapping[str, Any], operation: str, target: Target
) -> Iterator[Connector]:
    """A connector that asks one thing at a time, and logs in anew so that the recording holds it."""
    with tempfile.TemporaryDirectory() as folder:
        options = TransportOptions(allow_http=bool(values.get("allow_http")))
        parts = Parts(
            clock=target.clock,
            tokens=TokenStore(Path(folder)),
            transport=UrllibTransport(options, clock=target.clock, gate=threading.Lock()),
            make_key=numbered_keys(operation),
        )
        with connect_spec(loaded, registry, values, parts=parts, max_wait=target.max_wait) as connector:
            yield connector


class _Tape(vcr.cassette.Cassette):  # type: ignore[misc]
    """Records what goes over the wire; nothing is written by vcrpy itself, which would write the secrets."""

    def __init__(self, name: str) -> None:
        super().__init__(path=name, record_mode=RecordMode.ALL, skip_patchers=OTHERS)

    def _load(self) -> None:
        """Every recording begins anew."""

    def _save(self, force: bool = False) -> None:
        """The cleaned cassette is written elsewhere."""

    def can_play_response_for(self, request: Any) -> bool:
        return False

    def exchanges(self) -> list[Exchange]:
        """What was recorded, as it was."""
        return [_exchange(request, response) for request, response in self.data]


def _exchange(request: Any, response: Mapping[str, Any]) -> Exchange:
    made = asked_by(request)
    body = response["body"]["string"]
    return Exchange(
        method=made.method,
        url=made.url,
        headers=_in_order(made.headers),
        body=made.body,
        status=response["status"]["code"],
        reason=response["status"]["message"] or "",
        answer_headers=_in_order({str(name): tuple(map(str, held)) for name, held in response["headers"].items()}),
        answer=body if isinstance(body, bytes) else str(body).encode(),
    )


def _in_order(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Headers by name: vcrpy gives them in another order at every run."""
    return dict(sorted(headers.items(), key=lambda held: held[0].lower()))


def _collect(connector: Connector, values: Mapping[str, Any]) -> Collecting:
    """Remember the tokens of the conversation."""
    collecting = Collecting()
    for value in values.values():
        if isinstance(value, Secret):
            collecting.add(value)
    connector.engine.line.redactor = collecting
    return collecting


def _watch_signing(connector: Connector) -> set[str]:
    """The names of what a signing plug-in computes, filled in while the call goes on."""
    names: set[str] = set()
    line = connector.engine.line
    kind = line.credentials.kind
    if kind is None:
        return names

    def sign(options: Any, request: Request, now: float) -> Request:
        signed = kind.sign(options, request, now)
        names.update(name.lower() for name, value in signed.headers.items() if request.headers.get(name) != value)
        names.update(name.lower() for name, value in signed.query if (name, value) not in request.query)
        return signed

    line.credentials = attrs.evolve(line.credentials, kind=attrs.evolve(kind, sign=sign))
    return names


def _known_secrets(loaded: Loaded, values: Mapping[str, Any], collecting: Collecting) -> dict[str, str]:
    """Every secret of the conversation, with what stands for it."""
    known: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Secret):
            known[value.reveal()] = placeholder(loaded, name)
    tokens = [token for token in collecting.seen if token not in known]
    return known | {token: placeholder_token(token, number) for number, token in enumerate(tokens, start=1)}


def _kept_settings(loaded: Loaded, values: Mapping[str, Any]) -> dict[str, Any]:
    """The vendor's settings that were given; for secrets their placeholders."""
    kept: dict[str, Any] = {}
    rotating = {name for auth in loaded.spec.auth if auth.token for name in auth.token.rotates}
    for name, setting in loaded.spec.settings.items():
        if setting.value is not None:
            continue
        value = values.get(name)
        if setting.type == Scalar("secret"):
            if value is not None or name in rotating:
                kept[name] = placeholder(loaded, name)
        elif value is not None and value != setting.default:
            kept[name] = value
    return kept


def _moment(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _host_kind(server: str, connector: Connector) -> str:
    """`loopback`, a server of the spec by its name, or `other`."""
    if is_loopback(urlsplit(connector.engine.line.base).hostname or ""):
        return "loopback"
    return server if "://" not in server else "other"


def _server_said(loaded: Loaded, server: str, connector: Connector, tape: _Tape) -> str:
    """What was recorded, where nobody says: a mock, on this machine an emulator, else the vendor's server by name."""
    if any(MOCK in one.answer_headers.get("Server", ()) for one in tape.exchanges()):
        return "mock"
    kind = _host_kind(server, connector)
    return "emulator" if kind == "loopback" else f"{loaded.spec.name} {kind}"


def wanted_again(loaded: Loaded, before: Cassette, label: str) -> Wanted:
    """The call of a recording, to be made once more."""
    people = StandIns(loaded.spec, related(loaded.spec, before.operation))
    return Wanted(
        operation=before.operation,
        arguments=before.arguments,
        label=label,
        limit=before.limit,
        errors=not {"error", "refused"}.isdisjoint(before.gives or {}),
        stand_ins=people.replace(before.arguments) != before.arguments,
    )


def _wanted_of(loaded: Loaded, case: Case) -> Wanted:
    """The call of a case: as it was recorded, else as its example has it."""
    if case.file is not None:
        return wanted_again(loaded, read_cassette(case.file), case.label)
    arguments, status = (case.example.with_, case.example.status) if case.example is not None else ({}, 200)
    return Wanted(operation=case.operation, arguments=arguments, label=case.label, errors=status >= 400)


def record_again(
    registry: Registry, loaded: Loaded, case: Case, root: Path, taken: MutableMapping[str, str]
) -> tuple[str, Path | None]:
    """Record a case anew, where it reads and its credentials are there. Returns what to say, and the file.

    Raises ArgumentError where another test of this run has written the same cassette.
    """
    if case.operation not in loaded.spec.operations or case.kind == "missing":
        return "not recorded: nothing says with what arguments", None
    target = Target(root=root)
    try:
        values, _ = choose_server(loaded, settings_for(registry, loaded, target))
    except SettingError as why:
        return f"not recorded: {why}", None
    wanted = _wanted_of(loaded, case)
    if wanted.stand_ins:
        return STAND_INS, None
    with _connected(registry, loaded, values, case.operation, target) as connector:
        if connector.operation(case.operation).plan.does != "read":
            return "not recorded: it writes (connectory record --writes)", None
    file = cassette_file(root / "cassettes", case.vendor, case.operation, case.label)
    first = taken.setdefault(str(file).lower(), case.name)
    if first != case.name:
        raise ArgumentError(f"{case.name} and {first} write one cassette: {file}")
    cassette = record(registry, loaded, wanted, target)
    written, changed = keep(cassette, root / "cassettes")
    return f"{'recorded' if changed else 'unchanged'}: {written}", written
