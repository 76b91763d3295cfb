"""What of a spec a call really uses: the rules that judge its answers, the pages it walks, how it signs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from connectory.answers import Answer
from connectory.connector import Connector
from connectory.operation import Plan
from connectory.outcomes import Judge
from connectory.paging.walk import find_records
from connectory.plugins.kinds import PagerKind, Verdict
from connectory.spec.language import Does, Rule, Spec
from connectory.spec.problems import Path
from connectory.spec.words import Records
from connectory.testing.recorded.blame import related
from connectory.testing.recorded.outcome import Gives


@attrs.define
class Trace:
    """What one call used. Paths lead into the spec as it is once its families are written out."""

    rules: set[Path] = attrs.Factory(set)
    answers: Counter[str] = attrs.Factory(Counter)  # operation -> answers
    pages: Counter[str] = attrs.Factory(Counter)  # pager -> pages
    auth: set[int] = attrs.Factory(set)  # alternatives that signed
    tokens: int = 0  # answers to an exchange of a token
    accounts: Mapping[str, int] = attrs.Factory(dict)  # of a batch: what became of how many items

    def before(self, connector: Connector, operation: str) -> None:
        """Look on while a connector makes one call of an operation."""
        engine = connector.engine
        spec = engine.spec
        for name in related(spec, operation):
            engine.replan(self._watched(spec, engine.plan(name)))
        judges = _watched_judges(engine.line.judges, rules_of(spec, None, "read"), self.rules)
        engine.line.judges = (self._count_token, *judges)
        chosen = engine.line.credentials.auth
        if chosen is not None and not spec.operations[operation].anonymous:
            self.auth.add(next(number for number, auth in enumerate(spec.auth) if auth is chosen))

    def after(self, gives: Gives) -> None:
        """Note what the call gave."""
        self.accounts = gives.get("accounts", {})

    def _watched(self, spec: Spec, plan: Plan) -> Plan:
        def count(_: Answer) -> None:
            self.answers[plan.name] += 1

        judges = _watched_judges(plan.judges, rules_of(spec, plan.name, plan.does), self.rules)
        kind = plan.pager_kind
        watched = kind if kind is None else self._watched_kind(kind, str(plan.operation.pages))
        return attrs.evolve(plan, judges=(count, *judges), pager_kind=watched)

    def _watched_kind(self, kind: PagerKind, pager: str) -> PagerKind:
        find = kind.records or find_records

        def records(where: Records, answer: Answer) -> Any:
            self.pages[pager] += 1
            return find(where, answer)

        return attrs.evolve(kind, records=records)

    def _count_token(self, _: Answer) -> None:
        self.tokens += 1


def rules_of(spec: Spec, operation: str | None, does: Does) -> list[Path]:
    """Where the rules stand that judge an operation (None: the exchange of a token), in their order."""
    found: list[tuple[Path, Rule]] = []
    if operation is not None:
        own = spec.operations[operation].outcomes
        found += [(("operations", operation, "outcomes", number), rule) for number, rule in enumerate(own)]
    found += [(("outcomes", number), rule) for number, rule in enumerate(spec.outcomes)]
    return [path for path, rule in found if not rule.does or does in rule.does]


def _watched_judges(judges: Sequence[Judge], places: Sequence[Path], seen: set[Path]) -> list[Judge]:
    """The judges, those of the spec's rules noting when they have a verdict; the built-in ones stand behind them."""

    def watched(judge: Judge, place: Path) -> Judge:
        def look(answer: Answer) -> Verdict | None:
            verdict = judge(answer)
            if verdict is not None:
                seen.add(place)
            return verdict

        return look

    ours = [watched(judge, place) for judge, place in zip(judges, places, strict=False)]
    return [*ours, *judges[len(ours) :]]
