"""What was measured, as lines for a terminal, as JSON, as a picture and as the table of docs/performance.md."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import attrs

from benchmarks.measuring import ROOT, Result, Row

RESULTS: Final = ROOT / "docs" / "performance.json"
PICTURE: Final = ROOT / "docs" / "performance.svg"
PAGE: Final = ROOT / "docs" / "performance.md"
BEGIN: Final = "<!-- begin of what `python -m benchmarks --write` writes -->"
END: Final = "<!-- end of it -->"

Measured = Mapping[str, Any]  # one row, as it stands in the JSON


def entry(row: Row, result: Result, rounds: int, load: float) -> dict[str, Any]:
    """A row measured, as plain data. `load` is the load average of the minute before it began."""
    facts = {
        key: getattr(row, key) for key in ("name", "short", "work", "compared", "measure", "unit", "at_most", "least")
    }
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    met = result.ratio.median <= row.at_most if not row.least else result.ratio.median >= row.at_most
    return {**facts, "met": met, "rounds": rounds, "load": round(load, 2), "at": now, **_rounded(attrs.asdict(result))}


def lines(measured: Measured) -> str:
    """One row for a terminal."""
    ratio, verdict = measured["ratio"], "met" if measured["met"] else "MISSED"
    spread = f"{ratio['low']:.3g} to {ratio['high']:.3g}"
    text = [f"{measured['name']}: {_figure(measured)} ({spread}), bar {measured['at_most']:g}: {verdict}"]
    for name, side in measured["sides"].items():
        took = f"{side['cpu']['median']:.2f} s CPU, {side['wall']['median']:.2f} s"
        text.append(f"    {name}: {took}, {side['peak']['median'] / 2**20:.0f} MiB")
    text += [f"    {size}: {figure:.3g}" for size, figure in measured["points"].items()]
    if measured["server"] is not None:
        text.append(f"    server busy {measured['server']:.0%} of the time at most; load average {measured['load']}")
    return "\n".join(text)


def write(rows: Sequence[Measured], order: Sequence[str], machine: Mapping[str, Any], top: Mapping[str, float]) -> None:
    """Put rows into docs/performance.json, beside those of earlier runs, and make picture and table of all."""
    kept = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    by_name = {row["name"]: row for row in [*kept, *rows]}
    whole = {
        "machine": machine,
        "server_alone": _rounded(top),
        "rows": [by_name[name] for name in order if name in by_name],
    }
    RESULTS.write_text(json.dumps(whole, indent=1) + "\n")
    PICTURE.write_text(picture(whole["rows"]))
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(whole)}{END}{rest.partition(END)[2]}")


def table(whole: Mapping[str, Any]) -> str:
    """Every row beside its bar, and what each side took."""
    machine, top = whole["machine"], whole["server_alone"]
    text = [
        f"Measured on {machine['processors']} × {machine['processor']}, Python {machine['python']}."
        f" The server alone gives {top['pages_per_second']:,.0f} pages of 500 records a second,"
        f" {top['megabytes_per_second']:,.0f} MB/s.",
        "",
        "| work | compared with | measured | smallest to largest | bar | | rounds | load |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in whole["rows"]:
        ratio = row["ratio"]
        spread = f"{ratio['low']:.3g} to {ratio['high']:.3g}"
        bar = f"{row['at_most']:g} {row['unit']} {row['measure']}"
        met = "met" if row["met"] else "**missed**"
        text.append(
            f"| {row['work']} | {row['compared']} | {_figure(row)} | {spread} | {bar} | {met} |"
            f" {row['rounds']} | {row['load']} |"
        )
    text += [
        "",
        "| work | program | CPU s | wall s | peak MiB | CPU × by hand |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in whole["rows"]:
        for name, side in row["sides"].items():
            cpu, wall, peak = (side[key]["median"] for key in ("cpu", "wall", "peak"))
            times = cpu / row["sides"]["by hand"]["cpu"]["median"] if "by hand" in row["sides"] else 1
            text.append(f"| {row['name']} | {name} | {cpu:.2f} | {wall:.2f} | {peak / 2**20:.0f} | {times:.2f} |")
    text += ["", "| work | made of | |", "| --- | --- | --- |"]
    text += [
        f"| {row['name']} | {size} | {figure:.4g} |" for row in whole["rows"] for size, figure in row["points"].items()
    ]
    return "\n".join(text) + "\n"


def picture(rows: Sequence[Measured]) -> str:
    """A bar for each row, as long as the part of its bar that it takes; the line is the bar."""
    left, unit, height = 430, 200, 22
    text = []
    for number, row in enumerate(rows):
        share = row["at_most"] / row["ratio"]["median"] if row["least"] else row["ratio"]["median"] / row["at_most"]
        y, colour = number * height + 24, "#2a7" if row["met"] else "#c53"
        length = min(share, 2) * unit
        text += [
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(row["short"])}</text>',
            f'<rect x="{left}" y="{y + 2}" width="{length:.0f}" height="14" fill="{colour}"/>',
            f'<text x="{left + length + 6:.0f}" y="{y + 13}">{escape(_figure(row))} of {row["at_most"]:g}</text>',
        ]
    bottom = len(rows) * height + 30
    line = f'<path d="M{left + unit} 20V{bottom - 4}" stroke="#888" stroke-dasharray="3"/>'
    title = f'<text x="{left + unit}" y="14" text-anchor="middle">the bar</text>'
    size = f'width="{left + 2 * unit + 130}" height="{bottom}"'
    style = 'font-family="sans-serif" font-size="12" fill="#777"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join([*text, line, title]) + "\n</svg>\n"


def _figure(row: Measured) -> str:
    return f"{row['ratio']['median']:.3g} {row['unit']}"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
