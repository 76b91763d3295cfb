"""What Jinja2 may do between `{{` and `}}`: a list of what is allowed, checked before anything runs.

No statement, no call but three methods of texts, no attribute of any object: a dot or bracket only looks into mappings,
lists and texts. Nothing loops, so the time is bounded by the source's length and the size of its values.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from connectory.errors import nearest
from connectory.spec.filters import ARGUMENT_CHECKS
from connectory.spec.pieces import MAX_RESULT, RESERVED, ExpressionFault, kind_of, names_nothing

MAX_LEVELS: Final = 40  # expressions inside each other
MAX_NUMBER: Final = 2**64  # of a product's factors
_RESULT: Final = "_result"  # no expression can say it: names begin with a letter

_ESCAPE: Final = re.compile(r"""\\([\\'"nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|)""")

Filters = Mapping[str, Callable[..., Any]]


class _Refused(Exception):
    """Something that must not happen while computing. The message holds no value."""


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox without globals, tests, attributes and calls, and with sizes watched."""

    intercepted_binops = frozenset(["+", "*", "%", "/", "//", "-", "**"])

    def __init__(self, filters: Filters) -> None:
        super().__init__(undefined=StrictUndefined, optimized=False, cache_size=0)
        self.globals.clear()
        self.tests.clear()
        self.filters.clear()
        self.filters.update({name: _guarded(name, function) for name, function in filters.items()})
        self.filters.update({f".{name}": _guarded(name, function) for name, function in METHODS.items()})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if not isinstance(obj, Mapping):
            raise _Refused(f"'.{attribute}' looks into a mapping, not into {kind_of(obj)}")
        if attribute not in obj:
            raise _Refused(f"'.{attribute}' names nothing{nearest(attribute, obj)}")
        return obj[attribute]

    def getitem(self, obj: Any, argument: Any) -> Any:
        if not isinstance(obj, str | list | tuple | Mapping):
            raise _Refused(f"[ ] looks into a text, a list or a mapping, not into {kind_of(obj)}")
        try:
            return obj[argument]
        except (LookupError, TypeError):
            raise _Refused("what stands in [ ] is not there") from None

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise _Refused("calls are not allowed")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        texts = isinstance(left, str) and isinstance(right, str)
        if operator == "+" and texts:
            if len(left) + len(right) > MAX_RESULT:
                raise _Refused("the text grows too large")
        elif not _is_small(left) or not _is_small(right):
            raise _Refused(f"'{operator}' takes two numbers{' or two texts' if operator == '+' else ''}, none huge")
        return super().call_binop(context, operator, left, right)


def _is_small(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and -MAX_NUMBER <= value <= MAX_NUMBER


def _split(text: str, separator: str | None = None, maximum: int = -1) -> list[str]:
    return text.split(separator, maximum)


def _strip(text: str, characters: str | None = None) -> str:
    return text.strip(characters)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    times = text.count(old) if count < 0 else min(count, text.count(old))
    if len(text) + times * (len(new) - len(old)) > MAX_RESULT:
        raise _Refused("the text grows too large")
    return text.replace(old, new, count)


METHODS: Final[Filters] = {"split": _split, "strip": _strip, "replace": _replace}


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its errors without their words: those may hold a secret."""

    def guarded(value: Any, *args: Any, **kwargs: Any) -> Any:
        if name in METHODS and function is METHODS[name] and not isinstance(value, str):
            raise _Refused(f"'{name}' is for texts, not for {kind_of(value)}")
        try:
            result = function(value, *args, **kwargs)
        except _Refused:
            raise
        except Exception as error:
            reason = f"'{name}' cannot be applied to {kind_of(value)} ({type(error).__name__})"
        else:
            if isinstance(result, str | bytes | list) and len(result) > MAX_RESULT:
                raise _Refused("the text grows too large")
            return result
        raise _Refused(reason)

    return guarded


class Computation:
    """One parsed and checked expression; Jinja2 compiles it when it is first used."""

    def __init__(self, source: str, offset: int, expression: nodes.Expr, environment: _Environment) -> None:
        self.source = source
        self.offset = offset
        self.places: Mapping[str, int] = {path: offset + _find(source, path) for path in _paths(expression)}
        self._expression = expression
        self._environment = environment
        self._template: Template | None = None

    @classmethod
    def of(cls, source: str, offset: int, filters: Filters | None) -> Computation:
        """Parse and check; with `filters` None those are not looked at. Raises `ExpressionFault`."""
        for escape in _ESCAPE.finditer(source):
            if not escape[1]:  # Jinja2 would warn, or take it as it stands
                message = "an escape that is not known: write '\\\\' for a backslash"
                raise ExpressionFault(message, offset + escape.start())
        environment = _Environment(filters or {})
        expression = _parse(source, offset, environment)
        checked = _Check(source, offset, filters).expression(expression, 0)
        return cls(source, offset, checked, environment)

    def value(self, values: Mapping[str, Any]) -> Any:
        """What it comes to. Raises `ExpressionFault`; the message holds no value."""
        for path, offset in self.places.items():
            root = path.partition(".")[0]
            if root not in values:
                raise ExpressionFault(names_nothing(root, values), offset)
        try:
            result = self._compute(values)
        except _Refused as refused:
            reason = str(refused)
        except ZeroDivisionError:
            reason = "it divides by zero"
        except Exception as error:
            reason = f"its values do not fit together ({type(error).__name__})"
        else:
            if not isinstance(result, str) or len(result) <= MAX_RESULT:
                return result
            reason = "the text grows too large"
        # Raised out here, so that no inner error with a value in its words hangs on it.
        raise ExpressionFault(f"{self} cannot be computed: {reason}", self.offset)

    def __str__(self) -> str:
        return _shown(self.source)

    def _compute(self, values: Mapping[str, Any]) -> Any:
        if self._template is None:
            body = [nodes.Assign(nodes.Name(_RESULT, "store", lineno=1), self._expression, lineno=1)]
            template = nodes.Template(body, lineno=1)
            template.set_environment(self._environment)
            self._template = self._environment.from_string(template)
        context = self._template.new_context(dict(values))
        for _ in self._template.root_render_func(context):
            pass
        return context.vars[_RESULT]


def _parse(source: str, offset: int, environment: _Environment) -> nodes.Expr:
    try:
        parser = Parser(environment, source, state="variable")
        expression = parser.parse_expression()
        rest = not parser.stream.eos
    except TemplateError as error:
        reason = str(error.message)
    except (RecursionError, ValueError, OverflowError, MemoryError):
        reason = "it is too deep or holds too large a number"
    else:
        if not rest:
            return expression
        reason = "it does not end where it should"
    raise ExpressionFault(f"{_shown(source)} cannot be read: {reason}", offset)


def _shown(source: str) -> str:
    source = source.strip()
    return f"{{{{ {source if len(source) <= 80 else source[:77] + '...'} }}}}"


def _paths(expression: nodes.Expr) -> list[str]:
    """The dotted names of an expression, each as far as the dots go."""
    found: list[str] = []

    def visit(node: nodes.Node) -> None:
        path: list[str] = []
        inner = node
        while (step := _step(inner)) is not None:
            path.insert(0, step)
            inner = inner.node  # type: ignore[attr-defined]
        if isinstance(inner, nodes.Name):
            found.append(".".join([inner.name, *path]))
            return
        for child in node.iter_child_nodes():
            visit(child)

    visit(expression)
    return list(dict.fromkeys(found))


def _step(node: nodes.Node) -> str | None:
    """What a dot, or a text in brackets, looks for."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.arg.value
    return None


def _find(source: str, word: str) -> int:
    found = re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", source) or re.search(re.escape(word), source)
    return found.start() if found else 0


_ALLOWED: Final = (
    nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Call, nodes.Filter, nodes.Keyword,
    nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos,
    nodes.Not, nodes.And, nodes.Or, nodes.Compare, nodes.Operand, nodes.CondExpr,
)  # fmt: skip
_REFUSED: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Pow: "'**' is not allowed",
    nodes.Concat: "'~' is not allowed: write the texts side by side",
    nodes.Test: "'is' is not allowed",
    nodes.List: "a list cannot be written here",
    nodes.Tuple: "a list cannot be written here",
    nodes.Dict: "a mapping cannot be written here",
}


class _Check:
    """Walks a parsed expression; refuses what is not allowed, and turns methods into filters."""

    def __init__(self, source: str, offset: int, filters: Filters | None) -> None:
        self._source = source
        self._offset = offset
        self._filters = filters

    def _fault(self, message: str, word: str = "") -> ExpressionFault:
        return ExpressionFault(message, self._offset + (_find(self._source, word) if word else 0))

    def expression(self, node: Any, level: int) -> Any:
        """The same expression without calls. Raises `ExpressionFault`."""
        if level > MAX_LEVELS:
            raise self._fault(f"more than {MAX_LEVELS} expressions inside each other")
        if not isinstance(node, _ALLOWED):
            raise self._fault(_REFUSED.get(type(node), "this is not allowed in an expression"))
        if isinstance(node, nodes.Call):
            node = self._method(node)
        elif isinstance(node, nodes.Filter):
            self._filter(node)
        elif isinstance(node, nodes.Name):
            self._name(node.name)
        elif isinstance(node, nodes.Getattr):
            self._name(node.attr)
        elif (
            isinstance(node, nodes.Getitem)
            and isinstance(node.node, nodes.Const)
            and not isinstance(node.node.value, str)
        ):
            raise self._fault("a number has no parts", "[")
        elif isinstance(node, nodes.CondExpr) and node.expr2 is None:
            raise self._fault("an 'if' needs an 'else'", "if")
        for field, value in node.iter_fields():
            if isinstance(value, nodes.Node):
                setattr(node, field, self.expression(value, level + 1))
            elif isinstance(value, list):
                setattr(node, field, [self.expression(item, level + 1) for item in value])
        return node

    def _name(self, name: str) -> None:
        if name.startswith("_") or not name.isascii() or name in RESERVED:
            raise self._fault(f"'{name}' cannot be used as a name", name)

    def _method(self, call: nodes.Call) -> nodes.Filter:
        if not isinstance(call.node, nodes.Getattr) or call.node.attr not in METHODS:
            name = getattr(call.node, "attr", getattr(call.node, "name", ""))
            said = f"'{name}' cannot be called" if name else "this cannot be called"
            raise self._fault(f"{said}: only .{', .'.join(METHODS)}", name)
        method = call.node.attr
        self._arguments(METHODS[method], method, call)
        return nodes.Filter(
            call.node.node, f".{method}", call.args, call.kwargs, None, None, lineno=1, environment=call.environment
        )

    def _filter(self, node: nodes.Filter) -> None:
        if self._filters is None or node.name.startswith("."):
            return
        if node.name not in self._filters:
            there = ", ".join(sorted(self._filters))
            raise self._fault(
                f"no filter '{node.name}'{nearest(node.name, self._filters)} (there are {there})", node.name
            )
        function = self._filters[node.name]
        self._arguments(function, node.name, node)
        check = ARGUMENT_CHECKS.get(function)
        if check is not None and all(isinstance(argument, nodes.Const) for argument in [*node.args, *_values(node)]):
            named: dict[str, Any] = {str(keyword.key): keyword.value.value for keyword in node.kwargs}  # type: ignore[attr-defined]
            try:
                check(*[argument.value for argument in node.args], **named)  # type: ignore[attr-defined]
            except (ValueError, TypeError) as why:
                raise self._fault(f"'{node.name}': {why}", node.name) from None

    def _arguments(self, function: Callable[..., Any], name: str, node: nodes.Call | nodes.Filter) -> None:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise self._fault(f"'{name}' takes its arguments one by one", name)
        try:
            signature = inspect.signature(function)
        except (ValueError, TypeError):  # some functions written in C do not tell theirs
            return
        try:
            signature.bind(None, *node.args, **{str(keyword.key): None for keyword in node.kwargs})
        except TypeError as why:
            raise self._fault(f"'{name}': {why}", name) from None


def _values(node: nodes.Filter) -> Sequence[Any]:
    return [keyword.value for keyword in node.kwargs]
