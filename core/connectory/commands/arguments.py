"""`name=value` on the command line -> arguments of an operation, by the declared types."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from connectory.errors import ArgumentError, nearest
from connectory.operation import Parameter, Plan
from connectory.spec.typeexpr import Scalar
from connectory.values.texts import parse_text

_FILE = Scalar("file")


def parse_arguments(plan: Plan, words: Iterable[str]) -> dict[str, Any]:
    """The arguments by name. Raises ArgumentError with every fault.

    `name=@FILE` is the path of a file parameter and the contents of the file for any other; `name=@@text` is the text
    `@text`. `name=null` is null where the parameter may be that.
    """
    given: dict[str, Any] = {}
    faults: list[str] = []
    for word in words:
        name, equals, text = word.partition("=")
        parameter = plan.parameters.get(name)
        if not equals:
            faults.append(f"expected name=value, got '{word}'{_only(plan, word)}")
        elif parameter is None:
            faults.append(f"no argument '{name}'{nearest(name, plan.parameters)}{_known(plan)}")
        elif name in given:
            faults.append(f"'{name}' is given twice")
        else:
            try:
                given[name] = _value(parameter, text)
            except ValueError as why:
                faults.append(f"'{name}': {why}")
    if faults:
        raise ArgumentError("\n".join(f"{plan.name}: {fault}" for fault in faults))
    return given


def _known(plan: Plan) -> str:
    names = ", ".join(plan.parameters)
    return f" (it takes {names})" if names else " (it takes none)"


def _only(plan: Plan, word: str) -> str:
    """Where just one argument must be given, the line that was probably meant."""
    wanted = [p.name for p in plan.parameters.values() if p.required and p.name != "body"]
    return f"; did you mean {wanted[0]}={word}?" if len(wanted) == 1 else ""


def _value(parameter: Parameter, text: str) -> Any:
    kind = parameter.field.type
    if kind == _FILE:
        return readable(text.removeprefix("@"))
    if text.startswith("@@"):
        return parse_text(text[1:], kind)
    if text.startswith("@"):
        return parse_text(_contents(readable(text[1:])), kind)
    if text == "null" and parameter.field.nullable:
        return None
    return parse_text(text, kind)


def readable(name: str) -> Path:
    """The path of a file that can be opened. Raises ValueError."""
    path = Path(name)
    try:
        path.open("rb").close()
    except OSError as why:
        raise ValueError(f"cannot read {name}: {why.strerror}") from None
    return path


def _contents(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
