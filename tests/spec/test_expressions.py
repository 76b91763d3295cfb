"""Texts with {{ }}: what they come to, what is refused before anything runs, and that nothing escapes or runs long."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectory.spec.expressions import Expression, ExpressionFault, compile_expression, expression_names
from connectory.spec.pieces import MAX_RESULT

MOMENT = datetime(2026, 5, 20, 20, 25, 43, tzinfo=timezone(timedelta(hours=2)))
VALUES: dict[str, Any] = {
    "school": "Example",
    "api_key": "abc-def-us6",
    "first": 100,
    "rate": 0.5,
    "price": Decimal("1.10"),
    "live": True,
    "rows": [{"id": 1}, {"id": 2}],
    "kept": {"instance_url": "https://eu.example", "split": "a mapping's own"},
    "since": "2026-05-20T18:25:43Z",
    "moment": MOMENT,
    "epoch": 1779301543,
    "day": date(2026, 5, 20),
    "key": UUID("12345678-1234-5678-1234-567812345678"),
    "nothing": None,
    "raw": b"\x00\xff",
}


def fault_of(text: str, values: dict[str, Any] | None = None) -> ExpressionFault:
    with pytest.raises(ExpressionFault) as caught:
        compile_expression(text).value(VALUES if values is None else values)
    return caught.value


# Results


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("no braces", "no braces"),
        ("/rest/{id}/{ a { b } }", "/rest/{id}/{ a { b } }"),
        ("}} {", "}} {"),
        ("https://{{ school }}.example/", "https://Example.example/"),
        ("{{school}}{{ school }}", "ExampleExample"),
        ("{{ kept.instance_url }}/v1", "https://eu.example/v1"),
        ("{{ kept['instance_url'] }}", "https://eu.example"),
        ("{{ kept.split }}", "a mapping's own"),
        ("id: {{ first }} {{ rate }} {{ price }} {{ live }}", "id: 100 0.5 1.10 true"),
        ("{{ moment }} {{ day }}", "2026-05-20T18:25:43Z 2026-05-20"),
        ("{{ key }}", "12345678-1234-5678-1234-567812345678"),
        ("{{ api_key.split('-')[-1] }}", "us6"),
        ("{{ api_key.split('-', 1)[1] }}", "def-us6"),
        ("{{ api_key.replace('-', '') }}", "abcdefus6"),
        ("{{ ' x '.strip() }}", "x"),
        ("{{ api_key[:3] }}{{ api_key[-1] }}", "abc6"),
        ("{{ school | lower }} {{ school|upper }}", "example EXAMPLE"),
        (r"{{ '\\\'\n\x41\u00e9' }}", "\\'\nA\u00e9"),
        ("{{ (school + ':' + api_key) | b64 }}", "RXhhbXBsZTphYmMtZGVmLXVzNg=="),
        ("{{ 'é' | hex }} {{ raw | hex }}", "c3a9 00ff"),
        ("{{ since | date('%d.%m.%Y %H:%M') }}", "20.05.2026 18:25"),
        ("{{ moment | date('%Y%m%d') }} {{ epoch | date('rfc3339') }}", "20260520 2026-05-20T18:25:43Z"),
        ("{{ moment | date(format='unix') }}", "1779301543"),
        ("{{ 2 + first }} {{ first * 3 }} {{ first // 3 }} {{ first % 7 }} {{ -first }}", "102 300 33 2 -100"),
        ("{{ 'live' if live else 'test' }} {{ 'a' if first > 100 else 'b' }}", "live b"),
        ("{{ '{{ }}' }} {{ \"}}\" }}", "{{ }} }}"),
        ('updated >= "{{ since }}" ORDER BY x\n', 'updated >= "2026-05-20T18:25:43Z" ORDER BY x\n'),
        ("a\r\n{{ school }}\r\n", "a\r\nExample\r\n"),
    ],
)
def test_a_text_is_filled(text: str, result: str) -> None:
    assert compile_expression(text).render(VALUES) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ rows }}", VALUES["rows"]),
        ("{{ nothing }}", None),
        ("{{ live }}", True),
        ("{{ rows[0]['id'] }}", 1),
        ("{{ 2 + first }}", 102),
        ("{{ api_key.split('-') }}", ["abc", "def", "us6"]),
        ("{{ not live }}", False),
        ("{{ epoch }} ", "1779301543 "),
        ("42", "42"),
    ],
)
def test_a_lone_expression_keeps_its_type(text: str, result: Any) -> None:
    value = compile_expression(text).value(VALUES)
    assert value == result
    assert type(value) is type(result)


def test_a_lone_name_is_not_copied() -> None:
    assert compile_expression("{{ rows }}").value(VALUES) is VALUES["rows"]


@pytest.mark.parametrize("text", ["{{ account }}", "a {{ account }} b", "{{ account | upper }}", "{{ kept.account }}"])
def test_a_text_whose_name_is_not_given_is_not_sent(text: str) -> None:
    expression = compile_expression(text)
    missing: list[dict[str, Any]] = [{}, {"account": None, "kept": None}, {"kept": {}}, {"kept": {"account": None}}]
    for values in missing:
        assert expression.render_optional(values) is None
        assert expression.value_optional(values) is None
    given_ = {"account": "x", "kept": {"account": "x"}}
    assert expression.render_optional(given_) == expression.render(given_)
    assert expression.value_optional(given_) == expression.value(given_)


def test_an_empty_text_is_sent() -> None:
    assert compile_expression("{{ account }}").render_optional({"account": ""}) == ""
    assert compile_expression("fixed").render_optional({}) == "fixed"


def test_an_expression_tells_its_names() -> None:
    text = "{{ a }}{{ b.c.d }} {{ e.split(f)[0] | date(g) }} {{ h['i'] if j > 1 else k[l] }} {m} {{ 'n' }}"
    expression = compile_expression(text)
    assert expression.names == {"a", "b", "e", "f", "g", "h", "j", "k", "l"}
    assert {"a", "b.c.d", "h.i"} <= expression.paths
    assert expression_names(text) == expression.names
    assert expression_names("{{ x | no_such_filter }}") == {"x"}
    assert expression_names("plain") == frozenset()


def test_equal_texts_are_equal_expressions() -> None:
    assert compile_expression("{{ a }}") == compile_expression("{{ a }}")
    assert len({compile_expression("{{ a }}"), compile_expression("{{ a }}"), compile_expression("{{ b }}")}) == 2


# Names


def test_an_unknown_name_is_told_with_the_nearest_and_its_place() -> None:
    fault = fault_of("https://{{ shcool }}", {"school": "x", "year": 2026})
    assert str(fault) == "{{ shcool }} names nothing; did you mean 'school'? (there are school, year)"
    assert fault.offset == 11
    fault = fault_of("{{ (shcool) | lower }}", {"school": "x"})
    assert (fault.message, fault.offset) == ("{{ shcool }} names nothing; did you mean 'school'? (there are school)", 4)


def test_an_unknown_name_in_a_mapping_is_told() -> None:
    fault = fault_of("{{ kept.instance_uri }}")
    assert "did you mean 'kept.instance_url'?" in fault.message
    assert "{{ school.x }}: 'school' is a text" in fault_of("{{ school.x }}").message
    assert (
        "'.instance_uri' names nothing; did you mean 'instance_url'?"
        in fault_of("{{ kept.instance_uri|lower }}").message
    )
    assert "looks into a mapping, not into a text" in fault_of("{{ school.x | lower }}").message


def test_names_are_checked_before_anything_has_a_value() -> None:
    expression = compile_expression("{{ school }}/{{ scholl }}{{ kept.a }}{{ kept.b | lower }}")
    faults = expression.unknown({"school", "kept.a"})
    assert [fault.offset for fault in faults] == [16, 40]
    assert faults[0].message == "{{ scholl }} names nothing; did you mean 'school'? (there are kept.a, school)"
    assert faults[1].message == "{{ kept.b }} names nothing; did you mean 'kept.a'? (there are kept.a, school)"
    assert expression.unknown({"school", "scholl", "kept"}) == ()


def test_a_value_that_cannot_be_text_is_refused() -> None:
    for name, kind in [("rows", "a list"), ("kept", "a mapping"), ("nothing", "nothing"), ("raw", "bytes")]:
        with pytest.raises(ExpressionFault) as caught:
            compile_expression(f"x {{{{ {name} }}}}").render(VALUES)
        assert str(caught.value) == f"{{{{ {name} }}}} is {kind}: that cannot be part of a text"
    with pytest.raises(ExpressionFault, match="a moment without zone"):
        compile_expression("{{ m }}").render({"m": datetime(2026, 1, 1)})


# Refused before anything runs


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("a {% if x %}b{% endif %}", 2, "statements ({% %}) are not allowed"),
        ("{% raw %}", 0, "statements"),
        ("{{ a }}{# note #}", 7, "comments ({# #}) are not allowed"),
        ("a {{ b", 2, "'{{' has no '}}'"),
        ("{{ 'a }}", 0, "'{{' has no '}}'"),
        ("{{ }}", 2, "cannot be read"),
        ("{{ a b }}", 2, "cannot be read: it does not end where it should"),
        ("{{ a + }}", 2, "cannot be read"),
        ("{{- a }}", 2, "no '-' or '+' may touch the braces"),
        ("{{ a -}}", 2, "no '-' or '+' may touch the braces"),
        ("x{{ a.__class__ }}", 4, "'__class__' cannot be used: names begin with a letter"),
        ("{{ _a }}", 3, "'_a' cannot be used"),
        ("{{ (a).__class__ | lower }}", 7, "'__class__' cannot be used as a name"),
        ("{{ self }}", 3, "'self' cannot be used as a name"),
        ("{{ é }}", 3, "'é' cannot be used as a name"),
        ("{{ a.format(1) }}", 5, "'format' cannot be called: only .split, .strip, .replace"),
        ("{{ a.center(9) }}", 5, "'center' cannot be called"),
        ("{{ a.join(b) }}", 5, "'join' cannot be called"),
        ("{{ range(9) }}", 3, "'range' cannot be called"),
        ("{{ lipsum(n=9) }}", 3, "'lipsum' cannot be called"),
        ("{{ a() }}", 3, "'a' cannot be called"),
        ("{{ a.split(b)() }}", 2, "this cannot be called"),
        ("{{ a.split('-', 1, 2) }}", 5, "'split': too many positional arguments"),
        ("{{ a.replace('x') }}", 5, "'replace': missing a required argument"),
        ("{{ a.split(*b) }}", 5, "'split' takes its arguments one by one"),
        ("{{ a | uper }}", 7, "no filter 'uper'; did you mean 'upper'? (there are b64, date, hex, lower, upper)"),
        ("{{ a | map('upper') }}", 7, "no filter 'map'"),
        ("{{ a | attr('x') }}", 7, "no filter 'attr'"),
        ("{{ a | format(1) }}", 7, "no filter 'format'"),
        ("{{ a | .split }}", 2, "cannot be read"),
        ("{{ a | date }}", 7, "'date': missing a required argument: 'format'"),
        ("{{ a | date('%Q') }}", 7, "'date': '%Q' is no pattern"),
        ("{{ a | date('rfc') }}", 7, "'date': unknown codec 'rfc'"),
        ("{{ a | lower(1) }}", 7, "'lower': too many positional arguments"),
        ("{{ 2 ** 3 }}", 2, "'**' is not allowed"),
        ("{{ a ~ b }}", 2, "'~' is not allowed: write the texts side by side"),
        ("{{ a is defined }}", 2, "'is' is not allowed"),
        ("{{ [a] }}", 2, "a list cannot be written here"),
        ("{{ (a, b) }}", 2, "a list cannot be written here"),
        ("{{ {'a': 1} }}", 2, "a mapping cannot be written here"),
        (r"{{ 'a\d' }}", 5, "an escape that is not known: write '\\\\' for a backslash"),
        (r"{{ '\x4' }}", 4, "an escape that is not known"),
        ("{{ 1[0:1] }}", 4, "a number has no parts"),
        ("{{ a if b }}", 5, "an 'if' needs an 'else'"),
        ("{{ " + "(" * 300 + "a" + ")" * 300 + " }}", 2, "too deep"),
        ("{{ " + "-" * 100 + " a }}", 2, "more than 40 expressions inside each other"),
        ("{{ " + "a+" * 100 + "a }}", 2, "more than 40 expressions inside each other"),
        ("{{ " + "9" * 5000 + " }}", 2, "more than 2,000 characters"),
    ],
)
def test_what_can_never_work_is_refused_with_its_place(text: str, offset: int, message: str) -> None:
    with pytest.raises(ExpressionFault) as caught:
        compile_expression(text)
    assert message in caught.value.message
    assert caught.value.offset == offset
    assert str(caught.value) == caught.value.message


# Refused while computing


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ 'a' * 9999999999 }}", "'*' takes two numbers"),
        ("{{ school * 2 }}", "'*' takes two numbers"),
        ("{{ rows * 2 }}", "'*' takes two numbers"),
        ("{{ rows + rows }}", "'+' takes two numbers or two texts"),
        ("{{ first + school }}", "'+' takes two numbers or two texts"),
        ("{{ '%1000000000d' % 1 }}", "'%' takes two numbers"),
        ("{{ 99999999999999999999 * 99999999999999999999 }}", "'*' takes two numbers, none huge"),
        ("{{ first / 0 }}", "it divides by zero"),
        ("{{ school['__class__'] }}", "what stands in [ ] is not there"),
        ("{{ first['real'] }}", "[ ] looks into a text, a list or a mapping, not into a number"),
        ("{{ rows[7] }}", "what stands in [ ] is not there"),
        ("{{ first.split('-') }}", "'split' is for texts, not for a number"),
        ("{{ kept.replace('a', 'b') }}", "'replace' is for texts, not for a mapping"),
        ("{{ nothing | upper }}", "'upper' cannot be applied to nothing"),
        ("{{ school | date('%Y') }}", "'date' cannot be applied to a text"),
        ("{{ rows | b64 }}", "'b64' cannot be applied to a list"),
        ("{{ school < first }}", "its values do not fit together"),
        ("{{ -school }}", "its values do not fit together"),
        ("{{ kept[1:2] }}", "its values do not fit together"),
    ],
)
def test_what_does_not_work_out_is_a_fault(text: str, reason: str) -> None:
    fault = fault_of(text)
    assert reason in fault.message
    assert "cannot be computed" in fault.message
    assert fault.offset == 2


def test_a_text_does_not_grow_without_end() -> None:
    large = {"x": "a" * MAX_RESULT, "y": "a" * 1000}
    for text in (
        "{{ x }}{{ y }}",
        "{{ x + y }}",
        "{{ x.replace('a', 'bb') }}",
        "{{ y.replace('', y).replace('a', y) }}",
    ):
        started = time.process_time()
        with pytest.raises(ExpressionFault, match="grow"):
            compile_expression(text).render(large)
        assert time.process_time() - started < 1
    assert len(compile_expression("{{ x }}").render(large)) == MAX_RESULT


def test_the_longest_expressions_end_soon() -> None:
    values = {"x": "ab" * 400_000}
    for text in (
        "{{ x" + ".replace('a', 'c').replace('c', 'a')" * 19 + " }}",
        "{{ x" + ".split('a')[0]" * 19 + " }}",
        "{{ x + '" + "\\'" * 900 + "' }}",
        "{{ " * 10_000,
        "{{ '" * 10_000,
        "{{ a }}" * 100_000,
        "{" * 100_000,
        "{{ x" + "[0]" * 600 + " }}",
    ):
        started = time.process_time()
        with contextlib.suppress(ExpressionFault):
            compile_expression(text).value({**values, "a": "b"})
        assert time.process_time() - started < 2, text[:40]


SECRET = "hunter2-very-secret"


@pytest.mark.parametrize(
    "source",
    [
        "s | date('%Y')", "s | date('unix')", "s - 1", "s[99]", "s < 1", "-s", "s | fails", "m[s]", "s.x", "(s).x",
        "s.split('')", "s.replace(1, 2)", "1 | fails(s)", "s * 9", "m.x", "(m).x", "other", "other | upper",
        "'a'.split(s, s)", "m | hex",
    ],
)  # fmt: skip
def test_no_fault_tells_a_value(source: str) -> None:
    def fails(value: Any, *args: Any) -> Any:
        raise RuntimeError(f"cannot use {value} {args}")

    expression = compile_expression("{{ " + source + " }}", {"fails": fails})
    with pytest.raises(ExpressionFault) as caught:
        expression.value({"s": SECRET, "m": {"inner": SECRET, "list": [SECRET]}})
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error)
        assert SECRET not in repr(error)
        error = error.__cause__ or error.__context__


ESCAPES = [
    "''.__class__.__mro__[1].__subclasses__()",
    "x.__init__.__globals__",
    "x['__class__']['__mro__']",
    "x|attr('__class__')",
    "x['_' * 2 + 'class' + '_' * 2]",
    "cycler.__init__.__globals__.os.popen('id').read()",
    "self._TemplateReference__context",
    "namespace(a=1)",
    "dict(a=1)",
    "joiner",
    "x.split.__func__",
    "x.split.__self__",
    "x.format_map(m)",
    "'{0.__class__}'.format(x)",
    "x.translate(m)",
    "x.encode('rot13')",
    "f.__code__",
    "f()",
    "f.gi_frame",
    "o.attribute",
    "o['attribute']",
    "(o).attribute|lower",
    "o.method()",
    "x.replace.__globals__",
    "_result",
    "environment",
    "context",
    "x | .split",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_nothing_leads_out_of_the_values(source: str) -> None:
    class Thing:
        attribute = "reached"

        def method(self) -> str:
            return "reached"

    values = {"x": "text", "m": {"a": 1}, "f": lambda: "reached", "o": Thing()}
    with pytest.raises(ExpressionFault):
        compile_expression("{{ " + source + " }}").value(values)


# Filters of plug-ins


def test_filters_of_plug_ins_join_the_built_in_ones() -> None:
    def quoted(value: str, mark: str = "'") -> str:
        return mark + value + mark

    expression = compile_expression(
        "{{ school | lower | quoted }} {{ school | quoted(mark='\"') }}", {"quoted": quoted}
    )
    assert expression.render(VALUES) == "'example' \"Example\""
    with pytest.raises(ExpressionFault, match="'quoted': got an unexpected keyword argument"):
        compile_expression("{{ school | quoted(x=1) }}", {"quoted": quoted})


def test_a_filter_that_raises_or_makes_too_much_is_a_fault() -> None:
    def raises(value: Any) -> Any:
        raise SystemError(value)

    def floods(value: Any) -> Any:
        return "x" * (MAX_RESULT + 1)

    filters = {"raises": raises, "floods": floods}
    with pytest.raises(ExpressionFault, match=r"'raises' cannot be applied to a text \(SystemError\)"):
        compile_expression("{{ school | raises }}", filters).render(VALUES)
    with pytest.raises(ExpressionFault, match="grows too large"):
        compile_expression("{{ school | floods }}", filters).render(VALUES)


# Cost


def test_plain_names_do_not_import_jinja() -> None:
    program = """
