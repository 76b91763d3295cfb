"""`connectory list`: what can be called, and what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from connectory.commands.messages import note
from connectory.commands.project import registry_of

if TYPE_CHECKING:
    from connectory.plugins.registry import Registry


@click.command(
    "list",
    epilog="""\b
Examples:
  connectory list
  connectory list --plugins""",
)
@click.option("--plugins", is_flag=True, help="What is installed and from where, instead of the vendors.")
@click.pass_obj
def command(project: str | None, plugins: bool) -> None:
    """The vendors that can be called, each with what it is and how it works: credentials, paging, batches."""
    registry = registry_of(project)
    for line in plugin_lines(registry) if plugins else vendor_lines(registry, project):
        click.echo(line)
    if registry.broken and not plugins:
        note(f"{', '.join(registry.broken)} could not be loaded; connectory list --plugins says why")


def vendor_lines(registry: Registry, project: str | None) -> list[str]:
    """Two lines for each vendor; for one whose spec is wrong, how to see what is wrong."""
    from connectory.connecting import open_spec
    from connectory.describe import describe_strategy
    from connectory.describe.words import columns
    from connectory.errors import SpecError

    rows: list[tuple[str, str]] = []
    for vendor in registry.specs:
        try:
            spec = open_spec(vendor, project).spec
        except SpecError as why:
            wrong = f"{len(why.faults)} fault{'s' if len(why.faults) > 1 else ''}"
            rows.append((vendor, f"cannot be used: {wrong}; see connectory check {registry.specs[vendor].file}"))
            continue
        rows += [(vendor, spec.about), ("", describe_strategy(spec, registry))]
    return columns(rows, indent=0) or ["No connector yet: connectory new connector NAME writes one to start from."]


def plugin_lines(registry: Registry) -> list[str]:
    """Each plug-in, where it comes from, and what it supplies; then those that could not be loaded, and why."""
    from connectory.describe.words import columns

    rows = [
        (plugin.name, plugin.origin, ", ".join(hook.removeprefix("connectory_") for hook in plugin.hooks) or "nothing")
        for plugin in registry.plugins
    ]
    lines = columns([("plug-in", "from", "supplies"), *rows], indent=0)
    if registry.broken:
        lines += ["", "Broken:", *columns(registry.broken.items())]
    return lines
