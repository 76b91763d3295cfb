"""Secrets stay out of everything that is printed, kept or logged; references are found or named."""

from __future__ import annotations

import base64
import copy
import html
import json
import logging
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import attrs
import msgspec
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from connectory.errors import SettingError
from connectory.secrets import (
    RedactingFilter,
    Redactor,
    Secret,
    built_in_resolvers,
    is_reference,
    resolve_reference,
)

CANARY = 'Hush/ä+"\\&=%'


@attrs.frozen
class Login:
    user: str
    password: Secret


# Secret


@pytest.mark.parametrize("show", [repr, str, format, "{:>20}".format, "%s".__mod__, ascii, lambda s: f"{[s]} {s!r}"])
def test_a_secret_is_shown_as_stars(show: Callable[[Any], str]) -> None:
    shown = show(Secret(CANARY))
    assert "***" in shown
    assert "Hush" not in shown


@pytest.mark.parametrize(
    "keep",
    [
        *(lambda s, p=protocol: pickle.dumps(s, p) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
        json.dumps,
        lambda s: json.dumps(s, default=vars),
        msgspec.json.encode,
        msgspec.to_builtins,
        yaml.dump,
        yaml.safe_dump,
        vars,
        lambda s: s.__getstate__(),
    ],
)
def test_a_secret_refuses_to_be_kept(keep: Callable[[Any], Any]) -> None:
    with pytest.raises((TypeError, yaml.YAMLError)) as refused:
        keep(Secret(CANARY))
    assert "Hush" not in str(refused.value)


def test_copies_and_conversions_of_what_holds_a_secret_stay_secret() -> None:
    login = Login("ann", Secret(CANARY))
    copies = [copy.copy(login), copy.deepcopy(login), attrs.evolve(login), Login(**attrs.asdict(login))]
    assert all(one.password.reveal() == CANARY for one in copies)
    assert "Hush" not in repr([*copies, attrs.asdict(login), attrs.astuple(login)])


def test_secrets_are_equal_by_value_and_never_to_a_plain_text() -> None:
    assert Secret(CANARY) == Secret(CANARY)
    assert hash(Secret(CANARY)) == hash(Secret(CANARY))
    assert Secret(CANARY) != Secret("other")
    assert Secret(CANARY) != CANARY
    assert Secret("\udcff") == Secret("\udcff")  # an undecodable byte of the environment
    assert Secret("x")
    assert not Secret("")


# References


def test_the_environment_is_the_one_passed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HILLTOP_KEY", "of the process")
    resolvers = built_in_resolvers({"HILLTOP_KEY": CANARY})
    assert resolve_reference("env:HILLTOP_KEY", resolvers) == Secret(CANARY)


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"key", "key"),
        (b"key\n", "key"),
        (b"key\r\n", "key"),
        (b"key\n\n", "key\n"),
        (b"key\r", "key\r"),
        (b" key ", " key "),
        (b"\xef\xbb\xbfkey\n", "key"),
    ],
)
def test_a_file_loses_one_newline_at_its_end(content: bytes, secret: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(0o600)
    assert resolve_reference(f"file:{tmp_path / 'key'}", built_in_resolvers({})).reveal() == secret
    assert resolve_reference("file:key", built_in_resolvers({}, tmp_path)).reveal() == secret


def test_a_file_in_the_home_folder(home: Path) -> None:
    (home / "key").write_text("k1")
    assert resolve_reference("file:~/key", built_in_resolvers({})).reveal() == "k1"


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_a_file_that_everybody_may_read_is_named_in_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "key"
    file.write_text(CANARY)
    file.chmod(0o640)
    resolve_reference(f"file:{file}", built_in_resolvers({}))
    assert not caplog.records
    file.chmod(0o644)
    assert resolve_reference(f"file:{file}", built_in_resolvers({})) == Secret(CANARY)
    assert str(file) in caplog.text
    assert "chmod 600" in caplog.text


def vault(path: str) -> str:
    """A plug-in's resolver, as careless as a stranger's may be."""
    if path == "raises":
        raise ValueError(f"cannot parse {CANARY}")
    if path == "explains":
        raise SettingError("sealed; unseal it first")
    return {"empty": "", "bytes": CANARY.encode()}.get(path, CANARY)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("env:UNSET", "the environment variable UNSET is not set"),
        ("env:EMPTY", "it is empty"),
        ("env:", "nothing is named after 'env:'"),
        ("file:missing", "No such file"),
        ("file:.", "Is a directory"),
        ("file:a\0b", "no such path"),
        ("file:~nobody-of-that-name/x", "no such path"),
        ("file:binary", "not UTF-8"),
        ("file:/dev/zero", "longer than 65,536 bytes"),
        ("vault:raises", "'vault:' raised ValueError"),
        ("vault:explains", "sealed; unseal it first"),
        ("vault:empty", "it is empty"),
        ("vault:bytes", "'vault:' gave bytes"),
        ("op://team/key/field", "no plug-in supplies 'op:' (there are env:, file:, keyring:, vault:)"),
    ],
)
def test_what_cannot_be_resolved_is_named_and_shows_no_value(reference: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xffHush")
    resolvers = {"vault": vault, **built_in_resolvers({"EMPTY": "", "OTHER": CANARY}, tmp_path)}
    assert is_reference(reference, resolvers)
    with pytest.raises(SettingError) as error:
        resolve_reference(reference, resolvers)
    assert str(error.value).startswith(f"{reference}: ")
    assert why in str(error.value)
    assert "Hush" not in told(error.value)


def test_a_plugin_resolves_its_scheme() -> None:
    assert resolve_reference("vault:kv/x#y", {"vault": vault}) == Secret(CANARY)


@pytest.mark.parametrize("text", ["plain", "user:password", "https://hooks.test/T0/B0", "C:\\key", "ENV:X", ""])
def test_other_texts_are_no_references(text: str) -> None:
    assert not is_reference(text, built_in_resolvers({}))


KEYRING = """
from keyring import errors

def get_password(service, name):
    if name == "none":
        raise errors.NoKeyringError("No recommended backend was available.")
    if name == "locked":
        raise errors.KeyringLocked("Hush")
    return {("connectory", "hilltop"): "from the keyring"}.get((service, name))
"""
KEYRING_ERRORS = """
class KeyringError(Exception): ...
class KeyringLocked(KeyringError): ...
class NoKeyringError(KeyringError, RuntimeError): ...
"""


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A library with keyring's interface."""
    (tmp_path / "keyring").mkdir()
    (tmp_path / "keyring" / "__init__.py").write_text(KEYRING)
    (tmp_path / "keyring" / "errors.py").write_text(KEYRING_ERRORS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("keyring", "keyring.errors"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("keyring")
def test_the_keyring_holds_secrets_by_name() -> None:
    assert resolve_reference("keyring:hilltop", built_in_resolvers({})).reveal() == "from the keyring"


@pytest.mark.usefixtures("keyring")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("other", "no such entry: keyring set connectory other"),
        ("none", "this machine has no keyring (usual on servers and in containers): use env:NAME or file:PATH instead"),
        ("locked", "cannot be read (KeyringLocked): unlock it"),
    ],
)
def test_a_keyring_without_the_secret_says_what_to_do(name: str, why: str) -> None:
    with pytest.raises(SettingError) as error:
        resolve_reference(f"keyring:{name}", built_in_resolvers({}))
    assert str(error.value).startswith(f"keyring:{name}: ")
    assert why in str(error.value)
    assert "Hush" not in told(error.value)


def test_without_the_keyring_library_its_absence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)  # as if it were not installed
    with pytest.raises(SettingError, match=r"keyring:x: .* not installed: pip install keyring, or use env:NAME"):
        resolve_reference("keyring:x", built_in_resolvers({}))


