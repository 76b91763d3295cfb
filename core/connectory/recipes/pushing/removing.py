"""A mirror removes at the vendor's what we delivered and the source no longer has, within bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import attrs

from connectory.delivery.journal import Chunk, Journal, Settled, UnderWay
from connectory.destinations.destination import Written
from connectory.errors import ConnectoryError, DestinationError
from connectory.operation import Plan
from connectory.recipes.pushing.calls import ROWS_OF_SINGLE_CALLS, Courier, Row, item_type, takes_objects
from connectory.recipes.pushing.recording import Recorder
from connectory.recipes.pushing.rows import Keys
from connectory.recipes.state import dump, load
from connectory.spec.naming import snake
from connectory.spec.typeexpr import Named
from connectory.values.writing import ValueFault

_TOLD: Final = 3  # refusals whose words are in the error


@attrs.frozen
class Ended:
    """What was removed. `unfinished`: the vendor could not be used to the end, the next start goes on."""

    written: Written
    unfinished: bool = False


@attrs.frozen(eq=False)
class Remover:
    """The removal of one recipe. `most` is the largest share of what we delivered that one run may remove."""

    courier: Courier
    keys: Keys
    most: Fraction

    def remove(self, journal: Journal) -> Ended | None:
        """Remove what is gone from the source; None where nothing is."""
        gone, total = journal.count_gone(), journal.count_accepted()
        if gone == 0 or gone == total:
            return (
                None
                if gone == 0
                else _refused(f"the source has none of the {total:,} rows that were delivered: nothing was removed")
            )
        if gone > self.most * total:
            return _refused(
                f"{gone:,} of the {total:,} rows delivered are gone from the source ({gone / total:.1%}), and "
                f"most_removed allows {float(self.most):.4g} of them ({int(self.most * total):,}): nothing was removed"
            )
        removed, refused, last = 0, list[str](), ""
        while rows := journal.gone(last, self._rows_per_chunk):
            last = rows[-1].key
            packed = [{"key": one.key, "row": load(one.row), "id": one.id} for one in rows]
            journal.hand_over(Chunk("remove", self.courier.plan.name, dump(packed)))
            done, words, stopped = self._take(journal, packed, {})
            removed, refused = removed + done, refused + words
            if stopped is not None:
                return Ended(Written(0, removed=removed, stopped=stopped), unfinished=True)
        return Ended(Written(0, removed=removed, stopped=_told(refused)))

    def resume(self, journal: Journal, left: UnderWay) -> Written:
        """Go on with a removal that was cut off. Removing what is gone does no harm, so all without a word goes."""
        packed = load(left.chunk.rows)
        known = {row: outcome.word for row, outcome in left.outcomes.items()}
        removed, refused, stopped = self._take(journal, packed, known)
        return Written(0, removed=removed, stopped=stopped or _told(refused))

    @property
    def _rows_per_chunk(self) -> int:
        batch = self.courier.plan.operation.batch
        return batch.largest if batch is not None else ROWS_OF_SINGLE_CALLS

    def _take(
        self, journal: Journal, packed: Sequence[Mapping[str, Any]], known: Mapping[int, str]
    ) -> tuple[int, list[str], ConnectoryError | None]:
        words, refused, wires, numbers = dict(known), list[str](), list[Any](), list[int]()
        for number, one in enumerate(packed, 1):
            if number in words:
                continue
            try:
                wires.append(self.courier.wire(removal_row(self.courier.plan, self.keys, one["row"], one["id"])))
                numbers.append(number)
            except ValueFault as fault:
                words[number] = "invalid"
                refused.append(f"{one['key']}: {fault}")
        stopped = None
        for results in self.courier.send(wires, Recorder(journal, numbers)):
            if isinstance(results, ConnectoryError):
                stopped = results
                continue
            for result in (one for one in results if one.word != "not_tried"):
                number = numbers[result.row - 1]
                words[number] = result.word
                if result.word not in ("delivered", "accepted"):
                    refused.append(f"{packed[number - 1]['key']}: {result.words}")
        removed = [packed[n - 1]["key"] for n, word in words.items() if word in ("delivered", "accepted")]
        if stopped is not None:
            journal.keep()
            return 0, refused, stopped
        journal.settle(Settled(removed=removed))
        return len(removed), refused, None


def removal_row(plan: Plan, keys: Keys, row: Row, id_: Any) -> Row:
    """What the operation that removes needs of a row that was delivered: its arguments by name, or the key.

    Where an argument is not among the row's fields and is the only one, it is the id that the vendor gave.
    """
    if plan.operation.batch is not None:
        kind = item_type(plan)
        if takes_objects(plan) and isinstance(kind, Named):
            return {name: row[name] for name in keys.names if name in row}
        return {"id": row.get(keys.names[0]) if len(keys.names) == 1 and keys.names[0] in row else id_}
    wanted = [p for p in plan.parameters.values() if p.required]
    found = {p.name: value for p in wanted for value in _matching(row, p.name, p.wire)}
    missing = [p.name for p in wanted if p.name not in found]
    if missing and len(missing) == 1 and id_ is not None:
        kind = plan.parameters[missing[0]].field.type
        found[missing[0]] = str(id_) if str(kind) == "str" else id_
    return found


def _matching(row: Row, name: str, wire: str) -> Iterator[Any]:
    yield from (value for column, value in row.items() if column in (name, wire) or snake(column) == name)


def _refused(words: str) -> Ended:
    return Ended(Written(0, stopped=DestinationError(f"mirror: {words}")))


def _told(refused: Sequence[str]) -> DestinationError | None:
    if not refused:
        return None
    more = f" and {len(refused) - _TOLD} more" if len(refused) > _TOLD else ""
    return DestinationError(f"mirror: {len(refused)} rows could not be removed: {'; '.join(refused[:_TOLD])}{more}")


def share_of(text: str) -> Fraction:
    """`10%` or `0.1` as a share. Raises ValueError."""
    number = Fraction(text.removesuffix("%").strip()) / (100 if text.endswith("%") else 1)
    if not 0 <= number <= 1:
        raise ValueError(f"'{text}' is no share from 0% to 100%")
    return number
