"""`connectory stubs`: types of the project's connectors, for IDEs and type checkers.

    typings/connectory/__init__.pyi      the public names, with one overload of connect() for each vendor
    typings/connectory/typed_acme.pyi    acme's operations, their arguments and types

`typings` is where pyright and Pylance look first, and what mypy is told of as mypy_path. Modules that have no stub
there (connectory.errors ...) are still found in the installed package.
"""

from __future__ import annotations

import inspect
import json
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connectory.commands.completion import complete_vendor
from connectory.commands.messages import note
from connectory.commands.project import project_root, registry_of

if TYPE_CHECKING:
    from connectory.operation import Parameter, Plan
    from connectory.spec.language import Spec
    from connectory.spec.typeexpr import TypeExpr

_SCALARS = {
    "str": "str", "secret": "str", "url": "str", "uuid": "str | UUID", "int": "int", "byte": "int", "int16": "int",
    "int32": "int", "int64": "int", "float": "float", "decimal": "Decimal | int | str", "bool": "bool",
    "date": "date | str", "time": "time | str", "datetime": "datetime | str", "bytes": "bytes",
    "file": "str | PathLike[str]", "any": "Any",
}  # fmt: skip
_IMPORTS = """\
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypedDict, overload
from uuid import UUID
"""


@click.command(
    epilog="""\b
Examples:
  connectory stubs                  every vendor
  connectory stubs acme other       these only

\b
Pylance and pyright read typings/ by themselves. For mypy: mypy_path = "typings".
Run it again when a spec has changed or something was discovered.""",
)
@click.argument("vendors", nargs=-1, metavar="[VENDOR]...", shell_complete=complete_vendor)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where to [default: typings of the project].",
)
@click.pass_obj
def command(project: str | None, vendors: tuple[str, ...], folder: Path | None) -> None:
    """Write types for VENDORs, so that an IDE completes connect("VENDOR") with its operations and arguments."""
    from connectory.connecting import open_spec
    from connectory.describe import plan_of
    from connectory.errors import ArgumentError

    registry = registry_of(project)
    specs = [open_spec(vendor, project).spec for vendor in vendors or registry.specs]
    place = (folder or (project_root(project) or Path(project or ".")) / "typings") / "connectory"
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / "__init__.pyi").write_text(root_stub(specs), encoding="utf-8")
        for spec in specs:
            plans = {name: plan_of(spec, registry, name) for name in spec.operations}
            (place / f"{module_name(spec.name)}.pyi").write_text(vendor_stub(spec, plans), encoding="utf-8")
    except OSError as why:
        raise ArgumentError(f"cannot write {place}: {why.strerror}") from None
    note(f"wrote {place} for {', '.join(spec.name for spec in specs) or 'no connector: none is installed'}")


def module_name(vendor: str) -> str:
    """`typed_acme_crm` for `acme-crm`."""
    return "typed_" + re.sub(r"\W", "_", vendor)


def class_name(*words: str) -> str:
    """`CalendarEventsUpsert` for calendar_events, upsert."""
    return "".join(part[:1].upper() + part[1:] for word in words for part in re.split(r"\W|_", word) if part) or "Any_"


def _connector_class(spec: Spec) -> str:
    return "Connector_" + re.sub(r"\W", "_", spec.name)


def root_stub(specs: Sequence[Spec]) -> str:
    """The public names of the package, and connect() as each vendor's settings have it."""
    from connectory import _NAMES, __version__
    from connectory.connecting import UNIVERSAL, connect

    lines = [_header(), _IMPORTS]
    lines += [f"from {module} import {name} as {name}" for name, module in sorted(_NAMES.items()) if name != "connect"]
    lines += [f"from connectory.{module_name(spec.name)} import {_connector_class(spec)}" for spec in specs]
    lines += ["", f"__version__: str  # {__version__}", ""]
    fixed = [p for p in inspect.signature(connect).parameters.values() if p.kind is p.KEYWORD_ONLY]
    common = [f"{p.name}: {p.annotation} = ..." for p in fixed]
    for spec in specs:
        own = [
            f"{name}: {annotation(setting.type)} | None = ..."
            for name, setting in spec.settings.items()
            if setting.value is None
        ]
        names = " | ".join(["str", *([f"Literal[{', '.join(map(json.dumps, spec.servers))}]"] if spec.servers else [])])
        universal = [
            f"server: {names} | None = ...",
            *(f"{name}: {_UNIVERSAL[name]} | None = ..." for name in UNIVERSAL if name != "server"),
        ]
        lines += [
            "@overload",
            _def(
                "connect",
                [f"vendor: Literal[{json.dumps(spec.name)}]", "*", *own, *universal, *common],
                _connector_class(spec),
                spec.about,
            ),
        ]
    lines += ["@overload"] if specs else []
    lines.append(_def("connect", ["vendor: str", "*", *common, "**settings: Any"], "Connector", ""))
    return "\n".join(lines) + "\n"


_UNIVERSAL = {"concurrent": "int", "allow_http": "bool"}


def _header() -> str:
    return "# Written by `connectory stubs`; run it again when a spec has changed.\n# ruff: noqa\n"


