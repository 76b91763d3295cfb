"""An operation as the fault tests see it: the facts of its spec that decide what must follow from a fault."""

from __future__ import annotations

import attrs

from connectory.answers import Answer
from connectory.messages import Headers, Response
from connectory.mock.desks import Desk
from connectory.mock.exchange import Refused
from connectory.mock.refusals import Refusing
from connectory.outcomes import judge
from connectory.plugins.registry import Registry
from connectory.spec.language import Spec

LEADING = frozenset({"cursor", "next_url", "connection"})  # kinds whose answers say how to go on
FIVE = 5  # items of the batches that are sent


@attrs.frozen(eq=False)
class Subject:
    """One operation. `rows` says whether there are records for it to take away, `leads` whether the answers say how to
    go on; `total` is `exact`, `warn` or empty."""

    desk: Desk
    spec: Spec
    registry: Registry
    rows: bool

    @property
    def name(self) -> str:
        return self.desk.name

    @property
    def does(self) -> str:
        return self.desk.plan.does

    @property
    def repeatable(self) -> bool:
        return self.desk.plan.repeatable

    @property
    def removes(self) -> bool:
        """Whether one call takes one record away, so that a second call finds nothing."""
        return self.desk.act == "delete" and self.desk.key is not None and self.rows

    @property
    def signed(self) -> bool:
        return bool(self.spec.auth) and not self.desk.operation.anonymous

    @property
    def token(self) -> bool:
        return self.signed and self.spec.auth[0].token is not None

    # Pages --------------------------------------------------------------------------------------------------------

    @property
    def paged(self) -> bool:
        kind = self.desk.plan.pager_kind
        return self.desk.act == "list" and kind is not None and kind.play is not None and self.kind in _KINDS

    @property
    def kind(self) -> str:
        return self.desk.plan.pager.use if self.desk.plan.pager else ""

    @property
    def leads(self) -> bool:
        return self.kind in LEADING

    @property
    def more(self) -> bool:
        return bool(self.desk.plan.pager and self.desk.plan.pager.more)

    @property
    def total_stated(self) -> bool:
        return bool(self.desk.plan.pager and self.desk.plan.pager.total_records)

    @property
    def total_seen(self) -> bool:
        """Whether the client learns a total, from the spec's place or from the connection itself."""
        pager = self.desk.plan.pager
        if self.total_stated or pager is None or self.kind != "connection" or self.desk.plan.records is None:
            return self.total_stated
        shown = self.desk.plan.records.path[0].find(self.desk.answer)
        return not isinstance(shown, dict) or "totalCount" in shown

    @property
    def total(self) -> str:
        pager = self.desk.plan.pager
        return pager.count if pager is not None and pager.total_records is not None else ""

    @property
    def pages(self) -> bool:
        return bool(self.desk.plan.pager and self.desk.plan.pager.total_pages)

    # Batches ------------------------------------------------------------------------------------------------------

    @property
    def batch(self) -> bool:
        return self.desk.operation.batch is not None

    @property
    def fits_five(self) -> bool:
        batch = self.desk.operation.batch
        return batch is not None and batch.largest >= FIVE

    @property
    def harmless(self) -> bool:
        """Whether a part of a refused batch may be sent again: it is repeatable, or known to be all or nothing."""
        batch = self.desk.operation.batch
        assumed = f"operations/{self.name}/batch/atomic" in self.spec.assumed
        return batch is not None and (self.repeatable or (batch.atomic and not assumed))

    @property
    def reports(self) -> bool:
        """Whether the answer can say of one item that it was refused."""
        told = [one for one in self.desk.operation.results if one.count is None]
        return bool(told) and all(bool(one.ok or one.only) for one in told)

    @property
    def lists_items(self) -> bool:
        """Whether the answer should name the items that were taken."""
        return any(one.count is None and one.only != "rejected" for one in self.desk.operation.results)

    # Answers ------------------------------------------------------------------------------------------------------

    @property
    def json(self) -> bool:
        return self.desk.plan.styles.answer == "json" and self.has_body

    @property
    def has_body(self) -> bool:
        """Whether a good answer has one, as far as the spec shows."""
        example = self.desk.example
        if example is None and self.batch:
            return bool(self.desk.operation.results)
        if example is None:
            return not (self.desk.act == "delete" and not self.desk.operation.record)
        return example.answer is not None and example.status != 204

    @property
    def status(self) -> int:
        """The status of a good answer."""
        return self.desk.example.status if self.desk.example else 201 if self.desk.act == "create" else 200

    def means(self, status: int) -> str:
        """What an answer of this status means here, as the vendor words it otherwise."""
        refusing = Refusing(self.desk.plan, self.spec.outcomes, self.registry.codecs)
        draft = refusing.plain(Refused("", "as told", status=status))
        answer = Answer(Response(status, Headers(draft.headers), b"{}"), draft.body)
        return str(judge(self.desk.plan.judges, answer).word)

    @property
    def empty_is_good(self) -> bool:
        """Whether a success without a body is read as one."""
        answer = Answer(Response(self.status, Headers(), b""), None)
        return judge(self.desk.plan.judges, answer).word in ("ok", "accepted")

    @property
    def own_throttle(self) -> bool:
        """Whether a rule of the spec, and not the status 429, says that there were too many calls here."""
        rules = (*self.desk.operation.outcomes, *self.spec.outcomes)
        if not self.json or not any(rule.is_ == "throttled" for rule in rules):
            return False
        refusing = Refusing(self.desk.plan, rules, self.registry.codecs)
        return refusing.answer(Refused("throttled", "too many requests"), 7.0).status != 429


_KINDS = LEADING | {"page_number", "offset", "last_record"}
