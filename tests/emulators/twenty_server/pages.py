"""Ordering, cursors and pages, with the way in which the real server loses rows."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import attrs

from emulators.exchange import Record
from emulators.twenty_server.model import ObjectType
from emulators.twenty_server.refusals import Refusal, bad_value, cursor_of_other_order, invalid_cursor
from emulators.twenty_server.values import COMPOSITES, EMPTY

DIRECTIONS = ("AscNullsFirst", "AscNullsLast", "DescNullsFirst", "DescNullsLast")


@attrs.frozen
class Order:
    """One term of an ordering: `("name", "lastName")` descending, say."""

    path: tuple[str, ...]
    direction: str = DIRECTIONS[0]
    foreign: bool = False
    """A relation's id column: the server's cursors leave it out."""

    @property
    def descending(self) -> bool:
        return self.direction.startswith("Desc")

    @property
    def nulls_first(self) -> bool:
        return self.direction.endswith("NullsFirst")

    def value(self, record: Record) -> Any:
        value: Any = record
        for name in self.path:
            value = value.get(name) if isinstance(value, dict) else None
        return value


ID = Order(("id",))


def parse_order(text: str, thing: ObjectType) -> list[Order]:
    """REST's `name.lastName[DescNullsLast],createdAt`. Raises Refusal for a direction; fields are checked later."""
    terms: list[dict[str, Any]] = []
    for part in filter(None, text.split(",")):
        name, bracket, direction = part.partition("[")
        direction = direction.removesuffix("]") if bracket else DIRECTIONS[0]
        if direction not in DIRECTIONS:
            allowed = ", ".join(f"'{known}'" for known in DIRECTIONS)
            raise Refusal(
                f"'order_by' direction '{direction}' invalid. Allowed values are {allowed}. "
                "eg: ?order_by=field_1[AscNullsFirst],field_2[DescNullsLast],field_3"
            )
        nested: Any = direction
        for piece in reversed(name.split(".")):
            nested = {piece: nested}
        terms.append(nested)
    return read_order(terms, thing)


def read_order(terms: Any, thing: ObjectType) -> list[Order]:
    """GraphQL's `[{"name": {"lastName": "DescNullsLast"}}]`. Raises Refusal."""
    found: list[Order] = []
    for term in terms if isinstance(terms, list) else [terms]:
        if not isinstance(term, dict):
            raise bad_value("Invalid orderBy: expected objects")  # wording assumed
        for name, nested in term.items():
            path, direction = _path_to_text((name,), nested)
            if direction not in DIRECTIONS:
                raise bad_value(f'Invalid orderBy direction for field "{".".join(path)}"')  # wording assumed
            field = thing.by_column(name)
            found.append(Order(path, direction, field is not None and field.is_relation))
    return found


def _path_to_text(path: tuple[str, ...], nested: Any) -> tuple[tuple[str, ...], str]:
    if isinstance(nested, dict) and nested:
        (piece, inner), *_ = nested.items()
        return _path_to_text((*path, piece), inner)
    return path, str(nested)


def check_order(orders: list[Order], thing: ObjectType) -> None:
    """Raises Refusal for a field that is not there."""
    for order in orders:
        field = thing.by_column(order.path[0])
        parts = EMPTY[field.type] if field is not None and field.type in COMPOSITES else {}
        if field is None or (order.path[1:] and order.path[1] not in parts):
            name = ".".join(order.path)
            text = f'Field "{name}" does not exist or is not sortable'
            raise Refusal(text, error="Error", code="FIELD_NOT_FOUND", sub_code="FIELD_NOT_FOUND")


def sort_records(records: list[Record], orders: list[Order]) -> list[Record]:
    """By the terms, then by id."""
    result = sorted(records, key=lambda record: str(record["id"]))
    for order in reversed(orders):
        known = [record for record in result if order.value(record) is not None]
        unknown = [record for record in result if order.value(record) is None]
        known.sort(key=lambda record: _sort_key(order.value(record)), reverse=order.descending)
        result = unknown + known if order.nulls_first else known + unknown
    return result


def _sort_key(value: Any) -> Any:
    if isinstance(value, str):
        return (value.casefold(), value)
    return json.dumps(value) if isinstance(value, (list, dict)) else value


# Cursors -------------------------------------------------------------------------------------------------------------


def encode_cursor(record: Record, orders: list[Order]) -> str:
    """Base64 of the values that the record was ordered by, and its id."""
    content: dict[str, Any] = {}
    for order in [*orders, ID]:
        if order.foreign:
            continue
        place = content
        for name in order.path[:-1]:
            place = place.setdefault(name, {})
        place[order.path[-1]] = order.value(record)
    return base64.b64encode(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()).decode()


def decode_cursor(text: str, orders: list[Order]) -> Record:
    """A stand-in record with the cursor's values. Raises Refusal."""
    try:
        content = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise invalid_cursor(text) from None
    if not isinstance(content, dict):
        raise invalid_cursor(text)
    expected = {order.path[0] for order in [*orders, ID] if not order.foreign}
    if set(content) != expected:
        raise cursor_of_other_order()
    return content


def comes_after(record: Record, cursor: Record, orders: list[Order], *, lose_nulls: bool) -> bool:
    """Whether a record stands behind the cursor, as the server's SQL has it.

    `lose_nulls`: a comparison with null is never true, so behind a null cursor there is nothing, and nulls stand
    behind nothing. What the cursor leaves out is not compared at all.
    """
    for order in [*(term for term in orders if not term.foreign), ID]:
        mine, other = order.value(record), order.value(cursor)
        if mine == other and not (mine is None and lose_nulls):
            continue
        if mine is None or other is None:
            return False if lose_nulls else (other is None) is order.nulls_first
        mine_key, other_key = _sort_key(mine), _sort_key(other)
        return bool(mine_key < other_key if order.descending else mine_key > other_key)
    return False


# Pages ---------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Wanted:
    """Which page: how many records, behind or before which cursor."""

    limit: int | None
    after: str | None = None
    before: str | None = None


@attrs.frozen
class Page:
    """One page. `cursors` belong to `records` one by one; `info` is the answer's pageInfo."""

    records: list[Record]
    cursors: list[str]
    info: dict[str, Any]
    total: int


def cut_page(records: list[Record], orders: list[Order], wanted: Wanted, *, lose_nulls: bool) -> Page:
    """The page of these (filtered) records. Without `lose_nulls` no record is lost or repeated. Raises Refusal."""
    if wanted.after is not None and wanted.before is not None:
        raise Refusal("Cannot provide both before and after", sub_code="INVALID_ARGS_FIRST")
    if not lose_nulls:
        orders = [attrs.evolve(order, foreign=False) for order in orders]
    backward = wanted.before is not None
    text = wanted.before if backward else wanted.after
    rows = sort_records(records, orders)
    if text is not None:
        cursor = decode_cursor(text, orders)
        if backward:
            rows = [row for row in reversed(rows) if comes_after(cursor, row, orders, lose_nulls=lose_nulls)]
        else:
            rows = [row for row in rows if comes_after(row, cursor, orders, lose_nulls=lose_nulls)]
    limit = len(rows) if wanted.limit is None else wanted.limit
    more, rows = len(rows) > limit, rows[:limit]
    cursors = [encode_cursor(row, orders) for row in rows]
    info = {
        "startCursor": cursors[0] if cursors else None,  # backward too: the record that stands last in the answer
        "endCursor": cursors[-1] if cursors else None,
        "hasNextPage": more and not backward,
        "hasPreviousPage": more and backward,
    }
    if backward:
        rows.reverse()
        cursors.reverse()
    return Page(rows, cursors, info, len(records))