def told(error: BaseException) -> str:
    """All that a report of this error could show: message, causes, and the variables of every frame but the test's."""
    texts: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        trace = seen.__traceback__.tb_next if seen is error and seen.__traceback__ else seen.__traceback__
        texts += traceback.TracebackException(type(seen), seen, trace, capture_locals=True).format(chain=False)
        texts += [repr(seen.args), repr(vars(seen))]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(texts)


# Redactor

ENCODERS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "quote": lambda s: quote(s, safe=""),
    "quote path": quote,
    "quote lower": lambda s: "".join(c if c.isalnum() and c.isascii() else _percent(c).lower() for c in s),
    "quote_plus": quote_plus,
    "urlencode": lambda s: urlencode({"q": s})[2:],
    "quoted twice": lambda s: quote(quote(s, safe=""), safe=""),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 unpadded": lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
    "base64 url": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "base64 quoted": lambda s: quote(base64.b64encode(s.encode()), safe=""),
    "json": lambda s: json.dumps(s)[1:-1],
    "json utf-8": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "json slashes": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    "json msgspec": lambda s: msgspec.json.encode(s).decode()[1:-1],
    "json in json": lambda s: json.dumps(json.dumps(s))[3:-3],
    "repr": lambda s: repr(s)[1:-1],
    "repr bytes": lambda s: repr(s.encode())[2:-1],
    "html": html.escape,
    "hex": lambda s: s.encode().hex(),
    "hex upper": lambda s: s.encode().hex().upper(),
}


