"""`connectory check --live`: what a vendor answers today, against what was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from connectory.commands.messages import note
from connectory.commands.project import cassettes_of, project_root, registry_of

if TYPE_CHECKING:
    from connectory.testing.audits.drift import Seen

DRIFTED = 1


def check_live(
    project: str | None,
    vendor: str,
    settings: Mapping[str, str],
    server: str | None,
    profile: str | None,
    max_wait: float,
) -> int:
    """Ask again, tell what drifted, and return the exit code. Raises InputError where settings are wrong."""
    from connectory.connecting import open_spec
    from connectory.errors import ArgumentError
    from connectory.testing.audits.drift import drift_of
    from connectory.testing.recorded.recording import Target, settings_for

    loaded, registry = open_spec(vendor, project), registry_of(project)
    target = Target(root=project_root(project), settings=settings, server=server, profile=profile, max_wait=max_wait)
    settings_for(registry, loaded, target)  # what is missing is told before anything is asked
    seen = drift_of(registry, loaded, cassettes_of(project), target)
    if not seen.compared and not seen.untold:
        raise ArgumentError(f"{vendor}: no recording of a call that reads: connectory record {vendor}")
    _tell(seen)
    return DRIFTED if seen.drifts or seen.untold else 0


def _tell(seen: Seen) -> None:
    for drift in seen.drifts:
        click.echo(f"{seen.vendor} {drift}")
    for name, why in seen.untold:
        click.echo(f"{seen.vendor} {name}: not compared: {why}")
    held = [fact for fact in seen.assumed if fact[3]]
    for line, place, why, is_held in seen.assumed:
        word = "assumed, and a call went well with it" if is_held else "assumed, not tried"
        note(f"{word}: line {line}, {place}: {why}")
    where = f" (seen against {seen.server}, {_address(seen.host)})" if seen.server else ""
    count = len(seen.drifts)
    note(
        f"{seen.vendor}: {len(seen.compared)} calls compared, {count} difference{'' if count == 1 else 's'},"
        f" {len(seen.untold)} not compared; {len(held)} of {len(seen.assumed)} assumed facts tried{where}"
    )


def _address(host: str) -> str:
    said = {"loopback": "on this machine", "other": "at an address of its own"}
    return said.get(host, f"the vendor's server '{host}'")
