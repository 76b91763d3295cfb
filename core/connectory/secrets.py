"""Secrets: values that do not show themselves, references to where they are kept, and taking them out of texts."""

from __future__ import annotations

import hmac
import html
import json
import logging
import os
import re
import stat
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, SupportsIndex
from urllib.parse import quote, quote_plus

import attrs

from connectory.errors import SettingError

log = logging.getLogger("connectory")

MASK = "***"
SERVICE = "connectory"  # whose entries `keyring:NAME` reads
SHORTEST = 4  # a shorter secret would be found in ordinary words

Resolver = Callable[[str], str]
"""From what follows the colon of a reference to the secret. Raises SettingError to say why there is none."""

_LONGEST_FILE = 65_536
_MOUNTS = ("/run/secrets/", "/var/run/secrets/")  # where container engines put secrets, readable by all in there
_FOREIGN = ("aws-sm:", "op://", "pass://", "vault:")  # never taken for a literal, whether their plug-in is there or not
_SHORTEST_LINE = 16
_MOST_PASSING = 50
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")


class Secret:
    """A text that shows itself to `reveal()` alone.

    Printing and formatting give `***`; pickling is refused, and so is what serialisers do. Copies are the same object.
    Equality takes the same time whatever differs; a Secret never equals a plain text.
    """

    __slots__ = ("_clear",)

    def __init__(self, clear: str) -> None:
        self._clear = clear

    def reveal(self) -> str:
        """The value itself. Keep it out of variables that outlive the call."""
        return self._clear

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._clear)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(_bytes(self._clear), _bytes(other._clear))

    def __hash__(self) -> int:
        return hash((Secret, self._clear))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a secret cannot be pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


class Hidden(Mapping[str, Any]):
    """A mapping whose values stay out of `repr`, and so out of tracebacks that show variables."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any]) -> None:
        self._items = items

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<{len(self)} hidden values>"


def built_in_resolvers(environ: Mapping[str, str], folder: Path | None = None) -> dict[str, Resolver]:
    """`env:NAME`, `file:PATH` and `keyring:NAME`. A relative PATH begins at `folder`, else at the working directory."""
    names = Hidden(environ)
    base = folder or Path()
    return {
        "env": lambda name: _from_environment(names, name),
        "file": lambda path: _from_file(base, path),
        "keyring": _from_keyring,
    }


def is_reference(text: str, resolvers: Mapping[str, Resolver]) -> bool:
    """Whether a text says where a secret is, instead of being one.

    The conventions of well-known vaults count too: without their plug-in they are an error, never a literal.
    """
    scheme, colon, _ = text.partition(":")
    return bool(colon) and (scheme in resolvers or text.startswith(_FOREIGN))


def resolve_reference(reference: str, resolvers: Mapping[str, Resolver]) -> Secret:
    """The secret that a reference names. Raises SettingError, which names the reference and never a value."""
    outcome = _resolve(reference, resolvers)
    if isinstance(outcome, Secret):
        return outcome
    raise SettingError(f"{reference}: {outcome}")


def _resolve(reference: str, resolvers: Mapping[str, Resolver]) -> Secret | str:
    """The secret, or why there is none. It raises nothing, so that no traceback holds a half-read value."""
    scheme, _, rest = reference.partition(":")
    if scheme not in resolvers:
        return f"no plug-in supplies '{scheme}:' (there are {', '.join(f'{known}:' for known in sorted(resolvers))})"
    if not rest:
        return f"nothing is named after '{scheme}:'"
    try:
        found: object = resolvers[scheme](rest)
    except SettingError as why:
        return str(why)
    except Exception as why:  # a plug-in's error may quote what it read
        return f"'{scheme}:' raised {type(why).__name__}"
    if not isinstance(found, str):
        return f"'{scheme}:' gave {type(found).__name__} where a text is expected"
    return Secret(found) if found else "it is empty"


def _from_environment(environ: Hidden, name: str) -> str:
    if name not in environ:
        raise SettingError(f"the environment variable {name} is not set")
    return str(environ[name])


def _from_file(base: Path, name: str) -> str:
    """A file's text without the newline at its end. Files that any user may read are named in a warning."""
    try:
        path = base / Path(name).expanduser()
        with path.open("rb") as file:
            text = _decoded(file.read(_LONGEST_FILE + 1))
            mode = os.fstat(file.fileno()).st_mode
    except OSError as why:
        raise SettingError(f"cannot be read: {why.strerror or type(why).__name__}") from None
    except (ValueError, RuntimeError):  # a NUL in the path; a `~user` nobody knows
        raise SettingError("there can be no such path") from None
    if text is None:
        raise SettingError(f"is no secret: not UTF-8, or longer than {_LONGEST_FILE:,} bytes")
    if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o006 and not str(path).startswith(_MOUNTS):
        log.warning("secret file %s may be read or written by every user of this machine: chmod 600 it", path)
    return text


def _decoded(raw: bytes) -> str | None:
    if len(raw) > _LONGEST_FILE:
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def _from_keyring(name: str) -> str:
    instead = "use env:NAME or file:PATH instead"
    try:
        keyring = import_module("keyring")
        no_keyring = import_module("keyring.errors").NoKeyringError
    except ImportError:
        raise SettingError(f"the library keyring is not installed: pip install keyring, or {instead}") from None
    try:
        found = keyring.get_password(SERVICE, name)
    except no_keyring:
        raise SettingError(f"this machine has no keyring (usual on servers and in containers): {instead}") from None
    except Exception as why:  # back-ends raise errors of their own libraries
        raise SettingError(f"the keyring cannot be read ({type(why).__name__}): unlock it, or {instead}") from None
    if found is None:
        raise SettingError(f"the keyring has no such entry: keyring set {SERVICE} {name}")
    return str(found)


