"""The options that say with which settings a vendor is connected, shared by the commands that call one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

if TYPE_CHECKING:
    from connectory.connector import Connector

F = TypeVar("F", bound=Callable[..., Any])


class Pause(click.ParamType[float]):
    """A duration such as `90s` or `10m`, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from connectory.spec.words import parse_duration

        try:
            return float(parse_duration(value)) if isinstance(value, str) else float(value)
        except ValueError as why:
            self.fail(str(why), param, ctx)


@attrs.frozen
class Wish:
    """How a connection is wanted. `settings` are texts, as they stand on the command line."""

    vendor: str
    project: str | None
    profile: str | None
    settings: Mapping[str, str]
    max_wait: float

    def connect(self, operation: str | None = None, words: Sequence[str] = ()) -> Connector:
        """The connector. Where a setting is missing or wrong, what is wrong with the call is told as well."""
        from connectory.commands.messages import tell_wait
        from connectory.connecting import connect
        from connectory.errors import SettingError

        try:
            connector = connect(
                self.vendor,
                profile=self.profile,
                project=self.project,
                max_wait=self.max_wait,
                **dict[str, Any](self.settings),
            )
        except SettingError as why:
            if operation is None:
                raise
            raise SettingError("\n".join([str(why), *self._faults(operation, words)])) from None
        connector.engine.line.on_wait = tell_wait
        self._warn_of_secrets(connector)
        return connector

    def _faults(self, operation: str, words: Sequence[str]) -> list[str]:
        from connectory.commands.arguments import parse_arguments
        from connectory.commands.project import check_operation, registry_of
        from connectory.connecting import open_spec
        from connectory.describe import plan_of
        from connectory.errors import ArgumentError

        spec = open_spec(self.vendor, self.project).spec
        try:
            check_operation(spec, operation)
            parse_arguments(plan_of(spec, registry_of(self.project), operation), words)
        except ArgumentError as why:
            return [str(why)]
        return []

    def _warn_of_secrets(self, connector: Connector) -> None:
        from connectory.commands.messages import note
        from connectory.settings import variable_name
        from connectory.spec.typeexpr import Scalar

        for name, value in self.settings.items():
            setting = connector.engine.spec.settings.get(name)
            if setting is not None and setting.type == Scalar("secret") and ":" not in value:
                note(
                    f"note: other users and the shell's history can see '{name}' on the command line; better set"
                    f" {variable_name(self.vendor, name)} in the environment"
                )


def settings_options(function: F) -> F:
    """`--server`, `--set`, `--profile` and `--max-wait`, as keyword arguments of those names."""
    for option in (
        click.option(
            "--max-wait",
            type=Pause(),
            default="5m",
            show_default=True,
            metavar="DURATION",
            help="Longest pause that a limit may cost; a longer one ends with 75.",
        ),
        click.option("--profile", metavar="NAME", help="Profile of the project's connectory.toml."),
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="NAME=VALUE",
            help="A setting, before environment and project; may be repeated.",
        ),
        click.option(
            "--server", metavar="NAME|URL", help="One of the vendor's servers, or a URL (self-hosted, a mock)."
        ),
    ):
        function = option(function)
    return function


def parse_settings(assignments: Sequence[str], server: str | None) -> dict[str, str]:
    """The settings that `--set` and `--server` name. Raises ArgumentError, which repeats no value: it may be secret."""
    from connectory.errors import ArgumentError

    settings: dict[str, str] = {}
    for word in assignments:
        name, equals, text = word.partition("=")
        if not equals or not name.isidentifier():
            raise ArgumentError("--set takes NAME=VALUE, such as --set concurrent=3")
        settings[name] = text
    return settings if server is None else {**settings, "server": server}
