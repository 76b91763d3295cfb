"""What a spec says about settings, limits, outcomes and evidence, in plain words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from connectory.describe import words
from connectory.settings import variable_name
from connectory.spec.language import Limit, OutcomeWord, Rule, Spec

MEANINGS: Final[Mapping[OutcomeWord, str]] = {
    "ok": "success",
    "accepted": "accepted: the vendor has queued it",
    "throttled": "throttled: waited for and sent again",
    "expired": "the token is renewed once, else the credentials are denied",
    "retry": "tried again where that does no harm, else unknown",
    "rejected": "rejected",
    "missing": "missing",
    "exists": "exists already",
    "denied": "credentials denied",
    "failed": "failed",
}

# What `outcomes.judge_status` does, for people; a test compares the two.
STATUS_TABLE: Final[tuple[tuple[str, OutcomeWord], ...]] = (
    ("2xx", "ok"),
    ("401", "expired"),
    ("402, 403, 407", "denied"),
    ("404, 410", "missing"),
    ("409", "exists"),
    ("408, 425, 5xx", "retry"),
    ("429", "throttled"),
    ("501, 505", "failed"),
    ("4xx", "rejected"),
)


def describe_settings(spec: Spec) -> list[str]:
    """A line or two for each setting: type, environment variable, what it is and where it is obtained."""
    rows = []
    for name, setting in spec.settings.items():
        if setting.value is not None:
            continue
        kind = f"{setting.type}!" if setting.required else str(setting.type)
        parts = [setting.about] if setting.about else []
        if setting.default is not None:
            parts.append(f"default {words.said(setting.default)}")
        if setting.pattern:
            parts.append(f"must match {setting.pattern}")
        if setting.example is not None:
            parts.append(f"e.g. {words.said(setting.example)}")
        if setting.obtain:
            parts.append(f"obtained: {setting.obtain}")
        rows.append((name, kind, variable_name(spec.name, name), "; ".join(parts)))
    servers = words.joined(spec.servers, "or")
    rows.append(("server", "str", variable_name(spec.name, "server"), f"{servers}, or a URL"))
    return words.columns(rows)


def describe_servers(spec: Spec) -> list[str]:
    """The servers by name, the default first."""
    rows = [(name, f"{url}{'  (default)' if at == 0 else ''}") for at, (name, url) in enumerate(spec.servers.items())]
    return words.columns(rows)


def limit_words(limit: Limit) -> str:
    """`5,000 a day; 1 request at a time, 3 allowed; per school`."""
    parts = [words.rate(text) for text in limit.rate]
    if limit.burst is not None:
        parts.append(f"bursts of {limit.burst:,}")
    if limit.gap:
        parts.append(f"{words.duration(limit.gap)} between calls")
    if limit.advised is not None:
        allowed = f", {limit.concurrent} allowed (concurrent={limit.concurrent})" if limit.concurrent else ""
        parts.append(f"{_at_once(limit.advised)}{allowed}")
    elif limit.concurrent is not None:
        parts.append(_at_once(limit.concurrent))
    if limit.zone:
        parts.append(f"days of {limit.zone}")
    if limit.per:
        parts.append(f"per {words.joined(limit.per)}")
    return "; ".join(parts) or "nothing is counted"


def _at_once(count: int) -> str:
    return "1 request at a time" if count == 1 else f"{count} requests at a time"


def describe_limits(spec: Spec, names: Iterable[str]) -> list[str]:
    """A line for each limit."""
    return words.columns((name, limit_words(spec.limits[name])) for name in names)


def rule_words(rule: Rule) -> tuple[str, str]:
    """When a rule holds, and what it means."""
    when = [f"status {', '.join(rule.status)}"] if rule.status else []
    if rule.does:
        when.append(f"of a {words.joined(rule.does, 'or')}")
    if rule.body:
        when.append(f"where {words.conditions(rule.body)}")
    when += [f"where header {name} {words.condition(test)}" for name, test in rule.headers.items()]
    if rule.text:
        when.append(f"where the body matches {rule.text}")
    means = f"as {rule.use} judges" if rule.is_ is None else MEANINGS[rule.is_]
    if rule.wait is not None:
        means += f", for the seconds at {words.place(rule.wait)}"
    if rule.until is not None:
        means += f", until the moment at {words.place(rule.until)}"
    return " ".join(when) or "always", means


def builtin_outcomes(
    spec: Spec, *, repeatable: bool | None = None, spoken: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """The built-in table, for what no rule speaks of; `spoken` are the statuses that rules decide always.

    `repeatable` is the operation's, None where the table is about all of them.
    """
    renewable = any(auth.token is not None for auth in spec.auth)
    again = {
        True: "tried again, with growing pauses",
        False: "unknown: it may have been done",
        None: MEANINGS["retry"],
    }
    meanings: dict[OutcomeWord, str] = {**MEANINGS, "retry": again[repeatable]}
    if not renewable:
        meanings["expired"] = MEANINGS["denied"]
    for statuses, word in STATUS_TABLE:
        if statuses not in spoken:
            yield f"status {statuses}", meanings[word]


def decided(rules: Iterable[Rule]) -> set[str]:
    """The statuses about which a rule says everything, whatever the body."""
    return {
        status
        for rule in rules
        if not (rule.body or rule.headers or rule.text or rule.does or rule.use)
        for status in rule.status
    }


def touching(notes: Mapping[str, str], places: Iterable[str]) -> list[tuple[str, str]]:
    """The notes (`assumed`, `sources`) on any of these places, on what is below them, or on what holds them."""
    wanted = tuple(places)
    return [
        (place, text)
        for place, text in notes.items()
        if any(place == one or place.startswith(f"{one}/") or one.startswith(f"{place}/") for one in wanted)
    ]
