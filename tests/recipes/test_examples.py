"""The examples of a recipe: what its change makes of rows, without a vendor."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectory.connecting import load_registry
from connectory.errors import SpecError
from connectory.recipes.changing.examples import run_example
from connectory.recipes.checks import check_recipe
from connectory.recipes.recipe import load_recipe

RECIPE = """\
name: people
from: {files: people.csv, columns: {id: bigint, amount: "decimal(9,2)", born: date, seen: timestamptz}}
lookups: {countries: countries.csv}
change: |
  select p.* exclude (cc), c.country, amount * 2 as twice, year(born) as year
  from records p left join countries c using (cc)
  where id > 0
to: {duckdb: out.duckdb, table: t}
examples:
  - about: a person of a known country
    rows:
      - {id: 1, cc: nl, amount: "1.50", born: "2001-02-03", seen: "2026-01-02T03:04:05+02:00", tags: [a, {b: 1}]}
      - {id: 0, cc: nl}
    gives:
      - id: 1
        amount: 1.5
        born: "2001-02-03"
        seen: "2026-01-02T01:04:05Z"
        tags: [a, {b: 1}]
        country: Netherlands
        twice: 3
        year: 2001
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "countries.csv").write_text("cc,country\nnl,Netherlands\n")
    return tmp_path


def written(folder: Path, text: str) -> Path:
    file = folder / "people.yaml"
    file.write_text(text)
    return file


def test_an_example_that_is_met_is_no_fault(folder: Path) -> None:
    file = written(folder, RECIPE)
    loaded = load_recipe(load_registry(), file)
    assert run_example(loaded, loaded.recipe.examples[0], load_registry(), folder) == []
    check_recipe(load_registry(), file, folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("twice: 3", "twice: 4", "people.yaml:21:16 /examples/0/gives/0/twice: row 1, twice: expected 4, found 3"),
        ("        year: 2001\n", "", "people.yaml:15:9 /examples/0/gives/0: row 1, year: expected nothing, found 2001"),
        ("{id: 0,", "{id: 2,", "/examples/0/gives: row 2: expected nothing, found {'id': 2,"),
        ("id: 1, cc", "id: one, cc", "row 1, id: expected 'a row for the change', found \"expected an integer"),
        ("country: Netherlands", "country: null", "row 1, country: expected None, found 'Netherlands'"),
        ("year(born)", "yeer(born)", "/change: Scalar Function with name yeer does not exist!"),
        ("where id > 0", "where id > 0 limit 1", "/change: LIMIT needs all rows at once"),
        ('amount: "1.50", b', 'amount: "x", b', "row 1, amount: expected 'a row for the change'"),
    ],
)
def test_what_differs_is_told_by_row_and_field(folder: Path, old: str, new: str, said: str) -> None:
    assert old in RECIPE
    with pytest.raises(SpecError) as told:
        check_recipe(load_registry(), written(folder, RECIPE.replace(old, new)), folder)
    assert said in str(told.value)


def test_an_example_of_a_recipe_without_change_shows_its_rows(folder: Path) -> None:
    text = "name: r\nfrom: {files: a.csv}\nto: {duckdb: o, table: t}\nexamples:\n- {rows: [{a: 1}], gives: [{a: 1}]}\n"
    check_recipe(load_registry(), written(folder, text), folder)


def test_records_of_a_vendor_are_typed_by_its_spec(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
name: r
from: {connector: 12twenty, operation: students.list}
change: select Id + 1 as id, typeof(Id) as type from records
to: {duckdb: o.duckdb, table: t}
examples:
- {rows: [{Id: 9007199254740993}], gives: [{id: 9007199254740994, type: BIGINT}]}
""",
    )
    check_recipe(load_registry(), file, None)
