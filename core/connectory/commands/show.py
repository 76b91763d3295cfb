"""`connectory show`: a vendor or an operation in words."""

from __future__ import annotations

import click

from connectory.commands.completion import complete_operation, complete_vendor
from connectory.commands.project import check_operation, registry_of


@click.command(
    epilog="""\b
Examples:
  connectory show VENDOR                  everything that can be called
  connectory show VENDOR students.list    one operation: arguments, paging, limits, outcomes, examples
  connectory show VENDOR --canonical      the spec as it is understood, all of it written out""",
)
@click.argument("vendor", shell_complete=complete_vendor)
@click.argument("operation", required=False, shell_complete=complete_operation)
@click.option("--canonical", is_flag=True, help="Print the spec, written out in full, as YAML.")
@click.pass_obj
def command(project: str | None, vendor: str, operation: str | None, canonical: bool) -> None:
    """What there is to know of VENDOR, or of one OPERATION of it."""
    from connectory.connecting import open_spec
    from connectory.describe import describe_plan, describe_vendor, plan_of

    loaded = open_spec(vendor, project)
    registry = registry_of(project)
    if operation is not None:
        check_operation(loaded.spec, operation)
    if canonical:
        from connectory.spec.canonical import canonical_text

        click.echo(canonical_text(loaded.spec, operation), nl=False)
        return
    if operation is None:
        click.echo(describe_vendor(loaded.spec, registry, origin=f"{loaded.file} ({registry.specs[vendor].origin})"))
        return
    click.echo(describe_plan(loaded.spec, plan_of(loaded.spec, registry, operation)))
