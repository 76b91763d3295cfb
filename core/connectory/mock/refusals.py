"""Answers that are not ok, in the shape in which the spec says that this vendor writes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs
import msgspec

from connectory.answers import Answer
from connectory.messages import Headers, Response
from connectory.mock.exchange import Refused
from connectory.mock.shapes import Draft, put, satisfying
from connectory.operation import Plan
from connectory.outcomes import judge, parse_statuses
from connectory.plugins.kinds import Codec
from connectory.spec.language import Rule
from connectory.spec.places import MISSING, AnswerPath
from connectory.spec.words import Place

# The status that says a word of the built-in table, for a refusal that names none.
STATUSES: Final[Mapping[str, int]] = {
    "throttled": 429, "expired": 401, "denied": 403, "missing": 404, "exists": 409, "rejected": 400, "retry": 503,
    "failed": 501,
}  # fmt: skip


@attrs.frozen
class Refusing:
    """Writes the refusals of one operation, or of the vendor as a whole: then `known` is false, and any operation's
    plan will do."""

    plan: Plan
    rules: Sequence[Rule]
    codecs: Mapping[str, Codec]
    known: bool = True

    def answer(self, refused: Refused, wait: float | None = None) -> Draft:
        """The first form of this refusal that the spec's outcomes read as what it means."""
        draft = Draft(status=refused.status or STATUSES.get(refused.word, 400))
        for draft in self._forms(refused, wait):
            if self._means(draft) == refused.word:
                return draft
        return draft

    def plain(self, refused: Refused) -> Draft:
        """A status with words where `errors` looks for them, whatever it means."""
        return self._explained(Draft(status=refused.status), refused)

    def _forms(self, refused: Refused, wait: float | None) -> Iterator[Draft]:
        """Rules of the spec for the word, then the built-in statuses, with the words where `errors` looks for them."""
        graphql = self.known and self.plan.operation.graphql is not None
        for rule in self.rules:
            if rule.is_ != refused.word or rule.text is not None or (rule.does and self.plan.does not in rule.does):
                continue
            if self._is_graphql(rule) and not graphql:
                continue
            yield self._of_rule(rule, refused, wait)
        if graphql and refused.word == "rejected":
            yield self._explained(Draft(status=200), refused)
        for status in dict.fromkeys([refused.status, STATUSES.get(refused.word, 400), 400, 422, 500]):
            if status:
                draft = self._explained(Draft(status=status), refused)
                if refused.word in ("throttled", "retry") and wait is not None:
                    draft.headers["Retry-After"] = _seconds(wait)
                yield draft

    def _is_graphql(self, rule: Rule) -> bool:
        """Whether a rule is about errors inside a success, as GraphQL has them."""
        return any(map(_in_errors, rule.body)) and "200" in map(str, rule.status)

    def _of_rule(self, rule: Rule, refused: Refused, wait: float | None) -> Draft:
        low, _ = parse_statuses(rule.status[0]) if rule.status else (refused.status or 200, 0)
        draft = self._explained(Draft(status=low), refused)
        for path, test in rule.body.items():
            value = satisfying(test, path.find(draft.body))
            if value is not MISSING:
                draft.body = put(draft.body, path.steps, value)
        for name, test in rule.headers.items():
            value = satisfying(test)
            if value is not MISSING:
                draft.headers[name] = str(value)
        if wait is not None and rule.wait is not None:
            draft.say(rule.wait, wait, self.codecs)
        elif wait is not None and rule.until is None:
            draft.headers["Retry-After"] = _seconds(wait)
        return draft

    def _explained(self, draft: Draft, refused: Refused) -> Draft:
        errors = self.plan.errors
        message = self._likeliest(errors.message)
        if message is None:
            draft.body = put(draft.body, ("error",), refused.words)
        else:
            draft.say(message, refused.words, self.codecs)
        if errors.code and (code := self._likeliest(errors.code)) is not None:
            draft.say(code, refused.word.upper(), self.codecs)
        if errors.fields is not None and refused.fields:
            draft.say(errors.fields, dict(refused.fields), self.codecs)
        return draft

    def _likeliest(self, places: Sequence[Place]) -> Place | None:
        """Of several places that of GraphQL's errors for GraphQL, else the first that is none."""
        graphql = self.plan.operation.graphql is not None
        split: list[Place] = []
        for place in places:
            split += [attrs.evolve(place, body=(path,)) for path in place.body] if place.body else [place]
        fitting = [place for place in split if bool(place.body and _in_errors(place.body[0])) == graphql]
        return next(iter([*fitting, *split]), None)

    def _means(self, draft: Draft) -> str:
        body = b"" if draft.body is None else msgspec.json.encode(draft.body)
        response = Response(draft.status, Headers(draft.headers), body)
        return str(judge(self.plan.judges, Answer(response, draft.body)).word)


def _in_errors(path: AnswerPath) -> bool:
    return path.steps[:2] == ("errors", "*")


def _seconds(wait: float) -> str:
    """Whole seconds, rounded up, as Retry-After wants them."""
    return str(max(0, math.ceil(wait)))