def vendor_stub(spec: Spec, plans: Mapping[str, Plan]) -> str:
    """The operations of one vendor as classes, and its types as TypedDicts."""
    lines = [
        _header(),
        _IMPORTS,
        "from connectory.connector import Connector, Namespace",
        "from connectory.delivery.accounts import Delivery, ItemResult",
        "from connectory.messages import Response",
        "from connectory.records import Records",
        "",
    ]
    for name, fields in spec.types.items():
        held = ", ".join(
            f"{json.dumps(wire)}: {annotation(field.type)!s}" for wire, field in fields.items() if wire != "*"
        )
        lines.append(f"{_type_name(name)} = TypedDict({json.dumps(_type_name(name))}, {{{held}}}, total=False)")
    lines.append("")
    lines += _namespace(_connector_class(spec), "Connector", "", plans, spec.about)
    return "\n".join(lines) + "\n"


def _type_name(name: str) -> str:
    return f"{name}_record"


def _namespace(name: str, base: str, prefix: str, plans: Mapping[str, Plan], about: str) -> Iterator[str]:
    """A class whose properties are the next words of the operations below a prefix; those classes come first."""
    words = dict.fromkeys(full[len(prefix) :].partition(".")[0] for full in plans if full.startswith(prefix))
    body: list[str] = []
    for word in words:
        if not word.isidentifier() or keyword.iskeyword(word):
            continue
        full = f"{prefix}{word}"
        inner = class_name(*full.split("."))
        if full in plans:
            inner += "_call"
            yield from _call(inner, plans[full])
        else:
            yield from _namespace(inner, "Namespace", f"{full}.", plans, "")
        body += ["    @property", f"    def {word}(self) -> {inner}: ..."]
    if base == "Connector":
        body.append(f"    def __enter__(self) -> {name}: ...")
    yield from [f"class {name}({base}):", *_doc(about, "    "), *(body or ["    ..."]), ""]


def _call(name: str, plan: Plan) -> Iterator[str]:
    arguments = list(_parameters(plan))
    extra = ["complete: bool = ..."] if plan.operation.detail is not None else []
    extra += ["parents: bool = ..."] if plan.operation.parent is not None else []
    extra += ["recurse: bool = ..."] if plan.operation.recurse is not None else []
    yield f"class {name}:"
    yield from _doc(plan.operation.about, "    ")
    if plan.operation.batch is not None:
        _, *rest = [argument for argument in arguments if argument != "*"]
        yield _def(
            "__call__",
            ["self", *arguments, *(["*"] if "*" not in arguments else []), "keep_results: bool = ..."],
            "Delivery",
            plan.operation.about,
            "    ",
        )
        keywords = ["*", *rest] if rest else []
        yield _def("results", ["self", "items: Iterable[Any]", *keywords], "Iterator[ItemResult]", "", "    ")
    else:
        star = ["*"] if extra and "*" not in arguments else []
        yield _def("__call__", ["self", *arguments, *star, *extra], _returns(plan), plan.operation.about, "    ")
        yield _def("raw", ["self", *arguments], "Response", "", "    ")
        keywords = [argument for argument in arguments if argument != "*"]
        yield _def("download", ["self", "into: BinaryIO", *(["*", *keywords] if keywords else [])], "None", "", "    ")
    yield ""


def _returns(plan: Plan) -> str:
    from connectory.spec.typeexpr import Named

    if plan.many:
        return "Records"
    return "dict[str, Any]" if isinstance(plan.operation.returns, Named) else "Any"


def _parameters(plan: Plan) -> Iterator[str]:
    """The arguments as in a call: the items, the body or the first may stand without its name, the others may not."""

    many = plan.items_name if plan.operation.batch is not None else None
    first = many or ("body" if "body" in plan.parameters else next(iter(plan.parameters), None))
    if first is None:
        return
    if many is not None:
        yield f"{many}: Iterable[{_item(plan)}]"
    else:
        yield _parameter(plan.parameters[first])
    rest = [p for p in plan.parameters.values() if p.name != first]
    if rest:
        yield "*"
    yield from map(_parameter, sorted(rest, key=lambda p: not p.required))


def _item(plan: Plan) -> str:
    from connectory.spec.typeexpr import ListOf

    field = next((p.field.type for p in plan.parameters.values() if p.wire == plan.items), plan.operation.body)
    return annotation(field.item) if isinstance(field, ListOf) else "Any"


def _parameter(parameter: Parameter) -> str:
    kind = annotation(parameter.field.type)
    if parameter.required:
        return f"{parameter.name}: {kind}{' | None' if parameter.field.nullable else ''}"
    return f"{parameter.name}: {kind} | None = ..."


def annotation(expression: TypeExpr) -> str:
    """A declared type as Python's. A record may be any mapping; its fields are there to be completed."""
    from connectory.spec.typeexpr import Either, ListOf, MapOf, Named, OneOf, Scalar

    match expression:
        case Scalar(name=name):
            return _SCALARS[name]
        case OneOf(values=values):
            known = f"Literal[{', '.join(map(json.dumps, values))}]"
            return f"{known} | {expression.base}" if expression.grows else known
        case ListOf(item=item):
            return f"Sequence[{annotation(item)}]"
        case MapOf(value=held):
            return f"Mapping[str, {annotation(held)}]"
        case Either(types=types):
            return f"{' | '.join(_type_name(one.name) for one in types)} | Mapping[str, Any]"
        case Named(name=name):
            return f"{_type_name(name)} | Mapping[str, Any]"


def _def(name: str, parameters: Sequence[str], returns: str, about: str, indent: str = "") -> str:
    head = f"{indent}def {name}({', '.join(parameters)}) -> {returns}:"
    doc = "".join(f"\n{line}" for line in _doc(about, f"{indent}    "))
    return f"{head}{doc}" if doc else f"{head} ..."


def _doc(about: str, indent: str) -> list[str]:
    text = about.replace("\\", "\\\\").replace('"""', "'''")
    return [f'{indent}"""{text}."""'] if text else []
