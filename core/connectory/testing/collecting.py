"""A spec as a file of tests: its cases, the faults that it must survive, and that its recordings hold no secret."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

from connectory.errors import ConnectoryError, InputError
from connectory.plugins.registry import Registry, SpecFile
from connectory.project import FILE
from connectory.spec.load import Loaded
from connectory.testing.cases import Case

_KEY: Final = re.compile(rb"^([a-z]+)\s*:", re.MULTILINE)
_THEIRS: Final = re.compile(rb"""^["']?(openapi|swagger|asyncapi|apiVersion|kind)["']?\s*:""", re.MULTILINE)

Run = Callable[[], Sequence[object]]


def collect(file: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The tests of a spec or recipe, or None where the file is not ours."""
    if not _is_ours(file):
        return None
    kind = SpecTests if file.parent.name == "specs" else RecipeTests
    return kind.from_parent(parent, path=file)


def _is_ours(file: Path) -> bool:
    """In a project with a `connectory.toml` every such file is; elsewhere what has the keys of a spec or recipe."""
    try:
        text = file.read_bytes()
    except OSError:
        return False
    if _THEIRS.search(text):
        return False
    if (file.parent.parent / FILE).is_file():
        return True
    return _has_our_keys(text, _is_recipe if file.parent.name == "recipes" else _is_spec)


def _has_our_keys(text: bytes, ours: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Whether a document has the keys that are asked for, and mappings below them. Most files of others are told by
    their words, without being read."""
    if not ours({key.decode(): {} for key in _KEY.findall(text)}):
        return False
    from connectory.errors import SpecError
    from connectory.spec.yamltext import as_data, read_yaml

    try:
        found = as_data(read_yaml(text, ""))
    except SpecError:
        return True  # the keys are ours: the tests show what is wrong with it
    return isinstance(found, dict) and ours(found)


def _is_recipe(found: Mapping[str, Any]) -> bool:
    return "name" in found and "to" in found and isinstance(found.get("from"), dict)


def _is_spec(found: Mapping[str, Any]) -> bool:
    """A vendor's, or one that adds to another's."""
    calls = any(isinstance(found.get(name), dict) for name in ("operations", "families"))
    return calls and "name" in found and ("extends" in found or isinstance(found.get("servers"), dict))


class Differs(Exception):
    """A test whose differences are its message."""


class YamlTests(pytest.File):
    """A file of tests that is no Python."""

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.path.parent.parent

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any) -> Any:
        """A file's faults, and no traceback of ours."""
        if isinstance(excinfo.value, ConnectoryError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class SpecTests(YamlTests):
    """One spec."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its tests. Raises SpecError where the spec has faults: pytest shows them and goes on with other files."""
        if find_spec("vcr") is None:
            pytest.skip("the tests of a spec need vcrpy: pip install 'connectory[test]'")
        registry, loaded = load(self.path)
        from connectory.testing.cases import cases_of

        for case in cases_of(loaded, self.root / "cassettes"):
            yield _CaseItem.from_parent(self, name=case.name, case=case, registry=registry, loaded=loaded)
        for name, run in further_cases(registry, loaded):
            yield YamlItem.from_parent(self, name=name, run=run, mark="faults", line=1)
        if (self.root / "cassettes" / loaded.spec.name).is_dir():
            run = partial(_secrets, loaded, self.root)
            yield YamlItem.from_parent(self, name="cassettes", run=run, mark="secrets", line=1)


class RecipeTests(YamlTests):
    """One recipe and its examples."""

    def collect(self) -> Iterator[pytest.Item]:
        """A test for each example."""
        for name, line, run in recipe_cases(self.path):
            yield YamlItem.from_parent(self, name=name, run=run, mark="example", line=line)


def load(file: Path) -> tuple[Registry, Loaded]:
    """A spec with the plug-ins of its project, and what was discovered there. Raises SpecError."""
    from connectory.connecting import discovery_file, load_registry, open_project
    from connectory.spec.load import load_file, read_discovered

    root = file.resolve().parent.parent
    registry = load_registry(root)
    home = open_project(root)
    source = SpecFile(file.stem, file, str(root))
    return registry, load_file(registry, source, read_discovered(discovery_file(home, file.stem)))


def further_cases(registry: Registry, loaded: Loaded) -> Iterable[tuple[str, Run]]:
    """Tests that follow from the spec alone, its faults: name, and what runs it."""
    from connectory.testing.faults.cases import fault_cases, run_fault_case

    return [(case.name, partial(run_fault_case, registry, loaded, case)) for case in fault_cases(registry, loaded)]


def recipe_cases(file: Path) -> Iterator[tuple[str, int, Run]]:
    """The examples of a recipe: name, line, and what runs it. Raises SpecError where the recipe has faults."""
    from connectory.connecting import load_registry
    from connectory.recipes.changing.examples import example_faults
    from connectory.recipes.recipe import load_recipe
    from connectory.testing.recorded.cassettes import safe_label

    root = file.resolve().parent.parent
    registry = load_registry(root)
    loaded = load_recipe(registry, file)
    for number, example in enumerate(loaded.recipe.examples):
        place = f"/examples/{number}"

        def run(place: str = place) -> Sequence[object]:
            faults = example_faults(loaded, registry, root)
            return [
                fault for fault in faults if f"{fault.path}/".startswith(f"{place}/") or "/examples" not in fault.path
            ]

        line = loaded.fault(("examples", number), "").line
        yield safe_label(example.about) or f"example {number + 1}", line, run


def _secrets(loaded: Loaded, root: Path) -> Sequence[object]:
    from connectory.testing.recorded.guarding import faults_in_cassettes

    return faults_in_cassettes(loaded, root / "cassettes", _known_secrets(loaded))


def _known_secrets(loaded: Loaded) -> list[str]:
    """The vendor's secrets that the environment holds: those that a recording is most likely to have caught."""
    from connectory.settings import variable_name
    from connectory.spec.typeexpr import Scalar

    names = [name for name, setting in loaded.spec.settings.items() if setting.type == Scalar("secret")]
    given = (os.environ.get(variable_name(loaded.spec.name, name), "") for name in names)
    return [secret for secret in given if secret]


class YamlItem(pytest.Item):
    """One test: it passes when nothing differs."""

    def __init__(self, *, name: str, parent: pytest.Collector, run: Run, mark: str, line: int, **keywords: Any) -> None:
        # As a text, from which pytest reads the brackets as it does when it looks for the tests that failed last.
        super().__init__(name=name, parent=parent, nodeid=f"{parent.nodeid}::{name}", **keywords)
        self._run = run
        self._line = line
        self.add_marker(mark)

    def runtest(self) -> None:
        """Raises Differs."""
        if differences := self._run():
            raise Differs("\n".join(map(str, differences)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any) -> Any:
        """What differs, and no traceback of ours."""
        if isinstance(excinfo.value, Differs | InputError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, max(self._line - 1, 0), self.name


class _CaseItem(YamlItem):
    """A recorded call or an example."""

    def __init__(self, *, case: Case, registry: Registry, loaded: Loaded, **keywords: Any) -> None:
        mark = "recorded" if case.kind == "recorded" else "example"
        super().__init__(run=self._differences, mark=mark, line=case.place.line, **keywords)
        self._case = case
        self._registry = registry
        self._loaded = loaded

    def _differences(self) -> Sequence[object]:
        from connectory.testing.recorded.replaying import run_case

        if self.config.getoption("record"):
            self._record()
        if self._case.kind == "missing":
            pytest.skip(how_to_record(self._case))
        return run_case(self._registry, self._loaded, self._case)

    def _record(self) -> None:
        from connectory.testing.recorded.recording import record_again

        root = self.path.parent.parent
        said, file = record_again(self._registry, self._loaded, self._case, root, self._taken())
        self.user_properties.append(("record", said))
        self.add_report_section("call", "record", said)
        if file is not None and self._case.file is None:
            import attrs

            self._case = attrs.evolve(self._case, kind="recorded", file=file)

    def _taken(self) -> dict[str, str]:
        """The cassettes that tests of this run have written."""
        taken: dict[str, str] = self.config.stash.setdefault(_TAKEN, {})
        return taken


_TAKEN: Final = pytest.StashKey[dict[str, str]]()


def how_to_record(case: Case) -> str:
    """What to do about an operation that has neither a recording nor an example."""
    call = f"{case.vendor} {case.operation} [name=value...]"
    return (
        f"no recording and no example: `connectory record {call}` makes a recording with your account; with none,"
        f" `connectory mock {case.vendor}` answers from the spec alone (--server http://127.0.0.1:PORT), or give the"
        f" operation an `examples` entry"
    )
