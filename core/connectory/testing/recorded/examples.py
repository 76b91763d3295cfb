"""An example of a spec as a conversation: what it says is answered, and the call must come to the same end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from connectory.errors import Fault
from connectory.invoke import Engine
from connectory.plugins.kinds import Codec
from connectory.spec.language import Example, Token
from connectory.spec.load import Loaded
from connectory.spec.places import AnswerPath
from connectory.spec.words import Place
from connectory.testing.recorded.blame import Blame
from connectory.testing.recorded.cassettes import Exchange
from connectory.testing.recorded.matching import Asked
from connectory.testing.recorded.outcome import Gives
from connectory.testing.recorded.player import Deviation, Player, asked_by, response_of
from connectory.values.codecs import find_codec

TOKEN = "placeholder-token"
_DAY = 86_400


class EndOfExample(Deviation):
    """The call asks for more than the example shows: what it has given until then is what is compared."""


class ExamplePlayer(Player):
    """Answers the requests of one call: the token's exchange made up from the spec, a read of another operation from
    that one's first example, the operation itself from the example."""

    def __init__(self, loaded: Loaded, engine: Engine, operation: str, example: Example) -> None:
        super().__init__((), operation)
        self._loaded = loaded
        self._engine = engine
        self._operation = operation
        self._example = example
        self._blame = Blame(loaded, engine)
        self.answered = 0
        self.stray: Asked | None = None

    def play_response(self, request: Any) -> dict[str, Any]:
        """The answer to a request. Raises Deviation for one that the example says nothing of."""
        made = asked_by(request)
        owner = self._blame.owner(self._operation, made)
        if owner is None:
            return response_of(self._token())
        if owner == self._operation:
            if self.answered:
                raise EndOfExample
            self.answered += 1
            return response_of(_exchange(self._example, made))
        examples = [e for e in self._loaded.spec.operations[owner].examples if e.status < 300]
        if not examples:
            self.stray = made
            raise Deviation
        return response_of(_exchange(examples[0], made))

    def _token(self) -> Exchange:
        token = self._engine.line.token
        assert token is not None
        now = self._engine.line.clock.now()
        return token_answer(token, self._engine.registry.codecs, now)


def _exchange(example: Example, made: Asked) -> Exchange:
    answer = example.answer
    headers = {name: (str(value),) for name, value in example.headers.items()}
    if answer is None:
        body = b""
    elif isinstance(answer, str) and "json" not in made.headers.get("Accept", "json"):
        body = answer.encode()
    elif isinstance(answer, bytes):
        body = answer
    else:
        body = msgspec.json.encode(answer)
        headers = {"Content-Type": ("application/json",), **headers}
    return Exchange(made.method, made.url, made.headers, made.body, example.status, headers, body)


def token_answer(token: Token, codecs: Mapping[str, Codec], now: float) -> Exchange:
    """An answer that holds a token where the spec says, good for a day."""
    body: Any = TOKEN if _is_whole(token.value) else {}
    headers: dict[str, tuple[str, ...]] = {}
    wanted: list[tuple[Place, Any]] = [] if _is_whole(token.value) else [(token.value, TOKEN)]
    wanted += [(place, f"placeholder-{name}") for name, place in token.keep.items()]
    for lifetime in token.lasts:
        if lifetime.seconds is not None:
            wanted.append((lifetime.seconds, _DAY))
        elif lifetime.until is not None:
            moment = datetime.fromtimestamp(now + _DAY, UTC)
            wanted.append((lifetime.until, find_codec(lifetime.until.codec or "rfc3339", codecs).write(moment)))
    for place, value in wanted:
        if place.body and isinstance(body, dict):
            _put(body, place.body[0], value)
        elif place.header:
            headers[place.header] = (str(value),)
    answer = body.encode() if isinstance(body, str) and token.reads == "text" else msgspec.json.encode(body)
    return Exchange("GET", "", {}, None, 200, headers, answer)


def _is_whole(place: Place) -> bool:
    return bool(place.body) and not place.body[0].steps


def _put(body: dict[str, Any], path: AnswerPath, value: Any) -> None:
    """A value at a path of names."""
    inner: Any = body
    *steps, last = [str(step) for step in path.steps]
    for step in steps:
        inner = inner.setdefault(step, {})
    inner[last] = value


Found = tuple[str, Fault | None, str, str]


def check_example(
    blame: Blame, operation: str, example: Example, gives: Gives, player: ExamplePlayer
) -> Iterator[Found]:
    """What of a call's end the example does not lead one to expect: what, where, made, said."""
    if not player.answered:
        yield "the call ended without asking for what the example answers", blame.operation(operation), "", ""
    if example.status < 400 and "error" in gives:
        said = gives.get("message") or gives.get("said") or ""
        made = f"{gives['error']}{f': {said}' if said else ''}"
        yield "the example's answer ends in an error", blame.outcome(operation), made, f"answered {example.status}"
    if example.status >= 400 and "error" not in gives and gives.get("word") == "ok":
        yield "the example's answer is taken for success", blame.outcome(operation), "ok", f"answered {example.status}"
    for place, what in gives.get("misfits", {}).items():
        yield f"the example does not fit its type at '{place}': {what}", None, "", ""
    if "ValueWarning" in gives.get("warns", ()):
        yield "the example holds a value that cannot be read as declared", None, "", ""
    accounts = dict(gives.get("accounts", {}))
    if accounts:
        read = accounts.pop("read", 0)
        if sum(accounts.values()) != read or (example.status < 300 and accounts.get("unknown")):
            made = ", ".join(f"{count} {word}" for word, count in accounts.items())
            yield (
                "the items of the example are not accounted for",
                blame.operation(operation, "results"),
                made,
                (f"{read} read"),
            )
