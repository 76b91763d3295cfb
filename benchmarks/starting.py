"""What it takes to begin: time, and space on the disk."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

import attrs

from benchmarks.measuring import (
    CONNECTORY,
    ROOT,
    Program,
    Result,
    Row,
    Spread,
    Stage,
    alternate,
    by_hand,
    ours,
    settings,
)

OPERATIONS: Final = 1000

_SPEC: Final = """\
name: large
about: A vendor with many operations
settings: {{key: {{type: secret, required: true, about: anything}}}}
servers: {{loopback: "http://127.0.0.1:1"}}
auth: {{bearer: "{{{{ key }}}}"}}
pagers:
  numbered: {{use: page_number, page: page, size: size, largest: 500, total_records: total, records: records}}
operations:
{operations}
types:
{types}
"""
_OPERATIONS: Final = (
    "  things{0}.list: {{get: /things{0}, query: {{since: datetime, state: one of open | shut}}, "
    "pages: numbered, returns: Thing{1}}}",
    '  things{0}.get: {{get: "/things{0}/{{id}}", path: {{id: int64}}, returns: Thing{1}}}',
    "  things{0}.create: {{post: /things{0}, fields: {{name: str!, amount: decimal, due: date}}, returns: Thing{1}}}",
    '  things{0}.update: {{put: "/things{0}/{{id}}", path: {{id: int64}}, body: Thing{1}}}',
    '  things{0}.delete: {{delete: "/things{0}/{{id}}", path: {{id: int64}}}}',
)
_TYPE: Final = (
    "  Thing{0}: {{id: int64! key, name: str!, amount: decimal, due: date, created: datetime read_only, "
    "tags: list of str}}"
)


def large_spec(operations: int) -> str:
    """A spec of so many operations, five for each resource, and a type for every fifty."""
    lines = [_OPERATIONS[number % 5].format(number // 5, number // 50) for number in range(operations)]
    types = [_TYPE.format(number) for number in range((operations - 1) // 50 + 1)]
    return _SPEC.format(operations="\n".join(lines), types="\n".join(types))


def _loading(operations: int) -> Program:
    text = large_spec(operations)
    return Program(ours("load"), prepare=lambda folder: (folder / "specs" / "large.yaml").write_text(text))


def help_shown(stage: Stage) -> Result:
    return alternate(
        attrs.evolve(stage, rounds=stage.rounds * 3),
        Program([*CONNECTORY, "--help"]),
        Program([sys.executable, "-c", "pass"]),
        "wall",
    )


def spec_loaded(stage: Stage) -> Result:
    mine = _loading(stage.size(OPERATIONS))
    return alternate(stage, mine, attrs.evolve(mine, words=by_hand("read_yaml", "specs/large.yaml")))


def installed_size(stage: Stage) -> Result:
    """Of the base package and all that it needs, with their byte code where the installer made it."""
    ours_alone = sum(_size(ROOT / place) for place in ("core/connectory", "connectors/connectory_connectors", "specs"))
    needs = {
        name: sum(_size(Path(str(file.locate()))) for file in found.files or ()) for name, found in _needs().items()
    }
    return Result(
        Spread.of([(ours_alone + sum(needs.values())) / 1e6]),
        points={"connectory": ours_alone / 1e6, **{name: size / 1e6 for name, size in sorted(needs.items())}},
    )


def _needs() -> dict[str, Distribution]:
    """Every distribution that the base package needs, itself left out."""
    found: dict[str, Distribution] = {}
    wanted = ["connectory"]
    while wanted:
        for requirement in distribution(wanted.pop()).requires or ():
            name, _, condition = requirement.partition(";")
            name = re.split(r"[^\w.-]", name.strip())[0]
            if "extra ==" in condition or ("win32" in condition and sys.platform != "win32") or name in found:
                continue
            if "implementation" in condition or "python_version" in condition or "python_full" in condition:
                continue  # back-ports for older Pythons
            found[name] = distribution(name)
            wanted.append(name)
    return found


def _size(place: Path) -> int:
    if place.is_dir():
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    return place.stat().st_size if place.is_file() else 0


def operations_growth(stage: Stage) -> Result:
    """What one more operation costs at the largest size, beside what it costs in the middle."""
    sizes = (10, 50, 100, 500, 1000, 5000)
    points = {size: min(stage.run(_loading(size))["cpu"] for _ in range(stage.rounds)) for size in sizes}
    last, middle = ((points[more] - points[less]) / (more - less) for less, more in ((1000, 5000), (100, 1000)))
    return Result(Spread.of([last / middle]), points={f"{size:,}": points[size] for size in sizes})


def connectors_growth(stage: Stage) -> Result:
    """A call with 500 connectors installed beside one with a single one, by turns."""
    sizes = (1, 10, 100, 500)
    environment = settings(stage.base(0))
    programs = {
        size: Program(
            [*CONNECTORY, "call", "bench", "things.get", "id=7"], prepare=_connectors(size), environment=environment
        )
        for size in sizes
    }
    rounds = [{size: stage.run(program)["cpu"] for size, program in programs.items()} for _ in range(stage.rounds)]
    points = {f"{size:,}": min(each[size] for each in rounds) for size in sizes}
    return Result(Spread.of([each[500] / each[1] for each in rounds]), points=points)


def _connectors(number: int) -> Callable[[Path], None]:
    text = large_spec(20)

    def prepare(folder: Path) -> None:
        for one in range(number):
            (folder / "specs" / f"vendor{one}.yaml").write_text(text.replace("name: large", f"name: vendor{one}"))

    return prepare


ROWS = [
    Row("help", "`connectory --help`", "`connectory --help`", "`python -c pass`", 5, help_shown, measure="wall"),
    Row(
        "spec",
        "spec of 1,000 operations",
        "loading and checking a spec of 1,000 operations",
        "reading the same YAML with the C reader",
        3,
        spec_loaded,
    ),
    Row(
        "size",
        "installed size",
        "installed size of the base package with its needs",
        "",
        40,
        installed_size,
        measure="installed",
        unit="MB",
    ),
]
GROWTH = [
    Row(
        "growth-operations",
        "one more operation of 5,000",
        "a spec of 10 to 5,000 operations, loaded and checked: one more above 1,000",
        "one more between 100 and 1,000",
        1.25,
        operations_growth,
    ),
    Row(
        "growth-connectors",
        "start with 500 connectors",
        "`connectory call` with 500 more connectors in the project",
        "with one more",
        1.2,
        connectors_growth,
    ),
]
