"""Stand-ins for personal values: the same value becomes the same stand-in of the same shape, in every recording.

A stand-in is made by hashing with a salt that everybody knows, so that recording again gives the same text. Nobody
computes the value back from it; who guesses a value can confirm the guess, as with any stand-in that is stable.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit, urlunsplit

from connectory.spec.language import Operation, Spec
from connectory.spec.naming import snake
from connectory.spec.typeexpr import ListOf, MapOf, Scalar, TypeExpr, named_types
from connectory.spec.words import Field
from connectory.testing.recorded.base64text import packed, unpacked

_SALT: Final = b"connectory stand-ins"
_SPOTS: Final = ("path", "query", "headers", "fields", "variables")
_SHORTEST: Final = 4  # characters of a value that is looked for elsewhere: a shorter one is in too many words
_PROSE: Final = 6  # words from which a text is prose, whose words must not be told by their frequency

_EMAIL: Final = re.compile(r"([^\s@<>,;:\"]+)@[^\s@<>,;:\"]+")
_URL: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#\s]*([^\s]*)")
_DAY: Final = re.compile(r"(?P<y>\d{4})(?P<s>[-/.])\d\d?(?P=s)\d\d?|\d\d?(?P<t>[-/.])\d\d?(?P=t)(?P<z>\d{4})")
_CLOCK: Final = re.compile(r"(?<=[T ])\d\d(?::\d\d){1,2}")
_RUN: Final = re.compile(r"\d+|[^\W\d_]+")
_JSON_IN_BASE64: Final = re.compile(r"eyJ[A-Za-z0-9+/_-]{8,}={0,2}")

_VOWELS: Final = "aeiou"
_CONSONANTS: Final = "bdfgklmnprstvz"
_ACCENTED: Final = "áéíóúñøü"


def stand_in(value: Any) -> Any:
    """What stands for a personal value: of the same shape, at any depth. Nothing stays nothing."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return False  # of two values either is told by its stand-in
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if isinstance(value, Mapping):
        return {key: stand_in(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [stand_in(item) for item in value]
    return value


class StandIns:
    """The personal values of one conversation, and what stands for them wherever else they occur in it."""

    def __init__(self, spec: Spec, operations: Iterable[str]) -> None:
        """For a conversation of these operations; a family's are meant once they are written out."""
        self._types = spec.types
        self._root = _root_scope(spec, operations)
        self._known: dict[str, str] = {}

    def learn(self, value: Any) -> None:
        """Note the personal values in decoded data: arguments, a body, an answer."""
        for _, found in self._marked(value, self._root, _is_personal):
            for part in _scalars_in(found):
                if len(str(part)) >= _SHORTEST:
                    self._note(str(part), str(stand_in(part)))

    def _note(self, text: str, instead: str) -> None:
        """Know a value as it is, and as links and pages write it."""
        self._known[text] = instead
        for write in _WRITINGS:
            if (written := write(text)) != text:
                self._known.setdefault(written, write(instead))

    def learn_url(self, url: str) -> None:
        """Note the personal values in the query of a URL."""
        self.learn([{name: value} for name, value in parse_qsl(urlsplit(url).query)])

    def secrets_in(self, value: Any) -> Iterator[tuple[str, str]]:
        """The texts in decoded data that their type calls secret, each with the name of its field."""
        for name, found in self._marked(value, self._root, _is_secret):
            yield from ((name, part) for part in _scalars_in(found) if isinstance(part, str))

    def replace(self, value: Any) -> Any:
        """The same data with stand-ins: below personal names, and where a value that was noted occurs again."""
        return self._replace(value, self._root)

    def replace_text(self, text: str) -> str:
        """A text of any kind, with what was noted replaced where it stands as a whole word, in base64 too."""
        if text in self._known or not self._known:
            return self._known.get(text, text)
        text = _JSON_IN_BASE64.sub(lambda found: self._in_base64(found[0]), text)
        return self._inside(text)

    def replace_bytes(self, body: bytes) -> bytes:
        """A body that is no text, its texts replaced where they stand in UTF-8."""
        text = body.decode("utf-8", "surrogateescape")
        replaced = self._inside(text) if self._known else text
        return body if replaced == text else replaced.encode("utf-8", "surrogateescape")

    def replace_url(self, url: str) -> str:
        """A URL; pieces without personal values stay as they are written."""
        scheme, host, path, query, fragment = urlsplit(url)
        path = "/".join(self._piece(piece, unquote(piece)) for piece in path.split("/"))
        query = "&".join(map(self._pair, query.split("&")))
        return urlunsplit((scheme, host, path, query, fragment))

    def _marked(
        self, value: Any, scope: _Scope, marked: Callable[[Iterable[Field]], bool]
    ) -> Iterator[tuple[str, Any]]:
        """What stands below names whose fields are marked, each with its name."""
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if marked(scope.get(key, ())):
                    yield str(key), inner
                else:
                    yield from self._marked(inner, self._below(key, scope), marked)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from self._marked(item, scope, marked)

    def _replace(self, value: Any, scope: _Scope) -> Any:
        if isinstance(value, str):
            return self.replace_text(value)
        if isinstance(value, Mapping):
            return {
                self._key(key): stand_in(inner)
                if _is_personal(scope.get(key, ()))
                else self._replace(inner, self._below(key, scope))
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._replace(item, scope) for item in value]
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return stand_in(value) if str(value) in self._known else value
        return value

    def _below(self, key: str, scope: _Scope) -> _Scope:
        """The names below one: of its type, where it has one; else a record may begin there."""
        named = [one.name for field in scope.get(key, ()) for one in named_types(field.type)]
        return _merged(self._types[name] for name in named) if named else self._root

    def _key(self, key: Any) -> Any:
        """A key that is somebody's, as in a map by e-mail; a word of the vendor's stays."""
        return self._known.get(key, key) if key not in self._root else key

    def _inside(self, text: str) -> str:
        return _finder(tuple(self._known)).sub(lambda found: self._known[found[0]], text)

    def _piece(self, raw: str, text: str) -> str:
        replaced = self.replace_text(text)
        return raw if replaced == text else quote(replaced, safe="")

    def _pair(self, pair: str) -> str:
        name, equals, raw = pair.partition("=")
        value = unquote_plus(raw)
        if _is_personal(self._root.get(unquote_plus(name), ())):
            return f"{name}{equals}{quote(_text(value), safe='')}"
        return f"{name}{equals}{self._piece(raw, value)}"

    def _in_base64(self, text: str) -> str:
        """What a cursor holds; a text that only looks like one stays."""
        inner = unpacked(text)
        replaced = None if inner is None else self._inside(inner)
        if replaced is None or replaced == inner:
            return text
        written = packed(replaced, text)
        return written if text.endswith("=") else written.rstrip("=")


_Scope = Mapping[str, tuple[Field, ...]]  # name to what may stand there


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


def _plus(text: str) -> str:
    return quote_plus(text, errors="surrogatepass")


def _low(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)


_WRITINGS: Final[tuple[Callable[[str], str], ...]] = (
    _quoted,
    _plus,
    lambda text: _low(_quoted(text)),
    lambda text: _low(_plus(text)),
    lambda text: quote(text, safe="/@:,", errors="surrogatepass"),
    html.escape,
    lambda text: html.escape(text).replace("@", "&#64;"),
)
"""How links and pages write a value."""


@lru_cache(maxsize=16)
def _finder(texts: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(texts, key=len, reverse=True)
    # What is written %40 ends a word, though its last character is one of a word.
    return re.compile(rf"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{{2}}))(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


def _scalars_in(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _scalars_in(inner)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _scalars_in(item)
    elif value is not None and not isinstance(value, bool):
        yield value


def _is_personal(fields: Iterable[Field]) -> bool:
    return any(field.personal for field in fields)


def _is_secret(fields: Iterable[Field]) -> bool:
    return any(_holds_secret(field.type) for field in fields)


def _holds_secret(expression: TypeExpr) -> bool:
    match expression:
        case ListOf(item=inner) | MapOf(value=inner):
            return _holds_secret(inner)
    return expression == Scalar("secret")


def _merged(groups: Iterable[Mapping[str, Field]]) -> _Scope:
    merged: dict[str, tuple[Field, ...]] = {}
    for fields in groups:
        for name, field in fields.items():
            merged[name] = (*merged.get(name, ()), field)
    return merged


def _root_scope(spec: Spec, operations: Iterable[str]) -> _Scope:
    """The names where a record, a body or the arguments begin.

    What the operations' own types say of a name holds; of names that they do not know, what any type says, for
    answers hold more than is declared (relations that come along, the fields of an open type).
    """
    near = _merged(fields for name in operations for fields in _fields_of(spec, spec.operations[name]))
    return {**_merged(spec.types.values()), **near}


def _fields_of(spec: Spec, operation: Operation) -> Iterator[Mapping[str, Field]]:
    """The parameters, by the vendor's and by the caller's names, and the types of its body and records."""
    types: list[TypeExpr] = [operation.returns, *([operation.body] if operation.body else [])]
    for spot in _SPOTS:
        fields: Mapping[str, Field] = getattr(operation, spot)
        yield {**{field.as_ or snake(wire): field for wire, field in fields.items()}, **fields}
    for expression in types:
        yield from (spec.types[named.name] for named in named_types(expression))


def _bytes(text: str) -> Iterator[int]:
    """As many bytes as are asked for, the same for the same text."""
    block = 0
    while True:
        yield from blake2b(f"{block}:{text}".encode("utf-8", "surrogatepass"), key=_SALT).digest()
        block += 1


def _text(text: str) -> str:
    if text[:1] in ("[", "{") and (held := _json_in(text)) is not None:
        return json.dumps(stand_in(held), ensure_ascii=False, separators=(",", ":"))
    if email := _EMAIL.fullmatch(text):
        tag = blake2b(text.lower().encode("utf-8", "surrogatepass"), key=_SALT, digest_size=2).hexdigest()
        return f"{_words(email[1])}.{tag}@example.com"  # the tag keeps apart what differs in the host alone
    if url := _URL.fullmatch(text):
        rest, dot, kind = url[2].rpartition(".") if re.search(r"\.\w{2,4}$", url[2]) else (url[2], "", "")
        return f"{url[1]}example.com{_words(rest)}{dot}{kind}"
    if day := _DAY.match(text):
        return _moment(text, day)
    return _words(text)


def _json_in(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _moment(text: str, day: re.Match[str]) -> str:
    """Another day, and another time of day, written the same way."""
    draw = _bytes(text)
    number = int.from_bytes(bytes(next(draw) for _ in range(4)), "big")
    other = date(1950, 1, 1) + timedelta(days=number % 20_000)
    # Day and month stay below 13: which of them stands first is not known.
    small = f"{other.day % 12 + 1:02}"
    mark = day["s"] or day["t"]
    written = (
        f"{other.year}{mark}{other.month:02}{mark}{small}"
        if day["y"]
        else f"{small}{mark}{other.month:02}{mark}{other.year}"
    )
    clock = _CLOCK.sub(lambda found: _time(found[0], draw), text[day.end() :], count=1)
    return written + clock


def _time(written: str, draw: Iterator[int]) -> str:
    hour, *rest = (next(draw) for _ in written.split(":"))
    return ":".join(f"{part:02}" for part in (hour % 24, *(part % 60 for part in rest)))


def _words(text: str) -> str:
    """Each run of letters or digits by another one: a full name fits its parts, but prose does not tell its words."""
    prose = len(text.split()) >= _PROSE

    def other(run: re.Match[str]) -> str:
        context = f"{run.start()}{text}" if prose else ""
        return (_digits if run[0][0].isdigit() else _letters)(run[0], context)

    return _RUN.sub(other, text)


def _digits(run: str, context: str) -> str:
    """Digits; a leading zero stays one, another first digit stays another."""
    draw = _bytes(run + context)
    rest = "".join(str(next(draw) % 10) for _ in run[1:])
    return ("0" if run[0] == "0" else str(next(draw) % 9 + 1)) + rest


def _letters(run: str, context: str) -> str:
    """Letters that can be spoken, of the same case and alphabet."""
    draw = _bytes(run.lower() + context)
    turn = next(draw) % 2
    return "".join(_letter(letter, next(draw), (turn + at) % 2) for at, letter in enumerate(run))


def _letter(letter: str, number: int, turn: int) -> str:
    if not letter.isascii() and letter.lower() == letter.upper():
        return chr(0x4E00 + number)  # a script without case
    alphabet = (_CONSONANTS, _VOWELS)[turn] if letter.isascii() else _ACCENTED
    other = alphabet[number % len(alphabet)]
    return other.upper() if letter.isupper() else other


def _number(value: float | Decimal) -> Any:
    """A number of as many digits; exponents, and what is no number, stay."""
    written = str(value)
    if not re.fullmatch(r"-?\d+(\.\d+)?", written):
        return value
    return type(value)(_words(written))