import sys
from connectory.spec.expressions import compile_expression
assert compile_expression("https://{{ a }}/{{ b.c }}/{id}").render({"a": 1, "b": {"c": 2}}) == "https://1/2/{id}"
assert "jinja2" not in sys.modules
compile_expression("{{ a | lower }}")
assert "jinja2" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_one_expression_serves_many_threads() -> None:
    expression = compile_expression("{{ n + 1 }}-{{ s.split('-')[0] }}")

    def render(n: int) -> str:
        return expression.render({"n": n, "s": f"{n}-x"})

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(render, range(200))) == [f"{n + 1}-{n}" for n in range(200)]


# Any text

PIECES = st.sampled_from([
    "{{", "}}", "{{ ", " }}", "{%", "{#", *"{}ab.|()[]'\" \n\\1+-*/%~,:_<=é", "kept", "lower", "date", "split",
    "9" * 40, "0.5", "1e999", "**", "if", "else", "and", "not", "in", ".split(", "| date('%Y", "| b64", "[0]", "::",
])  # fmt: skip
BODIES = st.lists(PIECES, max_size=8).map("".join)
TEXTS = (
    st.text() | BODIES | BODIES.map(lambda body: "{{ " + body + " }}") | BODIES.map(lambda body: "{{ a" + body + " }}")
)


