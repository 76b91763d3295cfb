"""What an analyst reads who put the wrong thing into a recipe: it speaks of recipes and of what may stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.conftest import Cli, cli
from connectory.commands.check import check_files

__all__ = ["cli"]

TABLE = "to: {duckdb: w.duckdb, table: t}"
CASES = {
    "a key of another kind of destination": (
        "to: {files: out.csv, key: id}",
        "3:22 /to/key: 'key' goes with connector, duckdb or postgres, not with files: `to` with files takes files, "
        "format, partition, mode and contract",
    ),
    "a key of another kind of source": (
        f"{TABLE}\nfrom: {{sqlite: w.db, query: select 1, columns: {{}}}}",
        "4:39 /from/columns: 'columns' goes with files, not with sqlite: `from` with sqlite takes sqlite and query",
    ),
    "a word of the spec language": (
        "to: {files: out.csv, limits: 3}",
        "3:22 /to/limits: unknown key 'limits': `to` with files takes files, format, partition, mode and contract",
    ),
    "a misspelt key": (
        "to: {duckdb: w.duckdb, tabel: t}",
        "3:24 /to/tabel: unknown key 'tabel'; did you mean 'table'?",
    ),
    "a key of the source in the destination": (
        "to: {files: out.csv, lookback: 1h}",
        "3:22 /to/lookback: 'lookback' belongs in `from` (of connector)",
    ),
    "a key of the recipe in the destination": (
        "to: {files: out.csv, share: 50%}",
        "3:22 /to/share: 'share' belongs at the top of the recipe, beside `from` and `to`",
    ),
    "a key of the destination at the top": (
        f"{TABLE}\nkey: id",
        "4:1 /key: 'key' belongs in `to` (of connector, duckdb or postgres)",
    ),
    "a key that is nowhere": (
        f"{TABLE}\nrecords: rows",
        "4:1 /records: unknown key 'records': name, about, from, change, change_over, lookups, to, share, reserve, "
        "between and examples may stand here",
    ),
    "a key of nothing in an example": (
        f"{TABLE}\nexamples: {{rows: [], gives: [], answer: x}}",
        "4:33 /examples/answer: unknown key 'answer': about, rows and gives may stand here",
    ),
    "files whose ending says nothing": (
        "to: {files: out}",
        "3:13 /to/files: out: its ending says no format; end it with .parquet, .jsonl, .ndjson, .csv, or name a "
        "`format`",
    ),
    "files that cannot be added to": (
        "to: {files: out.csv, mode: append}",
        "3:28 /to/mode: out.csv: append makes new files and changes none, so each needs a number of its own: put "
        "{{ part }} into the name",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fault_of_a_recipe_is_told_in_its_own_words(tmp_path: Path, case: str) -> None:
    lines, told = CASES[case]
    source = "" if "from:" in lines else "from: {stdin: csv}"
    file = tmp_path / "r.yaml"
    file.write_text(f"name: r\n{source}\n{lines}\n")
    assert [fault.removeprefix(f"{file}:") for fault in map(str, check_files([file]))] == [told]


def test_check_ends_with_2_and_says_where(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "r.yaml").write_text("name: r\nfrom: {stdin: csv}\nto: {files: out}\n")
    checked = cli("check")
    assert checked.exit_code == 2
    assert "recipes/r.yaml:3:13 /to/files: out: its ending says no format" in checked.stdout
    ran = cli("sync", "recipes/r.yaml", input="a\n1\n")
    assert ran.exit_code == 2
    assert "recipes/r.yaml:3:13 /to/files" in ran.stderr
