"""What an answer means: the spec's rules in order, then the built-in tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

import attrs

from connectory.answers import Answer, find, find_each, to_number
from connectory.errors import plugin_code
from connectory.plugins.kinds import Codec, NoOptions, OutcomeKind, Verdict
from connectory.spec.language import Errors, OutcomeWord, Rule
from connectory.spec.places import MISSING
from connectory.spec.words import Conditions, Place, Test
from connectory.values.codecs import find_codec

Judge = Callable[[Answer], Verdict | None]

_STATUS_WORDS: Final[Mapping[int, OutcomeWord]] = {
    401: "expired", 402: "denied", 403: "denied", 404: "missing", 407: "denied", 408: "retry", 409: "exists",
    410: "missing", 425: "retry", 429: "throttled", 501: "failed", 505: "failed",
}  # fmt: skip


def judge_status(_options: NoOptions, answer: Answer) -> Verdict:
    """The built-in table. `expired` becomes `denied` where there is no token to renew: the caller decides."""
    status = answer.status
    wait = retry_after(answer)
    if 200 <= status < 300:
        return Verdict("ok")
    if status in _STATUS_WORDS:
        return Verdict(_STATUS_WORDS[status], wait=wait)
    if 500 <= status < 600:
        return Verdict("retry", wait=wait)
    if 400 <= status < 500:
        return Verdict("rejected")
    return Verdict("failed")


def judge_graphql(_options: NoOptions, answer: Answer) -> Verdict | None:
    """A GraphQL answer with `errors` is no success, whatever its status says."""
    errors = answer.data.get("errors") if isinstance(answer.data, dict) else None
    return Verdict("rejected") if errors and 200 <= answer.status < 300 else None


OUTCOMES: Final[Mapping[str, OutcomeKind]] = {
    "status": OutcomeKind(NoOptions, judge_status, "by HTTP status"),
    "graphql": OutcomeKind(NoOptions, judge_graphql, "errors inside 200"),
}


def retry_after(answer: Answer, now: float | None = None) -> float | None:
    """Seconds of a Retry-After header: a number (fractions too, negative is 0), or a date less the answer's own Date.

    None when there is none or it is no such thing. Source: RFC 9110, 10.2.3; the answer's Date (or `now`) is used so
    that clocks which disagree do not matter.
    """
    return _seconds_of(answer.headers.get("retry-after"), answer, now)


def _seconds_of(value: Any, answer: Answer, now: float | None) -> float | None:
    number = to_number(value)
    if number is not None:
        return max(0.0, number)
    if not isinstance(value, str):
        return None
    moment = _http_date(value)
    sent = date_of(answer) or now
    return None if moment is None or sent is None else max(0.0, moment - sent)


def date_of(answer: Answer) -> float | None:
    """The vendor's clock in epoch seconds, by the Date of an answer (RFC 9110, 6.6.1); None without one.

    Moments in an answer are measured against it, since the vendor's clock and ours may be days apart.
    """
    return _http_date(answer.headers.get("date", ""))


def by_our_clock(moment: float, answer: Answer, now: float) -> float:
    """A moment that an answer tells by the vendor's clock, as one of ours; all in epoch seconds."""
    sent = date_of(answer)
    return moment if sent is None else now + moment - sent


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def compile_rules(
    rules: Sequence[Rule], kinds: Mapping[str, OutcomeKind], codecs: Mapping[str, Codec], does: str
) -> tuple[Judge, ...]:
    """The judges that rules make for an operation that `does` read, write or destroy; others are left out."""
    return tuple(_compile(rule, kinds, codecs) for rule in rules if not rule.does or does in rule.does)


def judge(judges: Sequence[Judge], answer: Answer) -> Verdict:
    """The first verdict. The last judge is the built-in table, which always has one."""
    return next(verdict for judge_one in judges if (verdict := judge_one(answer)) is not None)


def _compile(rule: Rule, kinds: Mapping[str, OutcomeKind], codecs: Mapping[str, Codec]) -> Judge:
    statuses = tuple(map(parse_statuses, rule.status))
    pattern = re.compile(rule.text) if rule.text is not None else None

    def judge_one(answer: Answer) -> Verdict | None:
        if statuses and not any(low <= answer.status <= high for low, high in statuses):
            return None
        if rule.body and answer.fault:  # what cannot be read does not lack anything
            return None
        if not conditions_hold(rule.body, answer.data):
            return None
        if not all(condition_holds(test, [answer.headers.get(name, MISSING)]) for name, test in rule.headers.items()):
            return None
        if pattern is not None and not pattern.search(answer.text):
            return None
        if rule.use is not None:
            with plugin_code(f"the outcome plug-in '{rule.use}'", Verdict | None) as told:
                return told(kinds[rule.use].judge(rule.options, answer))
        assert rule.is_ is not None  # the loader demands one of the two
        return _verdict(rule, rule.is_, answer, codecs)

    return judge_one


def _verdict(rule: Rule, word: OutcomeWord, answer: Answer, codecs: Mapping[str, Codec]) -> Verdict:
    wait = _seconds_of(find(rule.wait, answer), answer, None) if rule.wait else retry_after(answer)
    until = find_moment(rule.until, answer, codecs) if rule.until else None
    if until is not None and (sent := date_of(answer)) is not None:
        wait, until = max(0.0, until - sent), None
    return Verdict(word, wait=wait, until=until, limit=rule.limit)


