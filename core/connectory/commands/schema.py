"""`connectory schema`: what a spec may say, for editors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from connectory.commands.project import project_root, registry_of

FILE: Final = "connectory.schema.json"  # beside the specs, whose first line names it


@click.command(
    epilog="""\b
Examples:
  connectory schema --write                 then editors complete and correct specs/*.yaml
  connectory schema > connectory.schema.json

A spec's first line says where it is:  # yaml-language-server: $schema=connectory.schema.json""",
)
@click.option("--write", is_flag=True, help=f"Write it as specs/{FILE} of the project.")
@click.pass_obj
def command(project: str | None, write: bool) -> None:
    """The JSON Schema of spec files, made from the language and from the options of the plug-ins installed."""
    if write:
        path = write_schema(project_root(project) or Path.cwd(), project)
        click.echo(f"wrote {path}", err=True)
    else:
        sys.stdout.buffer.write(schema_text(project))


def schema_text(project: str | None) -> bytes:
    """The schema as JSON."""
    import msgspec

    from connectory.spec.schema import make_schema

    return msgspec.json.format(msgspec.json.encode(make_schema(registry_of(project))), indent=2) + b"\n"


def write_schema(root: Path, project: str | None) -> Path:
    """Put the schema beside the specs. Raises ArgumentError where that cannot be written."""
    from connectory.errors import ArgumentError

    path = root / "specs" / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(schema_text(project))
    except OSError as why:
        raise ArgumentError(f"cannot write {path}: {why.strerror}") from None
    return path
