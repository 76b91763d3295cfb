"""The built-in kinds of destination: their keys in a recipe's `to`, and how each is opened.

What a kind needs is imported when one is opened: the base package does without any database.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

import attrs

from connectory.destinations.destination import Contract, Destination
from connectory.errors import DestinationError, SettingError
from connectory.plugins.kinds import DestinationKind
from connectory.secrets import Resolver, built_in_resolvers, is_reference, resolve_reference
from connectory.spec.words import word
from connectory.values.shapes import Record

CONTRACT = (
    "what becomes of a field or a type that is not there yet: the table grows, the run stops, the row is invalid, or"
    " the value is left out"
)


@attrs.frozen(kw_only=True)
class DuckDBTarget:
    """A table of an embedded DuckDB file."""

    duckdb: str = word("the file; made when it is not there")
    table: str = word("the table, `people` or `crm.people`")
    key: tuple[str, ...] = word("fields that tell rows apart; default: the key of the record's type", ())
    mode: Literal["append", "replace", "merge"] = word(
        "merge by key, append, or replace in one step at the end", "append"
    )
    contract: Contract = word(CONTRACT, "evolve")


def open_duckdb_target(
    options: DuckDBTarget, *, shape: Record | None, keys: tuple[str, ...], run: str, root: Path
) -> Destination:
    """The table that a recipe names. `keys` are the record type's own. Raises DestinationError."""
    try:
        from connectory.destinations.duckdb import open_duckdb
    except ImportError:
        raise DestinationError("a DuckDB table needs the package duckdb: pip install 'connectory[duckdb]'") from None
    return open_duckdb(
        root / options.duckdb, options.table, shape, options.key or keys, options.mode, run, options.contract
    )


@attrs.frozen(kw_only=True)
class PostgresTarget:
    """A table of a PostgreSQL database."""

    postgres: str = word(
        "connection string without a password, or where one is kept: env:NAME, file:PATH, keyring:NAME"
    )
    table: str = word("the table, `people` or `crm.people`")
    key: tuple[str, ...] = word("fields that tell rows apart; default: the key of the record's type", ())
    mode: Literal["append", "replace", "merge"] = word(
        "merge by key, append, or replace in one step at the end", "append"
    )
    contract: Contract = word(CONTRACT, "evolve")


def open_postgres_target(
    options: PostgresTarget, *, shape: Record | None, keys: tuple[str, ...], run: str, root: Path
) -> Destination:
    """The table that a recipe names. Raises DestinationError, SettingError where the reference leads nowhere."""
    try:
        from connectory.destinations.postgres import open_postgres
    except ImportError:
        raise DestinationError("a PostgreSQL table needs psycopg: pip install 'connectory[postgres]'") from None
    address, key = read_address(options.postgres, root), options.key or keys
    return open_postgres(address, options.table, shape, key, options.mode, run, options.contract)


@attrs.frozen(kw_only=True)
class FilesTarget:
    """Parquet, JSON Lines or CSV files."""

    files: str = word("the file, or `out/people-{{ part }}.parquet` for as many as there is need of")
    format: Literal["csv", "jsonl", "parquet"] | None = word("what they are; default: by the ending", None)
    partition: tuple[str, ...] = word("fields whose values make folders, as `country=NL/year=2026`", ())
    mode: Literal["append", "replace"] | None = word(
        "add files, or replace them all at the end; default: append where the name has {{ part }}, else replace", None
    )
    contract: Contract = word(CONTRACT, "evolve")


def open_files_target(
    options: FilesTarget, *, shape: Record | None, keys: tuple[str, ...], run: str, root: Path
) -> Destination:
    """The files that a recipe names. Raises DestinationError."""
    from connectory.destinations.files import open_files

    return open_files(
        options.files,
        root,
        shape,
        options.mode,
        run,
        format=options.format,
        partition=options.partition,
        contract=options.contract,
    )


def check_files_target(options: FilesTarget) -> Iterator[tuple[str, str]]:
    """Names and modes that no run could use, by the key that is at fault."""
    from connectory.destinations.files_paths import read_mode, read_pattern

    key = "files"
    try:
        pattern = read_pattern(options.files, options.format, Path())
        key = "mode"
        read_mode(options.files, pattern, options.mode)
    except DestinationError as why:
        yield key, str(why)


def read_address(text: str, root: Path, resolvers: Mapping[str, Resolver] | None = None) -> str:
    """The connection string that a recipe gives or refers to. Raises SettingError."""
    resolvers = resolvers or built_in_resolvers(os.environ, root)
    if is_reference(text, resolvers):
        return resolve_reference(text, resolvers).reveal()
    if _PASSWORD.search(text):
        raise SettingError(
            "a password must not stand in this file, which is made to be committed: write a reference to the"
            " connection string (env:NAME, file:PATH, keyring:NAME)"
        )
    return text


_PASSWORD: Final = re.compile(r"password\s*=|://[^/@]*:[^/@]+@")

DESTINATIONS: Mapping[str, DestinationKind] = {
    "duckdb": DestinationKind(DuckDBTarget, open_duckdb_target, "a table of an embedded DuckDB file"),
    "postgres": DestinationKind(PostgresTarget, open_postgres_target, "a table of a PostgreSQL database"),
    "files": DestinationKind(
        FilesTarget, open_files_target, "Parquet, JSON Lines or CSV files", check=check_files_target
    ),
}