def find_moment(place: Place, answer: Answer, codecs: Mapping[str, Codec]) -> float | None:
    """The moment that stands at a place, in epoch seconds; None when there is none or it is unreadable."""
    value = find(place, answer)
    if value is MISSING or value is None or value == "":
        return None
    try:
        return find_codec(place.codec or "utc", codecs).read(value).timestamp()
    except (ValueError, OverflowError):
        return None


STATUSES: Final = re.compile(r"([1-5])xx|([1-5]\d\d)(?:-([1-5]\d\d))?")


def parse_statuses(text: str) -> tuple[int, int]:
    """`404`, `5xx` or `400-499` as the lowest and highest status. Raises ValueError."""
    found = STATUSES.fullmatch(text)
    if found and found[1]:
        return int(found[1]) * 100, int(found[1]) * 100 + 99
    if not found or int(found[3] or found[2]) < int(found[2]):
        raise ValueError(f"'{text}' is no HTTP status: write 404, 5xx or 400-499")
    return int(found[2]), int(found[3] or found[2])


def conditions_hold(conditions: Conditions, data: Any) -> bool:
    """Whether every condition holds on a decoded body."""
    return all(condition_holds(test, list(path.each(data)) or [MISSING]) for path, test in conditions.items())


def condition_holds(test: Test, values: Sequence[Any]) -> bool:
    """Whether a condition holds for any of the values found (one MISSING when nothing was)."""
    there = any(value is not MISSING and value not in (None, "", [], {}) for value in values)
    if test.exists is not None and there != test.exists:
        return False
    if test.not_in is not None and any(_among(value, test.not_in) for value in values):
        return False
    if test.in_ is None and test.matches is None and test.above is None:
        return True
    return any(_one_holds(test, value) for value in values)


def _one_holds(test: Test, value: Any) -> bool:
    if test.in_ is not None and not _among(value, test.in_):
        return False
    if test.matches is not None and (value is MISSING or value is None or not re.search(test.matches, str(value))):
        return False
    number = to_number(value) if value is not MISSING else None
    return test.above is None or (number is not None and number > test.above)


def _among(value: Any, allowed: Sequence[Any]) -> bool:
    """Equality that keeps true apart from 1, and takes a header's text for the number it spells."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed) or (
        isinstance(value, str) and any(value == str(one) for one in allowed if not isinstance(one, bool))
    )


@attrs.frozen
class Explained:
    """Why the vendor says no: its words, its code, and field to message."""

    words: str = ""
    code: str = ""
    fields: Mapping[str, str] = attrs.Factory(dict)

    def __str__(self) -> str:
        named = "; ".join(f"{name}: {said}" for name, said in self.fields.items())
        return "; ".join(part for part in (self.words, named) if part)


def explain(errors: Errors, answer: Answer, redact: Callable[[str], str] = str) -> Explained:
    """The vendor's words for an answer that is not ok. `redact` takes secrets out before anything is cut short."""
    said = _first_texts(errors.message, answer)
    if not said and not errors.message:
        said = [plain] if (plain := _plain_words(answer)) else []
    words, fields = _by_field(errors, answer, said)
    return Explained(
        _short(redact(words), 2000 if errors.message else 500),
        _short(redact("; ".join(_first_texts(errors.code, answer))), 200),
        {redact(name): _short(redact(text), 2000) for name, text in fields.items()},
    )


def _by_field(errors: Errors, answer: Answer, said: Sequence[str]) -> tuple[str, Mapping[str, str]]:
    """The message, and what is said of which field: where a vendor only names the fields, its message is about them."""
    words = "; ".join(said)
    found = list(find_each(errors.fields, answer)) if errors.fields else []
    if found and isinstance(found[0], dict):
        return words, {str(name): _spelt(told) for name, told in found[0].items()}
    names = [name for name in found if isinstance(name, str) and name]
    if not names or not said:
        return words, {}
    if len(names) != len(said):
        return "", {", ".join(dict.fromkeys(names)): words}
    about: dict[str, list[str]] = {}
    for name, text in zip(names, said, strict=True):
        about.setdefault(name, []).append(text)
    return "", {name: "; ".join(texts) for name, texts in about.items()}


def _spelt(told: Any) -> str:
    """What is said of a field: a text, or all texts of a list or an object (of several checks, with code and words)."""
    if isinstance(told, dict | list):
        inner = told.values() if isinstance(told, dict) else told
        return "; ".join(text for one in inner if one is not None and (text := _spelt(one)))
    return str(told)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _first_texts(places: Sequence[Place], answer: Answer) -> list[str]:
    """The texts that stand at the first of these places where there are any."""
    for place in places:
        found = [value for value in find_each(place, answer) if isinstance(value, str | int) and value != ""]
        if found:
            return list(map(str, found))
    return []


def _plain_words(answer: Answer) -> str:
    """A short text body is the vendor's words where the spec names no place for them."""
    content = answer.headers.get("content-type", "")
    if answer.data is not None or answer.fault:
        return answer.text.strip() if "html" not in content and len(answer.response.body) < 2000 else ""
    return ""
