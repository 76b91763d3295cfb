"""`sync --dry-run` in words: the first rows, what would become of them, the first request."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from connectory.commands.messages import note

if TYPE_CHECKING:
    from connectory.recipes.planning.preview import Preview, Shown

ROWS: Final = 5
LONGEST: Final = 2000  # characters of a body that are shown
TOLD: Final = 5


def show_preview(preview: Preview) -> None:
    """The accounting to stderr, the first rows or the first request to stdout."""
    from connectory.commands.table import terminal_width, write_table
    from connectory.recipes.planning.preview import columns_of

    words = " + ".join(f"{count:,} {word}" for word, count in preview.words.items()) or "0"
    of = f" of {preview.total:,}" if preview.total is not None else ""
    came = f", {preview.came:,} before the change" if preview.came is not None else ""
    note(
        f"{preview.recipe}: dry run: {len(preview.rows):,}{of} rows read{came} = {words}"
        f" ({preview.calls:,} call{'' if preview.calls == 1 else 's'} to read; nothing was sent or written)"
    )
    for problem in preview.problems[:TOLD]:
        note(f"  {problem}")
    if preview.request is not None:
        show_request(preview.request)
    elif preview.rows and "to write" in preview.words:
        note(f"columns: {', '.join(columns_of(preview.rows))}; the first rows:")
        write_table([preview.rows[:ROWS]], sys.stdout.buffer, room=terminal_width() or 100, widest=24, told=False)
    else:
        note("no request would be sent")


def show_request(request: Shown) -> None:
    """A request as it would be sent."""
    note("the first request that would be sent:")
    click.echo(f"{request.method} {request.url}")
    for name, value in request.headers.items():
        click.echo(f"{name}: {value}")
    if request.body is not None:
        body = request.body
        click.echo("\n" + (body if len(body) <= LONGEST else f"{body[:LONGEST]}… ({len(body):,} characters)"))


def preview_data(preview: Preview) -> Mapping[str, Any]:
    """The same as JSON."""
    request = preview.request
    return {
        "event": "dry_run",
        "recipe": preview.recipe,
        "rows_in": preview.came,
        "read": len(preview.rows),
        "total": preview.total,
        "rows": dict(preview.words),
        "problems": list(preview.problems),
        "calls": preview.calls,
        "request": None
        if request is None
        else {"method": request.method, "url": request.url, "headers": dict(request.headers), "body": request.body},
    }


def write_preview(preview: Preview) -> None:
    """One line of JSON on stdout."""
    sys.stdout.buffer.write(msgspec.json.encode(preview_data(preview)) + b"\n")
    sys.stdout.buffer.flush()
