"""Paths into answers - records, totals, results - are held against the examples that the spec gives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from connectory.errors import nearest
from connectory.spec.checks.parameters import has_method, parameters_of
from connectory.spec.language import Operation, Pager, Results, Spec
from connectory.spec.places import MISSING, AnswerPath
from connectory.spec.problems import Path, Problem


def check(spec: Spec) -> Iterator[Problem]:
    """Every argument of an example that is none, and every path that no example shows."""
    paged: dict[str, list[Any]] = defaultdict(list)
    for name, operation in spec.operations.items():
        if not operation.examples or not has_method(operation):
            continue
        path: Path = ("operations", name)
        answers = [e.answer for e in operation.examples if e.status < 300 and e.answer is not None]
        pager = spec.pagers.get(operation.pages) if operation.pages else None
        yield from _arguments(operation, path)
        yield from _records(operation, pager, path)
        for number, results in enumerate(operation.results if answers else ()):
            yield from _results(results, answers, (*path, "results", number))
        if operation.pages:
            paged[operation.pages] += answers
    for pager_name, answers in paged.items():
        if answers and pager_name in spec.pagers:
            yield from _totals(spec.pagers[pager_name], answers, ("pagers", pager_name))


def _arguments(operation: Operation, path: Path) -> Iterator[Problem]:
    known = parameters_of(operation)
    for number, example in enumerate(operation.examples):
        for name in example.with_:
            if name not in known:
                place = (*path, "examples", number, "with", name)
                yield place, f"no argument '{name}'{nearest(name, known)}", True


def _records(operation: Operation, pager: Pager | None, path: Path) -> Iterator[Problem]:
    """Each good answer holds the records, or the record; a path with `*` may find none."""
    where = operation.records or (pager.records if pager else None)
    paths = where.path if where else operation.record
    if not paths or any(one.many for one in paths):
        return
    for number, example in enumerate(operation.examples):
        if example.status < 300 and example.answer is not None and not _is_shown(paths, [example.answer]):
            yield (*path, "examples", number, "answer"), f"'{paths[0]}' is not in this answer", True


def _results(results: Results, answers: Sequence[Any], path: Path) -> Iterator[Problem]:
    """The list of results is in some answer, and what is said of an item in some item of it."""
    at = (*path, "at") if results.at.steps else path
    lists = [found for answer in answers for found in results.at.each(answer)]
    if not lists:
        yield at, f"no example shows '{results.at}'", False
        return
    if results.count is not None and results.count.body and not _is_shown(results.count.body, answers):
        yield (*path, "count"), f"no example shows '{results.count.body[0]}'", False
    items = [item for found in lists for item in (found if isinstance(found, list) else [found])]
    paths = {"key": results.key.result if results.key else None, "id": results.id, "index": results.index}
    for key, wanted in paths.items():
        if items and wanted is not None and not _is_shown([wanted], items):
            yield (*path, key), f"no result of an example shows '{wanted}'", False
    for wanted in results.ok:
        if items and not _is_shown([wanted], items):
            yield (*path, "ok", str(wanted)), f"no result of an example shows '{wanted}'", True


def _totals(pager: Pager, answers: Sequence[Any], path: Path) -> Iterator[Problem]:
    for key in ("total_records", "total_pages"):
        place = getattr(pager, key)
        if place is not None and place.body and not _is_shown(place.body, answers):
            yield (*path, key), f"no example of an operation paged so shows '{place.body[0]}'", False


def _is_shown(paths: Iterable[AnswerPath], answers: Iterable[Any]) -> bool:
    return any(next(path.each(answer), MISSING) is not MISSING for path in paths for answer in answers)