def _percent(character: str) -> str:
    return quote(character, safe="")


SECRETS = st.text(min_size=4, max_size=40)
AROUND = st.text(max_size=12)


@given(secret=SECRETS, before=AROUND, after=AROUND, encoder=st.sampled_from(sorted(ENCODERS)))
@example(secret=CANARY, before="key=", after="&x", encoder="quote")
@example(secret="aaaa", before="a", after="aaa", encoder="plain")
@example(secret="a***", before="", after="***", encoder="plain")
def test_a_secret_is_found_in_every_form(secret: str, before: str, after: str, encoder: str) -> None:
    redactor = Redactor()
    redactor.add(secret)
    written = ENCODERS[encoder](secret)
    redacted = redactor.redact(before + written + after)
    assert written not in redacted
    assert "***" in redacted


@given(secret=SECRETS, user=AROUND, tail=AROUND, url=st.booleans())
def test_a_secret_is_found_within_a_longer_base64_text(secret: str, user: str, tail: str, url: bool) -> None:
    redactor = Redactor()
    redactor.add(secret)
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    basic = encode(f"{user}:{secret}{tail}".encode()).decode()
    redacted = redactor.redact(f"Authorization: Basic {basic}")
    assert basic not in redacted
    # What is left of the secret is less than two of its bytes, at its edges.
    left = redacted.removeprefix("Authorization: Basic ").split("***")
    hidden = len(basic) - sum(map(len, left))
    assert hidden * 6 >= 8 * len(secret.encode())


@given(secrets=st.lists(SECRETS, min_size=1, max_size=4), text=st.text(max_size=60), at=st.integers(0, 60))
@example(secrets=["abcdX", "dXYZ", "XYZlong"], text="abcdXYZlong", at=0)
@example(secrets=["b***", "wxyz"], text="bwxyz", at=0)
@example(secrets=["****", "***a", "a***"], text="a****a", at=3)
def test_no_known_secret_is_left_whatever_the_text(secrets: list[str], text: str, at: int) -> None:
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    redacted = redactor.redact(text[:at] + "".join(secrets) + text[at:])
    assert not [secret for secret in secrets if secret in redacted]
    assert redactor.redact(redacted) == redacted


def test_overlapping_secrets_leave_no_rest() -> None:
    redactor = Redactor()
    redactor.add("token-123")
    redactor.add("123-tail-of-another")
    assert redactor.redact("x token-123-tail-of-another y") == "x *** y"


