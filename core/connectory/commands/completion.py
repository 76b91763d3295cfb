"""The names that a shell completes: vendors, operations, arguments, recipes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from connectory.commands.project import project_root, registry_of

if TYPE_CHECKING:
    from connectory.spec.language import Spec


def _project(ctx: click.Context) -> str | None:
    """The `--project` that stands on a command line which is still being written."""
    root = ctx.find_root()
    found = root.params.get("project")
    return found if isinstance(found, str) else None


def _spec(ctx: click.Context) -> Spec | None:
    """The spec of the vendor named before; None where it cannot be read: a completion never complains."""
    from connectory.connecting import open_spec
    from connectory.errors import ConnectoryError

    vendor = ctx.params.get("vendor")
    try:
        return open_spec(vendor, _project(ctx)).spec if isinstance(vendor, str) else None
    except ConnectoryError:
        return None


def complete_vendor(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of vendors."""
    return [CompletionItem(name) for name in registry_of(_project(ctx)).specs if name.startswith(incomplete)]


def complete_operation(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The operations of the vendor named before."""
    spec = _spec(ctx)
    operations = spec.operations.items() if spec else ()
    return [CompletionItem(name, help=operation.about) for name, operation in operations if name.startswith(incomplete)]


def complete_argument(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """`name=` of the operation named before; after it the values, where there is a fixed set."""
    from connectory.describe import plan_of
    from connectory.spec.typeexpr import OneOf, Scalar

    spec, operation = _spec(ctx), ctx.params.get("operation")
    if spec is None or operation not in spec.operations:
        return []
    plan = plan_of(spec, registry_of(_project(ctx)), str(operation))
    found: list[CompletionItem] = []
    for parameter in plan.parameters.values():
        kind = parameter.field.type
        values = kind.values if isinstance(kind, OneOf) else ("true", "false") if kind == Scalar("bool") else ()
        texts = [f"{parameter.name}={value}" for value in values] or [f"{parameter.name}="]
        found += [CompletionItem(text, help=parameter.field.about) for text in texts if text.startswith(incomplete)]
    return found


def complete_recipe(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The recipes of the project, or any file."""
    root = project_root(_project(ctx))
    files = sorted((root / "recipes").glob("*.yaml")) if root else []
    names = [str(path.relative_to(Path.cwd())) for path in files if path.is_relative_to(Path.cwd())]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)] or [
        CompletionItem(incomplete, type="file")
    ]
