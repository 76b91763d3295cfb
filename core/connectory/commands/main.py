"""`connectory`: finds the command, runs it, and turns how it ended into a message and an exit code."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from connectory import __version__
from connectory.commands.interrupts import KEY, Interrupts

# Command to one line about it. Kept here so that `--help` imports no command; a test compares them with the commands.
COMMANDS: Final = {
    "list": "The vendors that can be called, and how each works.",
    "show": "A vendor, or one operation of it, like good documentation.",
    "call": "Call an operation; records or results go to stdout.",
    "sync": "Run recipes: rows from where they are to where they go.",
    "plan": "What a sync would do, and when it would end.",
    "apply": "Send exactly what a plan says.",
    "replay": "Send rows that a vendor refused again, mended.",
    "runs": "What past runs of recipes did and cost.",
    "check": "Check specs, recipes and plug-ins; every fault at once.",
    "fmt": "Write specs in the language's order and shortest form.",
    "mock": "Serve a vendor on this machine, from its spec alone.",
    "record": "Record calls against a live server, for the tests.",
    "coverage": "What of a spec has a test, and what is assumed.",
    "mutate": "Name the mistakes in a spec that no test notices.",
    "login": "Log in to a vendor as a person, once.",
    "discover": "Find the objects of a workspace and keep them.",
    "new": "Write a connector or recipe to start from.",
    "schema": "The JSON Schema of spec files, for editors.",
    "stubs": "Write types, so that an IDE completes connect(...).",
    "demo": "Sync recorded records into a database, with no account.",
}
# Allocations between two looks for cycles, and looks at the young between two at the old. Modules and rows hold none,
# and Python's own 700 would look at each page of them several times.
COLLECTING: Final = (100_000, 20, 100)
INTERRUPTED: Final = 130  # 128 + SIGINT
NOBODY_READS: Final = 141  # 128 + SIGPIPE


class Commands(click.Group):
    """A group that imports a command when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"connectory.commands.{name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            from connectory.errors import nearest

            raise click.UsageError(f"no command '{args[0]}'{nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        interrupts = ctx.meta[KEY] = Interrupts()
        try:
            with interrupts.caught():
                result = super().invoke(ctx)
                sys.stdout.flush()
            return result
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(interrupts.exit_code or INTERRUPTED)
        except BrokenPipeError:
            _let_go_of_stdout()
            ctx.exit(NOBODY_READS)
        except Exception as why:
            if interrupts.exit_code:  # what an interrupted library raises is the interrupt's doing
                ctx.exit(interrupts.exit_code)
            _end(ctx, why)


def _let_go_of_stdout() -> None:
    """Whoever read our output has gone: what is still buffered must not raise when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    finally:
        os.close(nowhere)


def _end(ctx: click.Context, why: Exception) -> NoReturn:
    """Say what an error of ours means and leave with its code; any other exception goes on."""
    from connectory.commands.messages import explain
    from connectory.errors import ConnectoryError

    if isinstance(why, MemoryError):
        click.echo("error: there is not enough memory", err=True)
        ctx.exit(1)
    if not isinstance(why, ConnectoryError):
        raise why
    if ctx.params.get("debug"):
        traceback.print_exception(why)
    click.echo(explain(why), err=True)
    ctx.exit(why.exit_code)


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Try:
  connectory demo
  connectory list
  connectory show VENDOR
  connectory call VENDOR OPERATION name=value --limit 5

\b
Exit codes: 0 all delivered; 1 failed; 2 the input is wrong and nothing was sent; 3 finished, some rows
rejected, invalid or unknown; 75 stopped for a limit, the time to come back is printed.

\b
Completion: eval "$(_CONNECTORY_COMPLETE=bash_source connectory)"      (zsh_source, fish_source)""",
)
@click.version_option(__version__, prog_name="connectory", message="%(prog)s %(version)s")
@click.option(
    "--project",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="The project to work in [default: the one around this folder].",
)
@click.option("--debug", is_flag=True, help="Show where in the code an error came from, and log every request.")
@click.pass_context
def main(ctx: click.Context, project: str | None, debug: bool) -> None:
    """Connectory: a vendor's API as one YAML file; calls, commands and syncs from it."""
    ctx.obj = project
    from connectory.commands.messages import speak

    ctx.with_resource(speak(debug=debug))


def run() -> None:
    """The command as a process of its own."""
    gc.set_threshold(*COLLECTING)
    atexit.register(_leave)
    main()


def _leave() -> None:
    """Python looks through everything for cycles when it ends, three times: 30 ms for what ends anyway.

    DuckDB's binding would tell of all that is left then as lost.
    """
    if "duckdb" not in sys.modules:
        gc.freeze()


if __name__ == "__main__":
    run()
