"""`connectory fmt`: specs in the order of the language and their shortest form, comments kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from connectory.commands.check import WRONG_INPUT, Subject, subjects_of
from connectory.commands.messages import note

if TYPE_CHECKING:
    from connectory.plugins.registry import Registry
    from connectory.spec.language import Spec

WOULD_CHANGE: Final = 1


@click.command(
    epilog="""\b
Examples:
  connectory fmt                        the project's specs
  connectory fmt specs/acme.yaml
  connectory fmt --check                for CI: names the specs that are not formatted, and changes none

Keys take the order of the language, what has a short form is written in it, defaults are left out. Comments, blank
lines and quotes stay. What the spec means is compared before and after; a file is written only where it is the same.
`connectory show VENDOR --canonical` prints the opposite: everything written out.""",
)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path))
@click.option("--check", is_flag=True, help="Change nothing; end with 1 where a spec is not formatted.")
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], check: bool) -> None:
    """Format specs: the files or folders at PATH, else the project's. One with faults is told, not changed."""
    from connectory.errors import SpecError

    subjects = [one for one in subjects_of(paths, ctx.obj) if one.kind == "spec" and isinstance(one.file, Path)]
    faulty, changed = False, 0
    for subject in subjects:
        try:
            changed += _format(subject, check)
        except SpecError as why:
            faulty = True
            for fault in why.faults:
                click.echo(str(fault))
    word = "not formatted" if check else "changed"
    note(f"{len(subjects)} spec{'' if len(subjects) == 1 else 's'}: {changed} {word}" if subjects else "no specs here")
    ctx.exit(WRONG_INPUT if faulty else WOULD_CHANGE if check and changed else 0)


def _format(subject: Subject, check: bool) -> bool:
    """Whether the file is not as it should be; unless it is only to be checked, it is then. Raises SpecError."""
    from connectory.connecting import load_registry
    from connectory.spec.formatting import format_spec, same_value

    registry, file = load_registry(subject.root), subject.file
    assert isinstance(file, Path)
    source = file.read_bytes()
    before = _load(registry, subject, source)
    text = format_spec(registry, source.decode("utf-8-sig"))
    if text.encode() == source:
        return False
    if not same_value(before, _load(registry, subject, text.encode())):
        raise RuntimeError(f"{file}: formatting would change what it means; it is left alone. This is a fault of ours")
    click.echo(str(file))
    if not check:
        _replace(file.resolve(), text.encode())
    return True


def _load(registry: Registry, subject: Subject, source: bytes) -> Spec:
    """What a text says in place of the file, as `connectory check` reads it. Raises SpecError."""
    from connectory.connecting import discovery_file, open_project
    from connectory.plugins.registry import SpecFile
    from connectory.spec.load import load_tree, read_discovered
    from connectory.spec.trees import read_tree

    file = subject.file
    assert isinstance(file, Path)
    home = open_project(subject.root) if subject.root else None
    known = read_discovered(discovery_file(home, file.stem))
    return load_tree(registry, read_tree(source, str(file)), SpecFile(file.stem, file, str(subject.root)), known).spec


def _replace(file: Path, body: bytes) -> None:
    """Write a file as a whole or not at all, with the rights that it has."""
    new = file.with_name(f".{file.name}.new")
    new.write_bytes(body)
    shutil.copymode(file, new)
    os.replace(new, file)
