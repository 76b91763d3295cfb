"""`connectory new`: a connector or a recipe to start from."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import click

from connectory.commands.completion import complete_operation, complete_vendor
from connectory.commands.messages import note
from connectory.commands.project import check_operation, project_root, registry_of


@click.group(
    epilog="""\b
Examples:
  connectory new connector acme
  connectory new recipe customers acme customers.list""",
)
def command() -> None:
    """Write a commented file to start from; it passes `connectory check` as it is."""


@command.command("connector")
@click.argument("name")
@click.pass_obj
def new_connector(project: str | None, name: str) -> None:
    """Write specs/NAME.yaml, and the schema by which editors complete and correct it."""
    from connectory.commands.schema import write_schema
    from connectory.settings import variable_name

    _check_name(name)
    root = project_root(project) or Path(project or ".")
    text = _starter("connector.yaml").replace("NAME", name).replace("VARIABLE", variable_name(name, "api_key"))
    path = _write(root / "specs" / f"{name}.yaml", text)
    write_schema("specs", root, project)
    _begin_project(root)
    note(f"wrote {path}: put in what the vendor's documentation says, then: connectory check {path}")


@command.command("recipe")
@click.argument("name")
@click.argument("vendor", shell_complete=complete_vendor)
@click.argument("operation", shell_complete=complete_operation)
@click.pass_obj
def new_recipe(project: str | None, name: str, vendor: str, operation: str) -> None:
    """Write recipes/NAME.yaml, which syncs the list OPERATION of VENDOR into a table."""
    from connectory.commands.schema import write_schema
    from connectory.connecting import open_spec
    from connectory.describe import plan_of
    from connectory.errors import ArgumentError
    from connectory.spec.typeexpr import Named

    _check_name(name)
    root = project_root(project) or Path(project or ".")
    spec = open_spec(vendor, project).spec
    check_operation(spec, operation)
    plan = plan_of(spec, registry_of(project), operation)
    if not plan.many:
        lists = [each for each in spec.operations if plan_of(spec, registry_of(project), each).many]
        raise ArgumentError(f"{operation} is no list; a recipe reads one of {', '.join(lists)}")
    kind = plan.operation.returns
    fields = spec.types[kind.name] if isinstance(kind, Named) else {}
    key = next((field for field in fields if fields[field].key), None)
    target = f"to: {{duckdb: data/{name}.duckdb, table: {name.replace('-', '_')}, "
    target += f"key: {key}, mode: merge}}" if key else "mode: replace}"
    required = {p.name: p.field.example for p in plan.parameters.values() if p.required}
    text = (
        _starter("recipe.yaml")
        .replace("NAME", name)
        .replace("VENDOR", vendor)
        .replace("OPERATION", operation)
        .replace("TARGET", target)
    )
    path = _write(root / "recipes" / f"{name}.yaml", text)
    write_schema("recipes", root, project)
    _begin_project(root)
    note(f"wrote {path}; run it: connectory sync {path}")
    if required:
        note(f"{operation} must be given {', '.join(required)}: put it into `with` first")


def _begin_project(root: Path) -> None:
    """What makes a folder a project, unless it is there: how to give settings, and what git leaves aside."""
    if not (root / "connectory.toml").exists():
        _write(root / "connectory.toml", _starter("connectory.toml"))
    if not (root / ".gitignore").exists():
        _write(root / ".gitignore", "# What connectory keeps of runs: rows under way among it\n.connectory/\n")


def _starter(name: str) -> str:
    return (files("connectory.commands") / "starters" / name).read_text(encoding="utf-8")


def _check_name(name: str) -> None:
    from connectory.errors import ArgumentError

    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ArgumentError(f"'{name}' is no name: lower-case letters, digits, - and _, as in acme-crm")


def _write(path: Path, text: str) -> Path:
    """Make a file that is not there yet. Raises ArgumentError."""
    from connectory.errors import ArgumentError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ArgumentError(f"{path} exists already; nothing was written") from None
    except OSError as why:
        raise ArgumentError(f"cannot write {path}: {why.strerror}") from None
    return path
