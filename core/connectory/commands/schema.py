"""`connectory schema`: what specs and recipes may say, for editors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, Literal

import click

from connectory.commands.messages import note
from connectory.commands.project import project_root, registry_of

FILE: Final = "connectory.schema.json"  # beside the files that name it in their first line
Kind = Literal["specs", "recipes"]


@click.command(
    epilog="""\b
Examples:
  connectory schema --write              then editors complete and correct specs/*.yaml and recipes/*.yaml
  connectory schema > spec.schema.json
  connectory schema --recipes > recipe.schema.json

A file's first line says where it is:  # yaml-language-server: $schema=connectory.schema.json""",
)
@click.option("--recipes", is_flag=True, help="That of recipes instead of specs.")
@click.option(
    "--write", is_flag=True, help=f"Write {FILE} into the project's specs/, and into its recipes/ if there is one."
)
@click.pass_obj
def command(project: str | None, recipes: bool, write: bool) -> None:
    """The JSON Schema of spec files, made from the language and from the options of the plug-ins installed."""
    if not write:
        sys.stdout.buffer.write(schema_text("recipes" if recipes else "specs", project))
        return
    root = project_root(project) or Path(project or ".")
    for path in [write_schema("specs", root, project), *_of_recipes(root, project)]:
        note(f"wrote {path}")


def _of_recipes(root: Path, project: str | None) -> list[Path]:
    return [write_schema("recipes", root, project)] if (root / "recipes").is_dir() else []


def schema_text(kind: Kind, project: str | None) -> bytes:
    """The schema as JSON."""
    import msgspec

    from connectory.spec.schema import make_recipe_schema, make_schema

    make = make_schema if kind == "specs" else make_recipe_schema
    return msgspec.json.format(msgspec.json.encode(make(registry_of(project))), indent=2) + b"\n"


def write_schema(kind: Kind, root: Path, project: str | None) -> Path:
    """Put the schema beside the specs or recipes. Raises ArgumentError where that cannot be written."""
    from connectory.errors import ArgumentError

    path = root / kind / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(schema_text(kind, project))
    except OSError as why:
        raise ArgumentError(f"cannot write {path}: {why.strerror}") from None
    return path
