"""`connectory discover`: the objects of a workspace become operations."""

from __future__ import annotations

import click

from connectory.commands.completion import complete_vendor
from connectory.commands.connection import Wish, parse_settings, settings_options


@click.command(
    epilog="""\b
Examples:
  connectory discover VENDOR
  connectory discover VENDOR --server https://crm.example.com
  connectory show VENDOR                  afterwards lists what was found""",
)
@click.argument("vendor", shell_complete=complete_vendor)
@settings_options
@click.pass_obj
def command(
    project: str | None,
    vendor: str,
    server: str | None,
    assignments: tuple[str, ...],
    profile: str | None,
    max_wait: float,
) -> None:
    """Ask VENDOR which objects and fields this workspace has, and keep the answer in the project."""
    wish = Wish(vendor, project, profile, parse_settings(assignments, server), max_wait)
    with wish.connect() as connector:
        for line in str(connector.discover()).splitlines():
            click.echo(line)