def test_ordinary_text_stays() -> None:
    redactor = Redactor()
    redactor.add(Secret("correct horse battery"))
    text = "GET https://vendor.test/api/v2/students?year=2018 answered 401: correct key, horse"
    assert redactor.redact(text) == text
    assert redactor.redact("q=correct+horse+battery&page=2") == "q=***&page=2"


def test_a_basic_header_keeps_what_is_not_secret() -> None:
    redactor = Redactor()
    redactor.add("s3cret-word")
    header = base64.b64encode(b"someone:s3cret-word").decode()
    assert redactor.redact(f"Basic {header}") == f"Basic {header[:10]}***=="


def test_each_long_line_of_a_key_is_hidden() -> None:
    redactor = Redactor()
    redactor.add("-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nabc\n-----END KEY-----\n")
    assert redactor.redact("line 2: MIIEvQIBADANBgkqhkiG") == "line 2: ***"
    assert redactor.redact("abc") == "abc"


def test_very_short_secrets_are_not_hidden_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    redactor = Redactor()
    redactor.add("")
    assert not caplog.records
    redactor.add("abc")
    assert redactor.redact("abc of abcess") == "abc of abcess"
    assert "fewer than 4 characters" in caplog.text


def test_of_passing_secrets_the_newest_fifty_are_remembered() -> None:
    redactor = Redactor()
    redactor.add("the-lasting-key")
    for number in range(200):
        redactor.add(f"token-{number:04}", passing=True)
        redactor.add(f"token-{number:04}", passing=True)
    assert redactor.redact("the-lasting-key token-0150 token-0199") == "*** *** ***"
    assert redactor.redact("token-0149") == "token-0149"
    assert repr(redactor) == "<Redactor of 51 secrets>"


def test_a_passing_secret_may_become_a_lasting_one() -> None:
    redactor = Redactor()
    redactor.add("shared-key", passing=True)
    redactor.add("shared-key")
    for number in range(60):
        redactor.add(f"token-{number:04}", passing=True)
    assert redactor.redact("shared-key") == "***"


def test_threads_may_add_and_redact_at_once() -> None:
    redactor = Redactor()
    failures: list[str] = []

    def work(name: str) -> None:
        for number in range(50):
            secret = f"{name}-secret-{number:03}"
            redactor.add(secret)
            if secret in redactor.redact(f"<{secret}>"):
                failures.append(secret)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert redactor.redact("t0-secret-000 t7-secret-049") == "*** ***"


# Logs


class Lines(logging.Handler):
    """What a usual handler would write, and the record as a handler with its own ideas would see it."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self.addFilter(RedactingFilter(redactor))
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen += [logging.Formatter().format(record), repr(vars(record))]


def fail_with(secret: str) -> None:
    raise ValueError(f"bad key {secret}")


def test_logs_hide_secrets_in_messages_arguments_tracebacks_and_extras() -> None:
    redactor = Redactor()
    redactor.add(CANARY)
    handler = Lines(redactor)
    log = logging.getLogger("secrets-test.child")
    log.setLevel(logging.DEBUG)
    logging.getLogger("secrets-test").addHandler(handler)
    log.info("key %s and %r", CANARY, {"key": CANARY})
    log.info("url ?%s 100%%", urlencode({"key": CANARY}))
    log.info(f"in the message {CANARY} 100%")
    log.info("does not fit %d", CANARY)
    log.info(ValueError(CANARY))
    log.info("extra", extra={"header": CANARY}, stack_info=True)
    try:
        fail_with(CANARY)
    except ValueError:
        log.exception("failed")
    assert len(handler.seen) == 14
    assert not [line for line in handler.seen if "Hush" in line]
    assert any("url ?key=*** 100%" in line for line in handler.seen)
    assert any("does not fit %d (with arguments" in line for line in handler.seen)
    assert any("bad key ***" in line and "fail_with" in line for line in handler.seen)