@given(TEXTS)
@example("{{ a.b.0 }}")
@example("{{ a[::0] }}")
@example("{{ 1e999 * 0 }}")
def test_any_text_is_compiled_and_rendered_or_is_a_fault(text: str) -> None:
    try:
        expression = compile_expression(text)
    except ExpressionFault as fault:
        assert 0 <= fault.offset <= len(text)  # noqa: PT017
        return
    assert isinstance(expression, Expression)
    assert expression.names == expression_names(text)
    for values in ({"a": "x-y", "b": 3, "kept": {"a": "z"}}, {name: "1" for name in expression.names}, {}):
        try:
            result = expression.render(values)
        except ExpressionFault as fault:
            assert 0 <= fault.offset <= len(text)  # noqa: PT017
        else:
            assert isinstance(result, str)


@given(st.text().filter(lambda text: not any(mark in text for mark in ("{{", "{%", "{#"))))
def test_a_text_without_braces_stays_as_it_is(text: str) -> None:
    assert compile_expression(text).render({}) == text


@given(
    st.lists(st.sampled_from(["{{ a }}", "{{ b.c }}", "{{a}}", "x", "{d}", " ", "\n", "é"]), max_size=8).map("".join)
)
def test_plain_names_come_out_as_jinja_has_it(text: str) -> None:
    from jinja2 import Environment

    values = {"a": "<&>", "b": {"c": 7}}
    expected = Environment(keep_trailing_newline=True).from_string(text).render(values)
    assert compile_expression(text).render(values) == expected


def test_utc_is_what_dates_are_written_in() -> None:
    moment = datetime(2026, 1, 1, 0, 30, tzinfo=UTC).astimezone(timezone(timedelta(hours=-5)))
    assert compile_expression("{{ m | date('%Y-%m-%d') }}").render({"m": moment}) == "2026-01-01"
