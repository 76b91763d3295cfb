"""What holds for the repository as a whole: no vendor in the engine, no circles, no overgrown file, no local path."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "core" / "connectory"
CONNECTORS = ROOT / "connectors" / "connectory_connectors"
LARGEST_FILE = 500

# As people write them; the names of the specs come on top.
SPELLINGS = {
    "twenty",
    "12 twenty",
    "12 build",
    "12 traits",
    "twelve twenty",
    "twelve build",
    "twelve traits",
    "playfab",
}

# Put together here, so that this file does not name what it forbids.
PACKAGE_INDEXES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("conda", "anaconda", "org"),
    )
]
MACHINE_PATHS = re.compile(r"(?<![\w.~:/{}-])/(?:" + "|".join(["work", "root", "home", "Users"]) + r")/\w")

pytestmark = pytest.mark.skipif(not CORE.is_dir(), reason="an installed package is tested, not a checkout")


def python_files() -> Iterator[Path]:
    yield from sorted(CORE.rglob("*.py"))
    yield from sorted(CONNECTORS.rglob("*.py"))


def tracked_files() -> list[Path]:
    """Files that git tracks and that are text; skips the test where this is no clone (an unpacked sdist)."""
    listing = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


def matches(pattern: re.Pattern[str], paths: Iterable[Path]) -> list[str]:
    """`file:line: text` for every line in which the pattern occurs."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]


def vendor_names() -> set[str]:
    specs = {path.stem for path in (ROOT / "specs").glob("*.yaml")}
    modules = {path.stem for path in CONNECTORS.glob("*.py") if path.stem != "__init__"}
    return specs | modules | SPELLINGS


def test_no_vendor_is_named_in_the_engine() -> None:
    words = "|".join(re.escape(name).replace(r"\ ", "[ _-]?") for name in sorted(vendor_names()))
    pattern = re.compile(rf"(?<![a-z0-9])(?:{words})(?![a-z0-9])", re.IGNORECASE)
    found = [f"{path.relative_to(ROOT)} (the file's name)" for path in CORE.rglob("*") if pattern.search(path.stem)]
    files = [path for path in CORE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert not found + matches(pattern, files)


def test_files_stay_small_enough_to_read() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()
    }
    assert not {path: length for path, length in lengths.items() if length > LARGEST_FILE}


def test_imports_form_no_circle() -> None:
    modules = {module_name(path): path for path in python_files()}
    imports = {name: set(imported_modules(name, path)) & modules.keys() - {name} for name, path in modules.items()}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail("imports in a circle: " + " <- ".join(error.args[1]), pytrace=False)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(name: str, path: Path) -> Iterator[str]:
    """Every module that one imports, inside functions and for types too."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*outer, *([node.module] if node.module else [])])
            members = [f"{origin}.{alias.name}" for alias in node.names]
            yield from members
            # `from package import module` needs the module; the package itself only when it is asked for a name.
            if not all(is_module(member) for member in members):
                yield origin


def is_module(name: str) -> bool:
    return any(
        (root / Path(*name.split("."))).with_suffix(".py").is_file() or (root / Path(*name.split("."))).is_dir()
        for root in (CORE.parent, CONNECTORS.parent)
    )


def test_no_committed_file_names_a_package_index() -> None:
    pattern = re.compile("|".join(re.escape(host) for host in PACKAGE_INDEXES))
    assert not matches(pattern, tracked_files())


def test_no_committed_file_names_a_place_on_a_developers_machine() -> None:
    assert not matches(MACHINE_PATHS, tracked_files())
