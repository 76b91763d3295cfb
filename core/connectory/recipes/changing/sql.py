"""Whether the SQL of a `change` may run: one SELECT from `records` that reads nothing else but the lookups, and, chunk
by chunk, one that makes of each record its own rows whatever other records there are. DuckDB's own parser tells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import attrs
import msgspec

from connectory.errors import Fault, nearest

RECORDS: Final = "records"
Node = Mapping[str, Any]
At = Callable[[int | None, str], Fault]
"""From a byte of the SQL and what is wrong there to a fault."""

# Functions that make rows of their arguments alone.
_TABLES: Final = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree", "repeat"})
_NOWHERE: Final = 2**64 - 1
_NEEDS_ALL: Final = "needs all rows at once: with 'change_over: all' the SQL sees them all"
_MODIFIERS: Final = {
    "ORDER_MODIFIER": "ORDER BY",
    "LIMIT_MODIFIER": "LIMIT",
    "LIMIT_PERCENT_MODIFIER": "LIMIT",
    "DISTINCT_MODIFIER": "DISTINCT",
}


def check_sql(
    connection: Any, sql: str, lookups: Collection[str], *, by_chunk: bool, at: Callable[[int | None, str], Fault]
) -> list[Fault]:
    """Every fault of the SQL. `connection` is DuckDB's."""
    [[told]] = connection.execute("SELECT json_serialize_sql($1)", [sql]).fetchall()
    parsed = msgspec.json.decode(told)
    if parsed["error"]:
        if parsed["error_type"] == "parser":
            return [at(int(parsed.get("position") or 0), parsed["error_message"])]
        return [at(None, "expected one SELECT: a change reads `records` and writes nothing")]
    if len(parsed["statements"]) != 1:
        return [at(None, f"expected one SELECT, found {len(parsed['statements'])} statements")]
    _learn_aggregates(connection)
    statement = parsed["statements"][0]
    check = _Check(lookups, at, by_chunk)
    check.query(statement["node"], {})
    if statement["named_param_map"]:
        check.fault(None, "the SQL has parameters ($1 or ?), which nothing fills")
    if not check.records and not check.faults:
        check.fault(None, f"the SQL does not read from `{RECORDS}`, the table of what the source gives")
    return check.faults


_aggregates: Final[set[str]] = {"count_star"}


def _learn_aggregates(connection: Any) -> None:
    """Ask for the functions that make one value of many rows; once, since DuckDB lists thousands."""
    if len(_aggregates) > 1:
        return
    found = connection.execute(
        "SELECT function_name FROM duckdb_functions() GROUP BY function_name"
        " HAVING bool_or(function_type = 'aggregate') AND NOT bool_or(function_type IN ('scalar', 'macro'))"
    ).fetchall()
    _aggregates.update(name for (name,) in found)


@attrs.frozen
class _Named:
    """A query with a name (WITH), and the names that it may use itself."""

    query: Node
    scope: Mapping[str, _Named]


Scope = Mapping[str, _Named]


