"""Rows into files: Parquet, JSON Lines or CSV, in folders of partitions where the recipe names fields for them.

Rows come into a working file first, each chunk with its state (see `files_kept`). They become files of data when the
run ends, when the destination is closed, or when there are enough for a file; a `replace` does so at its end only.
Readers that find files by their ending see whole ones: files are made under other names and moved. One file is replaced
in one step, several of them one after the other; a run that is killed in between is completed by the next start.

JSON Lines hold every row as it came. In CSV nested values are JSON, null and missing are empty; new columns come last.
In Parquet every file has the columns that are known when it is made, so readers must join them by name; where the type
of a column changed, the earlier files are made anew. In folders of partitions (`country=NL`) Parquet and CSV leave the
fields of the folders out, as their readers expect.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, Literal

import attrs
import filelock
import msgspec

from connectory.destinations import columns
from connectory.destinations.columns import ANYTHING, Column, Layout, Tree
from connectory.destinations.destination import Contract, Kept, Written
from connectory.destinations.duckdb_growth import settle_all
from connectory.destinations.files_formats import Write, read_lines, write_csv, write_jsonl
from connectory.destinations.files_kept import Keeper, Manifest, Move, plain_words
from connectory.destinations.files_paths import Format, Pattern, partition_of, read_mode, read_pattern
from connectory.destinations.rows import Fitted, Rules, account, fit_rows, hardened
from connectory.destinations.scalars import Misfit, told
from connectory.errors import DestinationError
from connectory.lines import Lines
from connectory.values.shapes import Record

Mode = Literal["append", "replace"]
Rows = Sequence[Mapping[str, Any]]

MOST_PARTITIONS: Final = 1_000
ROWS_PER_PART: Final = 1_000_000
BYTES_PER_PART: Final = 512_000_000
_encoder = msgspec.json.Encoder(enc_hook=columns.write_special)
# JSON Lines are the working file itself, and their numbers stay numbers.
_exact_encoder = msgspec.json.Encoder(enc_hook=columns.write_special, decimal_format="number")
_pack = msgspec.msgpack.Encoder(enc_hook=columns.write_special).encode
_read_row = msgspec.json.Decoder().decode


def open_files(
    path: str,
    root: Path,
    shape: Record | None,
    mode: str | None,
    run: str,
    *,
    format: Format | None = None,
    partition: Sequence[str] = (),
    contract: Contract = "evolve",
) -> FilesDestination:
    """Open a set of files for writing, as `out/people-{{ part }}.parquet` below `root`; folders are made.

    Without `mode` files with a part's number are appended, and a single one is replaced. `run` names the run that goes
    on with a `replace` it left unfinished. Raises DestinationError.
    """
    pattern = read_pattern(path, format, root)
    chosen = read_mode(path, pattern, mode)
    writer = _writer(pattern.format)
    with plain_words(pattern.folder):
        pattern.kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FilesDestination(pattern, shape, chosen, run, partition, contract, writer)


def _writer(format: Format) -> Write:
    if format != "parquet":
        return write_csv if format == "csv" else write_jsonl
    try:
        from connectory.destinations.files_parquet import write_parquet
    except ImportError:
        raise DestinationError("Parquet files need the package pyarrow: pip install 'connectory[all]'") from None
    return write_parquet


class FilesDestination:
    """One set of files, open for writing. What `write` returns as delivered is on the disk, in the working file."""

    def __init__(
        self,
        pattern: Pattern,
        shape: Record | None,
        mode: Mode,
        run: str,
        partition: Sequence[str],
        contract: Contract,
        writer: Write,
    ) -> None:
        self._pattern, self._mode, self._run, self._writer = pattern, mode, run, writer
        self._format = pattern.format
        self._partition = tuple(partition)
        self._encoder = _exact_encoder if pattern.format == "jsonl" else _encoder
        self._rules = Rules(contract=contract, where=str(pattern.folder / pattern.label))
        self._typed = pattern.format == "parquet" or contract != "evolve"
        self._lock = filelock.FileLock(pattern.kept / f"{pattern.label}.lock", timeout=0)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise DestinationError(f"{pattern.folder / pattern.label} is being written by another program") from None
        try:
            self._keeper = Keeper(pattern.folder, pattern.kept, pattern.label)
            self._prepare(shape)
        except BaseException:
            self._lock.release()
            raise

    def _prepare(self, shape: Record | None) -> None:
        manifest = self._keeper.manifest
        goes_on = self._mode == "replace" and manifest.run == self._run and manifest.pending_state is not None
        if manifest.pending and not goes_on:
            manifest = self._without_pending(manifest)
            self._keeper.save(manifest)
        elif not manifest.pending and self._mode == "replace" and manifest.working:
            self._layout, self._folders = _layout_from(manifest.columns), set[str]()
            self._publish(manifest, fresh=False)  # what an append left
            manifest = self._keeper.manifest
        known = manifest.pending_columns if manifest.pending else manifest.columns
        if self._mode == "replace" and not manifest.pending and self._rules.contract == "evolve":
            known = None
        declared = {wire: columns.tree_of(held) for wire, held in shape.fields.items()} if shape else {}
        have = _layout_from(known)
        if self._format == "jsonl" and self._rules.contract != "evolve" and known is None:
            have = have.grown(self._names_there(manifest))
        self._layout = have.grown(settle_all(have.trees, declared))
        lines = self._keeper.lines() if self._partition else ()
        self._folders = {self._folder_of(_read_row(line)) for line in lines}

    def _names_there(self, manifest: Manifest) -> Mapping[str, Tree]:
        """The fields of the rows in the files that are there; nobody looked at them while no contract asked for it."""
        files = [file for place in manifest.parts if (file := self._pattern.folder / place).exists()]
        lines = chain(chain.from_iterable(map(read_lines, files)), self._keeper.lines())
        return _names(map(_read_row, lines), Layout())

    def _without_pending(self, manifest: Manifest) -> Manifest:
        forgotten = attrs.evolve(manifest, pending=False, run="", pending_state=None, pending_counts={})
        return attrs.evolve(forgotten, pending_columns=None, working=0, rows=0)

    @property
    def rows_per_write(self) -> None:
        """As they come."""

    @property
    def takes_text(self) -> bool:
        """Whether rows go into the working file as they came; by their types at most."""
        return self._format != "csv" and not self._partition

    def resume(self) -> None:
        """What was half done was finished when it was opened."""

    def write(self, rows: Rows, state: bytes | None = None) -> Written:
        """One chunk; see `Destination`."""
        with plain_words(self._pattern.folder):
            fitted, layout, lines, number = self._fit(rows if isinstance(rows, list | Lines) else list(rows))
            written = account(number, number, fitted)
            size = self._keeper.append(lines) if lines else self._keeper.manifest.working
            self._keeper.save(self._noted(state, written, layout, size, number))
            self._layout = layout
            if self._mode == "append" and (size > BYTES_PER_PART or self._keeper.manifest.rows >= ROWS_PER_PART):
                self._publish(self._keeper.manifest, fresh=False)
            return written

    def read_state(self) -> Kept | None:
        """What the same run kept last: of its `replace` in the making, else of the finished files."""
        manifest = self._keeper.manifest
        if manifest.pending and manifest.pending_state is not None:
            return Kept(manifest.pending_state, manifest.pending_counts)
        return manifest.state_of(self._run)

    def finish(self, state: bytes | None = None) -> None:
        """See `Destination`."""
        with plain_words(self._pattern.folder):
            manifest = self._keeper.manifest
            kept = self.read_state() if state is None else Kept(state)
            replaces = self._mode == "replace"
            if kept is not None:
                manifest = manifest.keeping(self._run, kept, alone=replaces)
            elif replaces:
                manifest = attrs.evolve(manifest, states={})
            self._publish(manifest, fresh=replaces)

    def close(self) -> None:
        """Let go of it. What was appended is made files of; a `replace` that was not finished changes nothing."""
        try:
            if self._mode == "append" and self._keeper.manifest.working:
                # Where this fails the rows are safe, and the next start does it.
                with suppress(DestinationError), plain_words(self._pattern.folder):
                    self._publish(self._keeper.manifest, fresh=False)
        finally:
            self._lock.release()

    def _noted(self, state: bytes | None, written: Written, layout: Layout, size: int, number: int) -> Manifest:
        manifest = attrs.evolve(
            self._keeper.manifest, working=size, rows=self._keeper.manifest.rows + number, run=self._run
        )
        if self._mode == "append":
            manifest = attrs.evolve(manifest, columns=self._described(layout))
            return manifest if state is None else manifest.keeping(self._run, Kept(state, written.counts))
        manifest = attrs.evolve(manifest, pending=True, pending_columns=self._described(layout))
        return manifest if state is None else attrs.evolve(manifest, pending_state=state, pending_counts=written.counts)

    def _described(self, layout: Layout) -> Any:
        """What is kept of the columns; nothing where nobody has looked at the rows."""
        if self._format == "jsonl" and not self._typed:
            return None
        return [[column.name, column.wire, columns.describe(column.tree)] for column in layout.columns]

    # Rows into lines.

    def _fit(self, rows: Rows) -> tuple[Fitted | None, Layout, bytes, int]:
        """What did not fit, the columns then, and the rows as lines with their number.

        The rows are looked at as a whole first, and one by one where that fails."""
        if not self._partition and (whole := self._in_a_go(rows)) is not None:
            layout = self._layout
            if self._format == "csv" and (new := _names(rows, layout)):
                layout = layout.grown(new)
            return None, layout, whole, len(rows)
        if self._typed:
            trees: Mapping[str, Tree] = self._layout.trees
            if self._rules.contract != "evolve":
                trees = {wire: hardened(tree) for wire, tree in trees.items()}
            fitted = fit_rows(rows, trees, self._rules)
            layout = self._layout.grown(fitted.trees)
        else:
            fitted = Fitted(list(rows), list(rows), {}, [])  # type: ignore[arg-type]
            layout = self._layout
        lines, reasons = [], {}
        for place, row in enumerate(fitted.rows if self._format == "parquet" or self._drops else fitted.given):
            try:
                lines.append(self._line(row))
            except Misfit as why:
                reasons[place] = (why.field, why.reason)
        fitted = fitted.without(reasons)
        if self._format == "csv":
            layout = layout.grown(_names(fitted.rows, layout))
        return fitted, self._layout if layout == self._layout else layout, b"".join(lines), len(lines)

    @property
    def _drops(self) -> bool:
        return self._rules.contract == "discard_value"

    def _in_a_go(self, rows: Rows) -> bytes | None:
        """The lines of rows that are all of the layout, or that any layout takes; else None."""
        if isinstance(rows, Lines):
            return self._as_they_came(rows)
        if not all(rows):
            return None
        try:
            if self._typed:
                self._layout.read(rows)
            elif not {dict}.issuperset(map(type, rows)):
                return None
            lines: bytes = self._encoder.encode_lines(rows)
            return lines if self._typed or b"null" not in lines or _surely_finite(rows) else None
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            return None

    def _as_they_came(self, rows: Lines) -> bytes | None:
        with suppress(KeyError, TypeError, ValueError, RecursionError):
            if self._typed:
                self._layout.read(rows)
            return rows.text
        return None

    def _line(self, row: Mapping[str, Any]) -> bytes:
        if not row or not isinstance(row, dict | Mapping):  # dict first: to ask for a Mapping takes ten times as long
            empty = isinstance(row, Mapping)
            raise Misfit("the row is empty: it has no field" if empty else f"expected an object, got {told(row)}")
        try:
            line = self._encoder.encode(row) + b"\n"
        except (TypeError, ValueError, RecursionError) as why:
            raise Misfit(f"cannot be written as JSON: {why}") from None
        if b"null" in line:
            for field, value in row.items():
                if type(value) not in _FINITE and _endless(value):
                    raise Misfit("it holds a number that is not finite", field)
        if self._partition:
            folder = self._folder_of(row)
            if folder not in self._folders and len(self._folders) >= MOST_PARTITIONS:
                raise DestinationError(
                    f"{self._pattern.folder}: the rows have more than {MOST_PARTITIONS:,} different values of"
                    f" {' and '.join(self._partition)}, and each makes a folder: partition by something coarser"
                )
            self._folders.add(folder)
        return line

    def _folder_of(self, row: Mapping[str, Any]) -> str:
        try:
            return partition_of(row, self._partition)
        except ValueError as why:
            raise Misfit(str(why), self._partition[0]) from None

    # Lines into files.

    def _publish(self, manifest: Manifest, *, fresh: bool) -> None:
        """Make files of the rows in the working file, and let them count: `fresh` ones alone, or with those there."""
        made = list(self._made(manifest, fresh=fresh))
        remade = [] if fresh else list(self._remade(manifest))
        before = {} if fresh else manifest.parts
        parts = {**before, **{move.place: move.rows for move in (*remade, *made)}}
        leaving = tuple(place for place in manifest.parts if place not in parts)
        self._keeper.publish(
            attrs.evolve(
                self._without_pending(manifest),
                parts=parts,
                columns=self._described(self._layout),
                published=self._described(self._layout),
                moves=(*remade, *made),
                leaving=leaving,
            )
        )
        self._folders = set()

    def _made(self, manifest: Manifest, *, fresh: bool) -> Iterator[Move]:
        number = 0 if fresh else max((_number_of(place, self._pattern) for place in manifest.parts), default=0)
        for folder, lines, rows in self._groups(empty=fresh and not self._partition):
            number += 1
            while self._taken(place := f"{folder}{self._pattern.name(number)}", manifest):
                number += 1
            yield self._make(place, lines, rows) if rows < manifest.rows or self._remakes else self._whole(place, rows)

    @property
    def _remakes(self) -> bool:
        """Whether the files are not what stands in the working file."""
        return self._format != "jsonl" or bool(self._partition)

    def _whole(self, place: str, rows: int) -> Move:
        path = self._keeper.new_path()
        self._keeper.second_name(path)
        return Move(str(path.relative_to(self._pattern.folder)), place, rows)

    def _taken(self, place: str, manifest: Manifest) -> bool:
        return self._pattern.many and place not in manifest.parts and (self._pattern.folder / place).exists()

    def _make(self, place: str, lines: Iterable[bytes], rows: int) -> Move:
        path = self._keeper.new_path()
        self._writer(path, lines, self._layout, self._partition)
        return Move(str(path.relative_to(self._pattern.folder)), place, rows)

    def _groups(self, *, empty: bool) -> Iterator[tuple[str, Iterable[bytes], int]]:
        """The folder, lines and number of rows of each file to make."""
        if not self._partition:
            rows, lines = self._keeper.manifest.rows, self._keeper.lines()
            # What is appended is made a file as soon as there is enough for one.
            most = ROWS_PER_PART if self._pattern.many and self._mode == "replace" else max(rows, 1)
            for start in range(0, max(rows, 1 if empty else 0), most):
                number = min(most, rows - start)
                yield "", islice(lines, number), number
            return
        places: dict[str, array[int]] = {}
        offset = 0
        for line in self._keeper.lines():
            places.setdefault(self._folder_of(_read_row(line)), array("Q")).append(offset)
            offset += len(line)
        for folder, offsets in sorted(places.items()):
            yield f"{folder}/", self._keeper.lines_at(offsets), len(offsets)

    def _remade(self, manifest: Manifest) -> Iterator[Move]:
        """Earlier files whose columns readers could not join with these."""
        if self._format != "parquet" or manifest.published is None:
            return
        from connectory.destinations.files_parquet import lines_of, readable_together

        if readable_together(_layout_from(manifest.published), self._layout):
            return
        for place, rows in manifest.parts.items():
            yield self._make(place, lines_of(self._pattern.folder / place), rows)


# A float's sign bit, eleven bits of exponent that are all 1, and the rest, as MessagePack writes it; other bytes can
# look the same, but seldom do.
_ENDLESS: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]").search


def _surely_finite(rows: Rows) -> bool:
    """Whether no number is in them that is not finite: packed, such a float has all bits of its exponent.

    Raises TypeError, ValueError or OverflowError where they cannot be packed.
    """
    return _ENDLESS(_pack(rows)) is None


def _endless(value: Any) -> bool:
    """Whether a number is in it that is not finite; JSON has none, and it would be written as null."""
    if isinstance(value, float):
        return value - value != 0
    if isinstance(value, dict):  # nearly all are; to ask for a Mapping takes ten times as long
        return any(type(held) not in _FINITE and _endless(held) for held in value.values())
    if isinstance(value, list | tuple):
        return any(type(held) not in _FINITE and _endless(held) for held in value)
    return isinstance(value, Mapping) and any(map(_endless, value.values()))


_FINITE: Final = frozenset({str, int, bool, type(None)})


def _names(rows: Iterable[Mapping[str, Any]], layout: Layout) -> dict[str, Tree]:
    """Fields that have no column yet, in the order they came."""
    new: dict[str, Tree] = {}
    known = layout.by_wire.keys()
    seen: tuple[str, ...] = ()
    for row in rows:
        if (names := tuple(row)) != seen:  # most rows are alike
            seen = names
            new.update({field: ANYTHING for field in row if field not in known})
    return new


def _layout_from(described: Any) -> Layout:
    return Layout(tuple(Column(name, wire, columns.from_description(tree)) for name, wire, tree in described or ()))


def _number_of(place: str, pattern: Pattern) -> int:
    name = place.rpartition("/")[2]
    middle = name[len(pattern.before) : len(name) - len(pattern.after or "")]
    return int(middle) if middle.isdigit() else 0
