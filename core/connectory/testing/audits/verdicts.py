"""What a run of mutants found, for people: counts, what survived and why, as a page that is kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from connectory.errors import Fault, SpecError
from connectory.spec.trees import Table, as_data, read_tree
from connectory.testing.audits.mutation import Verdict

Reasons = Mapping[str, Mapping[str, str]]  # vendor -> pattern of mutants -> why nothing notices them

_FATES: Final = ("refused", "same", "killed", "survived")
_HEAD: Final = """\
# What the tests of the specs notice

Every single mistake is planted in a spec, one at a time, and its tests are run: a key left out, a word misspelt or
another one of its kind, a number off by one, a `!` or an item left out, two items in the wrong order. What only tells
(`about`, `docs`, `examples`, labels, notes) is left alone, and so are `verify`, `discover` and plain fields of open
types: they change nothing of what is sent or read. This page is made by `connectory mutate --write`; the reasons are
kept in `{reasons}`.

- *refused*: `connectory check` names it, with its line; no test is needed.
- *same*: it means what was meant before.
- *killed*: a test fails, a recording or an example; the tests of faults are not asked.
- *survived*: nothing notices it.
"""


@attrs.frozen
class Found:
    """The verdicts on the mutants of one vendor."""

    vendor: str
    file: str
    verdicts: Sequence[Verdict]
    reasons: Mapping[str, str] = attrs.Factory(dict)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many had each fate."""
        counted = Counter(verdict.fate for verdict in self.verdicts)
        return {fate: counted[fate] for fate in _FATES}

    @property
    def share(self) -> float:
        """Per cent killed of those that a test could notice."""
        counts = self.counts
        tried = counts["killed"] + counts["survived"]
        return 100.0 * counts["killed"] / tried if tried else 100.0

    @property
    def survivors(self) -> Sequence[Verdict]:
        """What nothing noticed."""
        return [verdict for verdict in self.verdicts if verdict.fate == "survived"]

    def reason(self, verdict: Verdict) -> str:
        """Why nothing notices it, as somebody has written down; empty where nobody has."""
        return next((why for pattern, why in self.reasons.items() if _fits(pattern, verdict.key)), "")

    def summary(self) -> str:
        """One line: `acme: 97.2 % of 640 mutants killed (18 survived); 358 refused by check, 1 the same`."""
        counts = self.counts
        tried = counts["killed"] + counts["survived"]
        return (
            f"{self.vendor}: {self.share:.1f} % of {tried} mutants killed ({counts['survived']} survived);"
            f" {counts['refused']} refused by check, {counts['same']} the same"
        )

    def as_data(self) -> dict[str, Any]:
        """The same for programs."""
        told = [{"line": v.line, "mutant": v.key, "reason": self.reason(v)} for v in self.survivors]
        return {"vendor": self.vendor, "killed_percent": round(self.share, 2), **self.counts, "survivors": told}


def _fits(pattern: str, key: str) -> bool:
    """Whether a mutant is meant; `*` stands for any letters."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), key, re.DOTALL) is not None


def read_reasons(file: Path) -> Reasons:
    """The reasons that were written down. Raises SpecError for a file that does not hold texts by vendor."""
    if not file.is_file():
        return {}
    tree: Table = read_tree(file.read_bytes(), str(file))
    reasons = as_data(tree)
    for vendor, held in reasons.items():
        if not isinstance(held, dict) or not all(isinstance(why, str) for why in held.values()):
            at = tree[next(key for key in tree if key == vendor)]
            raise SpecError(
                [Fault(str(file), at.line, at.column, f"/{vendor}", "expected mutants, each with a reason")]
            )
    return dict(reasons)


def report(found: Sequence[Found], reasons: str) -> str:
    """The page, in Markdown."""
    parts = [_HEAD.format(reasons=reasons), *_overview(found)]
    for one in found:
        parts += ["", f"## {one.vendor}", "", *_killers(one), "", *_survivors(one)]
    return "\n".join(parts).rstrip() + "\n"


def _overview(found: Sequence[Found]) -> Iterator[str]:
    yield "| vendor | mutants | refused | same | killed | survived | killed of those tried |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for one in found:
        counts = one.counts
        cells = [one.vendor, sum(counts.values()), *(counts[fate] for fate in _FATES), f"{one.share:.1f} %"]
        yield f"| {' | '.join(map(str, cells))} |"


def _killers(one: Found) -> Iterator[str]:
    kinds = Counter(verdict.kind for verdict in one.verdicts if verdict.fate == "killed")
    told = ", ".join(f"{count} by {_KINDS.get(kind, kind)}" for kind, count in kinds.most_common())
    yield f"Killed: {told or 'none'}."


_KINDS: Final = {"recorded": "a recording", "example": "an example", "time": "not coming to an end"}


def _survivors(one: Found) -> Iterator[str]:
    """What survived, by reason; what has none first."""
    by_reason: dict[str, list[Verdict]] = {}
    for verdict in one.survivors:
        by_reason.setdefault(one.reason(verdict), []).append(verdict)
    if not by_reason:
        yield "Nothing survived."
    for why, verdicts in sorted(by_reason.items(), key=lambda pair: pair[0] != ""):
        yield f"Survived: {why or '**no reason is known yet**'}"
        yield ""
        for verdict in verdicts:
            yield f"- line {verdict.line}, `{_on_page(verdict.key)}`"
        yield ""


def _on_page(key: str) -> str:
    return key.replace("`", " ")


def listed(page: str, vendor: str, keys: Iterable[str]) -> set[str]:
    """Which of these mutants a page tells as survivors of a vendor; an empty set where it tells none."""
    _, _, section = page.partition(f"\n## {vendor}\n")
    told = set(re.findall(r"^- line \d+, `(.*)`$", section.partition("\n## ")[0], re.MULTILINE))
    return {key for key in keys if _on_page(key) in told}