@attrs.define
class _Check:
    lookups: Collection[str]
    at: At
    by_chunk: bool
    records: int = 0  # how often `records` is read
    faults: list[Fault] = attrs.Factory(list)

    def fault(self, node: Node | None, message: str) -> None:
        place = None if node is None else node.get("query_location", _NOWHERE)
        told = self.at(None if place == _NOWHERE else place, message)
        if told not in self.faults:
            self.faults.append(told)

    def needs_all(self, node: Node | None, what: str) -> None:
        if self.by_chunk:
            self.fault(node, f"{what} {_NEEDS_ALL}")

    def query(self, node: Node, scope: Scope) -> bool:
        """Look at a query; whether its rows come from `records`."""
        for entry in node["cte_map"]["map"]:
            scope = {**scope, entry["key"].casefold(): _Named(entry["value"]["query_node"], scope)}
        if node["type"] == "SELECT_NODE":
            return self._select(node, scope)
        known = {**scope, node["cte_name"].casefold(): _Named(_EMPTY, {})} if "cte_name" in node else scope
        parts = [part for part in (*node.get("children", ()), node.get("left"), node.get("right")) if part]
        reads = [self.query(part, known) for part in parts]
        if any(reads):
            self.needs_all(next(_places(node), None), "UNION and the like" if len(parts) > 1 else "a query of queries")
        self._expressions(node["modifiers"], scope)
        return any(reads)

    def _select(self, node: Node, scope: Scope) -> bool:
        reads = self._from(node["from_table"], scope)
        parts = [node[name] for name in ("select_list", "where_clause", "group_expressions", "having", "qualify")]
        expressions = list(self._expressions([*parts, node["modifiers"]], scope))
        if not reads:
            return False
        for modifier in node["modifiers"]:
            first = next(_places(modifier), None)
            self.needs_all(first, _MODIFIERS.get(modifier["type"], "this"))
        if node["group_expressions"] or node["aggregate_handling"] != "STANDARD_HANDLING":
            self.needs_all(next(_places(node["group_expressions"]), None), "GROUP BY")
        if node["having"]:
            self.needs_all(next(_places(node["having"]), None), "HAVING")
        if node["sample"]:
            self.needs_all(None, "SAMPLE")
        if not self.by_chunk:
            return True
        for expression in expressions:
            if expression["class"] == "WINDOW":
                self.needs_all(expression, f"the window function {expression['function_name']}")
            elif expression["class"] == "FUNCTION" and expression["function_name"].lower() in _aggregates:
                self.needs_all(expression, f"the aggregate {expression['function_name'].replace('_star', '')}")
        return True

    def _from(self, table: Node, scope: Scope) -> bool:
        """Look at what a query reads; whether that is `records`."""
        reads = self._reads(table, scope)
        if reads and table.get("sample"):
            self.needs_all(table, "TABLESAMPLE")
        return reads

    def _reads(self, table: Node, scope: Scope) -> bool:
        match table["type"]:
            case "BASE_TABLE":
                return self._table(table, scope)
            case "JOIN":
                return self._join(table, scope)
            case "SUBQUERY":
                return self.query(table["subquery"]["node"], scope)
            case "TABLE_FUNCTION":
                name = table["function"]["function_name"].lower()
                if name not in _TABLES:
                    self.fault(table, f"{name}(...) is not allowed here: a change reads `{RECORDS}` and its lookups")
                list(self._expressions(table["function"], scope))
            case "EXPRESSION_LIST":
                list(self._expressions(table["values"], scope))
            case "EMPTY" | "COLUMN_DATA":
                pass
            case _:
                self.fault(table, "expected one SELECT: a change reads `records` and writes nothing")
        return False

    def _table(self, table: Node, scope: Scope) -> bool:
        name = table["table_name"]
        if not table["schema_name"] and not table["catalog_name"]:
            if (named := scope.get(name.casefold())) is not None:
                return self.query(named.query, named.scope)
            if name.casefold() == RECORDS:
                self.records += 1
                if self.records > 1:
                    self.needs_all(table, f"reading `{RECORDS}` twice")
                return True
            if name.casefold() in {known.casefold() for known in self.lookups}:
                return False
        known = [RECORDS, *self.lookups, *scope]
        self.fault(table, f"there is no table '{name}'{nearest(name, known)} (there are {', '.join(known)})")
        return False

    def _join(self, table: Node, scope: Scope) -> bool:
        left, right = self._from(table["left"], scope), self._from(table["right"], scope)
        list(self._expressions(table["condition"], scope))
        kind = table["join_type"]
        if table["ref_type"] == "POSITIONAL" and (left or right):
            self.needs_all(table, "POSITIONAL JOIN")
        elif (left and kind in ("RIGHT", "OUTER", "FULL")) or (right and kind not in ("INNER", "RIGHT")):
            self.needs_all(table, f"a join ({kind}) that keeps rows without a record")
        return left or right

    def _expressions(self, part: Any, scope: Scope) -> list[Node]:
        """Every expression in here but those of queries inside, which are looked at by themselves."""
        found = []
        for node in _within(part):
            if node.get("class") == "SUBQUERY":
                if self.query(node["subquery"]["node"], scope):
                    self.needs_all(node, f"a query inside an expression that reads `{RECORDS}`")
            else:
                found.append(node)
        return found


_EMPTY: Final[Node] = {
    "type": "SELECT_NODE",
    "cte_map": {"map": []},
    "modifiers": [],
    "from_table": {"type": "EMPTY"},
    "select_list": [],
    "where_clause": None,
    "group_expressions": [],
    "having": None,
    "qualify": None,
    "sample": None,
    "aggregate_handling": "STANDARD_HANDLING",
}


def _within(part: Any) -> Iterator[Node]:
    """The expressions of a piece of the tree, outer ones first; not those below a query inside."""
    if isinstance(part, list):
        for item in part:
            yield from _within(item)
    elif isinstance(part, dict):
        if "class" in part:
            yield part
        if part.get("class") == "SUBQUERY":
            yield from _within(part.get("child"))
            return
        for value in part.values():
            if isinstance(value, dict | list):
                yield from _within(value)


def _places(part: Any) -> Iterator[Node]:
    """What has a place in the SQL, in order."""
    if isinstance(part, list):
        for item in part:
            yield from _places(item)
    elif isinstance(part, dict):
        if part.get("query_location", _NOWHERE) != _NOWHERE:
            yield part
        for value in part.values():
            if isinstance(value, dict | list):
                yield from _places(value)
