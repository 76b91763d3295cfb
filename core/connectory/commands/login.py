"""`connectory login`: a person consents once, afterwards the connector renews its tokens by itself."""

from __future__ import annotations

import click

from connectory.commands.completion import complete_vendor
from connectory.commands.connection import Wish, parse_settings, settings_options


@click.command(
    epilog="""\b
Examples:
  connectory login VENDOR                    opens the vendor's page in the browser
  connectory login VENDOR --no-browser       prints the page's address instead
  connectory login VENDOR --port 8765        where http://127.0.0.1:8765/callback is registered with the vendor
  connectory login VENDOR --device           a code to type in on any device, where the vendor offers it""",
)
@click.argument("vendor", shell_complete=complete_vendor)
@click.option("--device", is_flag=True, help="By a code, for a machine without a browser.")
@click.option("--no-browser", is_flag=True, help="Print the page's address instead of opening it.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the redirect URL [default: any free].")
@settings_options
@click.pass_obj
def command(
    project: str | None,
    vendor: str,
    device: bool,
    no_browser: bool,
    port: int,
    server: str | None,
    assignments: tuple[str, ...],
    profile: str | None,
    max_wait: float,
) -> None:
    """Log in to VENDOR as a person, where its spec says `grant: authorization_code`."""
    from connectory.commands.messages import note
    from connectory.login import log_in_by_device, log_in_by_page

    wish = Wish(vendor, project, profile, parse_settings(assignments, server), max_wait)
    with wish.connect() as connector:
        line = connector.engine.line
        if device:
            log_in_by_device(line, note)
        else:
            log_in_by_page(line, _show if no_browser else _open, port=port)
    note(f"logged in to {vendor}")


def _show(page: str) -> None:
    from connectory.commands.messages import note

    note(f"open this page and consent:\n{page}")


def _open(page: str) -> None:
    import webbrowser

    if not webbrowser.open(page):
        _show(page)
