"""From the kinds that a recipe names to what is read and written: one table each for sources and destinations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from connectory.destinations.destination import Destination
from connectory.errors import SettingError
from connectory.recipes.context import Context
from connectory.recipes.reading.opening import open_operation
from connectory.recipes.recipe import ToOperation
from connectory.recipes.source import SourceReader


def _open_files(context: Context, options: Any) -> SourceReader:
    from connectory.recipes.sources.files import open_files  # here and below, since most recipes have other sources

    return open_files(options, context.root, context.wrong)


def _open_duckdb(context: Context, options: Any) -> SourceReader:
    from connectory.recipes.changing.values import import_duckdb

    import_duckdb("a query on a DuckDB file")
    from connectory.recipes.sources import duckdb_query

    return duckdb_query.open_query(context, options)


def _open_sqlite(context: Context, options: Any) -> SourceReader:
    from connectory.recipes.sources import sqlite_query

    return sqlite_query.open_query(context, options)


def _open_postgres(context: Context, options: Any) -> SourceReader:
    from connectory.recipes.sources import postgres_query

    return postgres_query.open_query(context, options)


def _open_input(context: Context, options: Any) -> SourceReader:
    from connectory.recipes.sources.stdin import open_input

    return open_input(context, options)


# Each opens what the keys of its kind say. Raises InputError where they are wrong, and the source's own errors.
SOURCES: Final[Mapping[str, Callable[[Context, Any], SourceReader]]] = {
    "connector": open_operation,
    "duckdb": _open_duckdb,
    "sqlite": _open_sqlite,
    "postgres": _open_postgres,
    "files": _open_files,
    "stdin": _open_input,
}


def open_push(context: Context, options: ToOperation, source: SourceReader) -> Destination:
    """A vendor's operation as a destination. What pushes need is imported with the first of them."""
    from connectory.recipes.pushing import opening

    return opening.open_push(context, options, source)


# Destinations that are no plug-ins, because they need the run's connectors. They get the source's shape and keys too.
TARGETS: Final[Mapping[str, Callable[[Context, Any, SourceReader], Destination]]] = {"connector": open_push}


def open_source(context: Context) -> SourceReader:
    """The recipe's source, after its change: the rows of its chunks are those that are delivered.

    Raises InputError where the recipe is wrong, and what the source itself raises.
    """
    source = context.loaded.recipe.from_
    if source.kind not in SOURCES:
        raise context.wrong(("from", source.kind), f"'{source.kind}' is not built yet")
    reader = SOURCES[source.kind](context, source.options)
    return changed(context, reader)


def changed(context: Context, reader: SourceReader) -> SourceReader:
    """The reader with the recipe's change laid over it; `Chunk.came` counts the rows before the change."""
    recipe = context.loaded.recipe
    if recipe.change is None:
        return reader
    from connectory.recipes.changing.changed import open_change

    try:
        return open_change(context.loaded, context.root, reader, complete=recipe.from_.kind != "connector")
    except BaseException:
        reader.close()
        raise


def open_target(context: Context, source: SourceReader) -> Destination:
    """The recipe's destination. What an unfinished run of this recipe left there is gone on with.

    Raises InputError where the recipe is wrong, DestinationError where the place refuses.
    """
    recipe = context.loaded.recipe
    if (opener := TARGETS.get(recipe.to.kind)) is not None:
        return opener(context, recipe.to.options, source)
    kind = context.registry.destinations.get(recipe.to.kind)
    if kind is None:
        raise context.wrong(("to", recipe.to.kind), f"'{recipe.to.kind}' is not built yet")

    def opened(run: str) -> Destination:
        try:
            return kind.open(recipe.to.options, shape=source.shape, keys=source.keys, run=run, root=context.root)
        except SettingError as why:  # a password in the recipe, a reference that leads nowhere
            raise context.wrong(("to", recipe.to.kind), str(why)) from None

    if context.fresh:
        opened(f"{recipe.name} anew").close()  # opened for another run, a place forgets what an unfinished one left
    return opened(recipe.name)