@attrs.frozen(repr=False)
class _Form:
    """One way in which a secret may stand in a text; the base64 characters `left` and `right` of it hold some of it."""

    text: str
    left: bool = False
    right: bool = False


class Redactor:
    """Takes known secrets out of texts, in the forms that requests, logs and vendors' answers give them.

    Hidden are the plain text, percent-encoded (twice too), base64 also as part of a longer text (`user:secret` of
    Basic), JSON-, HTML- and Python-escaped, and hexadecimal forms, and each long line of a secret of several lines.
    Secrets shorter than 4 characters are not hidden, which is logged. Safe to share between threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lasting: dict[str, tuple[_Form, ...]] = {}
        self._passing: dict[str, tuple[_Form, ...]] = {}
        self._forms: tuple[_Form, ...] = ()

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._lasting) + len(self._passing)} secrets>"

    def add(self, secret: str | Secret, *, passing: bool = False) -> None:
        """Hide this secret from now on; of `passing` ones, which follow each other as tokens do, the newest 50."""
        clear = secret.reveal() if isinstance(secret, Secret) else secret
        if not clear or clear in self._lasting or (passing and clear in self._passing):
            return
        with self._lock:
            forms = self._passing.pop(clear, None) or tuple(_forms(clear))
            (self._passing if passing else self._lasting)[clear] = forms
            while len(self._passing) > _MOST_PASSING:
                del self._passing[next(iter(self._passing))]
            tables = (*self._lasting.values(), *self._passing.values())
            self._forms = tuple(form for forms in tables for form in forms)
        if len(clear) < SHORTEST:
            log.warning("a secret of fewer than %d characters cannot be hidden in logs and errors", SHORTEST)

    def redact(self, text: str) -> str:
        """The text with `***` for every known secret in any of its forms. Overlapping ones are hidden together."""
        forms = self._forms
        while spans := _merged(sorted(_spans(text, forms))):
            text = _masked(text, spans)  # again, since what stood around a secret may make up another one
        return text


def _spans(text: str, forms: tuple[_Form, ...]) -> Iterator[tuple[int, int]]:
    for form in forms:
        at = text.find(form.text)
        while at >= 0:
            end = at + len(form.text)
            wider_left = form.left and at > 0 and text[at - 1] in _BASE64
            wider_right = form.right and text[end : end + 1] in _BASE64
            yield at - wider_left, end + wider_right
            at = text.find(form.text, at + 1)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ordered spans, with overlapping ones made one."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        pieces += [text[done:start], MASK]
        done = end
    return "".join([*pieces, text[done:]])


def _forms(clear: str) -> set[_Form]:
    lines = [line.strip() for line in clear.split("\n")]
    texts = {clear, clear.strip(), *(line for line in lines if len(line) >= _SHORTEST_LINE)}
    return {form for text in texts if len(text) >= SHORTEST for form in _forms_of(text)}


def _forms_of(text: str) -> Iterator[_Form]:
    raw = _bytes(text)
    plain = {text, repr(text)[1:-1], repr(raw)[2:-1], raw.hex(), raw.hex().upper()}
    plain |= {html.escape(text), html.escape(text, quote=False), html.escape(text).replace("&#x27;", "&#39;")}
    plain |= _percent_encoded(raw) | _percent_encoded(quote(raw, safe="").encode())
    for form in _escaped(text):
        plain |= {form} | _escaped(form)
    yield from map(_Form, plain)
    for core in _base64_cores(raw):
        texts = {core.text, core.text.replace("/", "\\/"), *_percent_encoded(core.text.encode())}
        yield from (attrs.evolve(core, text=form) for form in texts)


def _escaped(text: str) -> set[str]:
    """As JSON writers of several languages write it."""
    forms = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    forms |= {re.sub(r"(\\u)([0-9a-f]{4})", lambda m: m[1] + m[2].upper(), form) for form in forms}
    return forms | {form.replace("/", "\\/") for form in forms}


def _percent_encoded(raw: bytes) -> set[str]:
    forms = {quote(raw, safe=""), quote(raw, safe="/"), quote(raw, safe="!'()*"), quote_plus(raw)}
    return forms | {re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), form) for form in forms}


def _base64_cores(raw: bytes) -> Iterator[_Form]:
    """The characters that depend on these bytes alone, in the base64 of any longer bytes that hold them."""
    for shift in range(3):
        bits = 8 * (shift + len(raw))
        for encode in (b64encode, urlsafe_b64encode):
            core = encode(bytes(shift) + raw).decode()[-(-8 * shift // 6) : bits // 6]
            yield _Form(core, left=shift > 0, right=bits % 6 > 0)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # undecodable bytes of the environment come as lone surrogates


class RedactingFilter(logging.Filter):
    """Takes secrets out of log records: message, arguments, traceback, stack and further text attributes.

    Belongs on a handler (`handler.addFilter(...)`): a logger's filter does not see what its children log. The
    exception itself is taken off the record; its text stays.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception:  # arguments that do not fit: logging would print them as they are
            said = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
            message = f"{said} (with arguments that do not fit)"
        record.msg, record.args = message, None
        if record.exc_info:
            record.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        for name, value in list(record.__dict__.items()):
            if isinstance(value, str):
                setattr(record, name, self._redactor.redact(value))
        return True
