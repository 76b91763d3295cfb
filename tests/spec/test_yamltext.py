"""Reading YAML: what a text means, where it stands, and what is refused in which words.

Everything is read twice, with libyaml and with PyYAML's own parser: a spec must not load on one machine only.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from connectory.errors import Fault, SpecError
from connectory.spec import yamltext
from connectory.spec.yamlevents import Events, PureEvents
from connectory.spec.yamltext import (
    Array,
    Node,
    Table,
    Text,
    as_data,
    parse_bool,
    parse_float,
    parse_int,
    position,
    position_in,
    read_yaml,
    read_yaml_file,
)

PARSERS: dict[str, Callable[[str], Events]] = {"pure": PureEvents}
if yaml.__with_libyaml__:
    PARSERS["libyaml"] = yaml.CSafeLoader

Read = Callable[[str | bytes], Node]


@pytest.fixture(params=PARSERS)
def read(request: pytest.FixtureRequest) -> Read:
    return lambda source: read_yaml(source, "spec.yaml", PARSERS[request.param])


def faults_of(read: Read, source: str | bytes) -> list[Fault]:
    with pytest.raises(SpecError) as caught:
        read(source)
    return list(caught.value.faults)


def only_fault(read: Read, source: str | bytes) -> Fault:
    (fault,) = faults_of(read, source)
    return fault


# Values


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", None), ("~", None), ("null", None), ("NULL", None), ('""', ""), ("'null'", "null"),
        ("true", True), ("False", False), ("'true'", "true"),
        ("no", "no"), ("on", "on"), ("yes", "yes"), ("y", "y"),
        ("0", 0), ("-17", -17), ("+3", 3), ("010", 10), ("0478", 478), ("0o17", 15), ("0xfF", 255), ("1_000", "1_000"),
        ("0b11", "0b11"), ("1:30", "1:30"), ("2022-06-28", "2022-06-28"), ("9" * 30, int("9" * 30)),
        ("1.5", 1.5), ("1.", 1.0), (".5", 0.5), ("1e3", 1000.0), ("-1.5E-2", -0.015), (".inf", math.inf),
        ("-.INF", -math.inf),
        ("1e999", "1e999"), ("nan", "nan"), ("inf", "inf"), ("'1'", "1"), ("|\n    5", "5"), ("int?", "int?"),
        ("a#b", "a#b"),        ("١٢", "١٢"),
    ],
)  # fmt: skip
def test_places_of_any_type_use_the_yaml_1_2_reading(read: Read, written: str, meant: Any) -> None:
    data = as_data(read(f"key: {written}"))
    assert data == {"key": meant}
    assert type(data["key"]) is type(meant)


def test_nan_is_read() -> None:
    assert math.isnan(as_data(read_yaml(".nan", "f")))


def test_a_number_with_more_digits_than_python_reads_stays_a_text(read: Read) -> None:
    digits = "9" * 5000
    assert as_data(read(f"a: {digits}")) == {"a": digits}


def test_keys_are_always_texts(read: Read) -> None:
    tree = read("204: a\ntrue: b\n1.5: c\n'': d\n2024-01-01: e")
    assert as_data(tree) == {"204": "a", "true": "b", "1.5": "c", "": "d", "2024-01-01": "e"}


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("-3", -3), ("007", 7), ("0x1F", 31), ("9" * 30, int("9" * 30))]
)
def test_whole_numbers(text: str, number: int) -> None:
    assert parse_int(text) == number


@pytest.mark.parametrize("text", ["", "1.0", "1_000", " 1", "1 ", "0x", "one", "1e3", "٣", "9" * 5000])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"whole number|digits"):
        parse_int(text)


@pytest.mark.parametrize(("text", "number"), [("1", 1.0), ("-.5", -0.5), ("1e3", 1000.0), ("-.inf", -math.inf)])
def test_numbers(text: str, number: float) -> None:
    assert parse_float(text) == number


@pytest.mark.parametrize("text", ["", "inf", "nan", "1,5", "1e999", "-1e999", "0x10", "1_0.5"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        parse_float(text)


def test_only_true_and_false_are_true_and_false() -> None:
    assert (parse_bool("true"), parse_bool("FALSE")) == (True, False)
    for text in ("yes", "no", "1", "", "on"):
        with pytest.raises(ValueError, match="expected true or false"):
            parse_bool(text)


def test_messages_do_not_repeat_a_long_text() -> None:
    with pytest.raises(ValueError, match=r"x\.\.\.'$") as caught:
        parse_int("x" * 10_000)
    assert len(str(caught.value)) < 120


# Places

SPEC = """\
name: twelve
operations:
  things.list:
    get: '/things'
    query: {year: int?, "quoted key": 5}
    outcomes:
    - {status: 404}
    - status: 410
      is: missing
about: |
  Two
  lines
"""


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ((), (1, 1), (1, 1)),
        (("name",), (1, 7), (1, 1)),
        (("operations",), (3, 3), (2, 1)),
        (("operations", "things.list"), (4, 5), (3, 3)),
        (("operations", "things.list", "get"), (4, 10), (4, 5)),
        (("operations", "things.list", "query", "year"), (5, 19), (5, 13)),
        (("operations", "things.list", "query", "quoted key"), (5, 39), (5, 25)),
        (("operations", "things.list", "outcomes", 0, "status"), (7, 16), (7, 8)),
        (("operations", "things.list", "outcomes", 1), (8, 7), (8, 7)),
        (("operations", "things.list", "outcomes", "1", "is"), (9, 11), (9, 7)),
        (("about",), (10, 8), (10, 1)),
        (("operations", "things.list", "returns"), (4, 5), (4, 5)),
        (("operations", "things.list", "get", "deeper", 3), (4, 10), (4, 10)),
        (("operations", "things.list", "outcomes", 7), (7, 5), (7, 5)),
    ],
)
def test_every_node_knows_its_place(
    read: Read, path: tuple[str | int, ...], value: tuple[int, int], key: tuple[int, int]
) -> None:
    tree = read(SPEC)
    assert position(tree, path) == value
    assert position(tree, path, at_key=True) == key


def test_texts_know_how_they_were_written(read: Read) -> None:
    tree = read("a: plain\nb: 'quoted'\nc: \"double\"\nd: |\n  block\n")
    assert isinstance(tree, Table)
    plain, single, double, block = tree.values()
    assert isinstance(plain, Text)
    assert isinstance(single, Text)
    assert isinstance(double, Text)
    assert isinstance(block, Text)
    assert [plain.plain, single.plain, double.plain, block.plain] == [True, False, False, False]
    assert [position_in(text, 2) for text in (plain, single, double, block)] == [(1, 6), (2, 7), (3, 7), (4, 4)]


def test_an_alias_of_a_text_stands_where_it_is_used(read: Read) -> None:
    tree = read("a: &x 5\nb: *x\nc: [*x]")
    assert as_data(tree) == {"a": 5, "b": 5, "c": [5]}
    assert position(tree, ("b",)) == (2, 4)
    assert position(tree, ("c", 0)) == (3, 5)


def test_an_alias_of_a_table_gives_the_same_values(read: Read) -> None:
    assert as_data(read("a: &x {p: [1, 2]}\nb: *x")) == {"a": {"p": [1, 2]}, "b": {"p": [1, 2]}}


# Encodings and line ends


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(read: Read) -> None:
    plain = read(SPEC)
    for source in (b"\xef\xbb\xbf" + SPEC.encode(), SPEC.replace("\n", "\r\n").encode(), SPEC.replace("\n", "\r")):
        assert as_data(read(source)) == as_data(plain)
        assert position(read(source), ("about",)) == (10, 8)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_other_unicode_encodings_are_named(read: Read, encoding: str) -> None:
    assert only_fault(read, "name: é\n".encode(encoding)).message == "the file is UTF-16 or UTF-32: save it as UTF-8"


def test_bytes_that_are_not_utf_8_are_named_with_their_place(read: Read) -> None:
    fault = only_fault(read, "name: x\r\nabout: ü Müller".encode() + b" Caf\xe9\n")
    assert (fault.line, fault.column) == (2, 20)
    assert fault.message == "byte 30 of the file (0xE9) is not UTF-8: save the file as UTF-8"


@pytest.mark.parametrize(
    "char", ["\x00", "\x07", "\x1b", "\x7f", "\x80", "\x85", "\u2028", "\u2029", "\ufeff", "\uffff", "\ud800"]
)
def test_control_characters_are_refused_with_their_place(read: Read, char: str) -> None:
    fault = only_fault(read, f"a: 1\nb: 'x{char}'\n")
    assert (fault.line, fault.column) == (2, 6)
    assert f"U+{ord(char):04X}" in fault.message


def test_control_characters_may_be_written_as_escapes(read: Read) -> None:
    assert as_data(read(r'"\0\x07\u2028\t\N\/"')) == "\0\x07\u2028\t\x85/"


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SpecError, match="cannot be read"):
            read_yaml_file(path)


def test_a_file_is_read_under_its_name(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"a: 1\na: 2\n")
    with pytest.raises(SpecError) as caught:
        read_yaml_file(file)
    assert str(caught.value) == f"{file}:2:1: the key 'a' stands twice: first in line 1"
    file.write_bytes(b"a: 1")
    assert as_data(read_yaml_file(str(file))) == {"a": 1}


# What YAML allows and a spec does not

REFUSED = [
    ("", 1, 1, "the file is empty"),
    ("# only a comment\n---\n", 1, 1, "the file is empty"),
    ("a: 1\nb: {c: 2, c: 3}", 2, 11, "the key 'c' stands twice: first in line 2"),
    ("a: 1\n'a': 2", 2, 1, "the key 'a' stands twice: first in line 1"),
    ("a: 1\n<<: {b: 2}", 2, 1, "'<<' (merge)"),
    ("? [a, b]\n: c", 1, 3, "a list or mapping cannot be a key"),
    ("[a]: b", 1, 1, "a list or mapping cannot be a key"),
    ("bearer: {{ token }}", 1, 9, "a text with '{{ }}' needs quotes"),
    (": 1", 1, 1, "a key is missing here"),
    ("~: 1", 1, 1, "a key is missing here: write it in quotes if it is meant"),
    ("{null: 1}", 1, 2, "a key is missing here"),
    ("a: !!python/object/apply:os.system [ls]", 1, 4, "the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
    ("a: !!str 5", 1, 4, "the tag 'tag:yaml.org,2002:str' is not used here"),
    ("a: ! 5", 1, 4, "the tag '!' is not used here"),
    ("a: !secret [x]", 1, 4, "the tag '!secret' is not used here"),
    ("a: !x!y 5", 1, 4, "a tag ('!...') is not used here"),
    ("%YAML 1.2\n---\na: 1", 1, 1, "the directive '%YAML' is not used here"),
    ("a: 1\n---\nb: 2", 2, 1, "a second document begins here"),
    ("a: *b", 1, 4, "the alias '*b' has no anchor '&b' above it"),
    ("a: &tokens 1\nb: *token", 2, 4, "did you mean 'tokens'?"),
    ("a: &x 1\nb: &x 2", 2, 4, "the anchor '&x' stands twice: first in line 1"),
    ("a: &x [*x]", 1, 8, "the alias '*x' stands inside what it stands for"),
    ("a: &x {b: {c: *x}}", 1, 15, "the alias '*x' stands inside what it stands for"),
    ("[" * 100, 1, 65, "more than 64 levels inside each other"),
    ("".join(f"{' ' * n}a:\n" for n in range(100)), 65, 65, "more than 64 levels inside each other"),
    ("a:\tb", 1, 3, "a tab stands where spaces are expected"),
    ("a: b\t# c", 1, 5, "a tab stands where spaces are expected"),
    ("a:\n\tb: 1", 2, 1, "a tab stands where spaces are expected"),
    ("a:\n  b: 1\n\tc: 2", 3, 1, "a tab stands where spaces are expected"),
    ("a: {\n\tb: 1}", 2, 1, "a tab stands where spaces are expected"),
    ("a: |\n\tb", 2, 1, "a tab stands where spaces are expected"),
]


@pytest.mark.parametrize(("source", "line", "column", "message"), REFUSED)
def test_what_a_spec_may_not_hold(read: Read, source: str, line: int, column: int, message: str) -> None:
    fault = faults_of(read, source)[0]
    assert message in fault.message
    assert (fault.line, fault.column) == (line, column)


@pytest.mark.parametrize("head", ["|#b", "|\tb", "|x", "> y", "|-10"])
def test_only_a_comment_may_follow_the_sign_of_a_block(read: Read, head: str) -> None:
    assert only_fault(read, f"a: {head}\n  c").message == "nothing but a comment may follow '|' or '>' in its line"
    assert as_data(read("a: |2- # text\n    c\n")) == {"a": "  c"}


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("a: b: c", 1, "a second ':' in one line: a text that holds ': ' needs quotes"),
        ("a: b\n  c: d", 2, "this is indented like a value of the line above, which has one already"),
        ("a: 'b", 1, "the quote is never closed"),
        ('a: "b\nc: d\n', 1, "the quote is never closed"),
        ("a: [1, 2\nb: 3", 2, "the '[' opened in line 1 is not closed before this"),
        ("a: {get: /x/{id}}", 1, "the '{' opened in line 1 is not closed before this; a text in it that holds [ ] { }"),
        ('a: "\\d+"', 1, "an escape that YAML does not know: write '\\\\' for a backslash, or use single quotes"),
        ('a: "\\u12"', 1, "an escape that YAML does not know"),
        ('a: "\\ud83d\\ude00"', 1, "an escape that YAML does not know"),
        ('a: "\\UFFFFFFFF"', 1, "an escape that YAML does not know"),
        ("a: @b", 1, "a text cannot begin with '@': put it in quotes"),
        ("a: %b", 1, "a text cannot begin with '%': put it in quotes"),
        ('a: "x" y', 1, "nothing can follow the value before this: put the whole text in quotes"),
        ("a: 1\n b: 2", 2, "this is indented like a value of the line above"),
        ("  a: 1\nb: 2", 2, "this stands outside of what is above"),
        ("a:\n  - 1\n  b: 2", 3, "a list item '- ' is expected here, at the same indentation as the one in line 2"),
        ("a:\n  b: 1\n - c", 3, "a key is expected here, at the same indentation as the one in line 1"),
        ("a: 1\nb\nc: 2", 3, "a key is expected here, but no ':' follows it"),
        ("a: - b", 1, "a list item '- ' cannot stand here: begin the list on a line of its own"),
        ("a: [b, , c]", 1, "a value is expected here"),
        ("a: |0\n  b", 1, "the number behind '|' or '>' must be 1 to 9"),
        ("a: *", 1, "a name must follow '&' or '*'; a text that begins with one of them needs quotes"),
        ("{a: [b:c:], d}", 1, "a ':' cannot stand here: a text that holds ':' before a bracket or comma needs quotes"),
    ],
)
def test_broken_grammar_is_told_in_plain_words(read: Read, source: str, line: int, message: str) -> None:
    fault = faults_of(read, source)[0]
    assert fault.message.startswith(message)
    assert fault.line == line


def test_tabs_are_welcome_inside_texts_and_comments(read: Read) -> None:
    source = 'a: "x\ty" #\tc\nb: |\n  x\n  \ty\t\n\tz\n'.replace("\n\tz", "") + "c: 'p\n\t q'\n#\tend"
    assert as_data(read(source)) == {"a": "x\ty", "b": "x\n\ty\t\n", "c": "p q"}


def test_all_faults_come_at_once(read: Read) -> None:
    source = 'name: a\nname: b\nservers: {x: {{ y }}}\nauth: "\\d"\nlimits:\n  day: 5: 6\ntypes:\n\tT: 1\nx: !!set {}\n'
    told = [(fault.line, fault.path, fault.message.split(":")[0]) for fault in faults_of(read, source)]
    assert [line for line, _, _ in told] == [2, 3, 4, 6, 8, 9]
    assert told[1][1] == "/servers/x"
    assert told[3][1] == "/limits/day" or told[3][1] == "/limits"


def test_the_number_of_faults_is_bounded(read: Read) -> None:
    for line in ("a: 1\n", "a: b: c\n", "a: *x\n", "a:\t1\n", "a: '\x01'\n", "- !t 1\n"):
        assert 50 < len(faults_of(read, line * 5000)) <= yamltext.MAX_FAULTS


# Too much


def test_a_bomb_of_aliases_is_refused(read: Read) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "the aliases ('*') stand for more than 50,000 values" in only_fault(read, "\n".join(levels)).message


def test_aliases_do_not_get_around_the_limit_of_levels(read: Read) -> None:
    levels = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [[[[[[*a{n - 1}]]]]]]" for n in range(1, 12)]
    assert "more than 64 levels" in only_fault(read, "\n".join(levels)).message


def test_a_file_that_is_too_large_is_not_parsed(read: Read, tmp_path: Path) -> None:
    started = time.process_time()
    fault = only_fault(read, b"- [\n" * 2_500_000)
    assert fault.message == "the file is too large: at most 6,000,000 bytes are read"
    assert time.process_time() - started < 1
    file = tmp_path / "large.yaml"
    file.write_bytes(b"a" * 10_000_000)
    with pytest.raises(SpecError, match="too large"):
        read_yaml_file(file)


def test_more_values_than_any_spec_has_are_refused(monkeypatch: pytest.MonkeyPatch, read: Read) -> None:
    monkeypatch.setattr(yamltext, "MAX_NODES", 1000)
    assert only_fault(read, f"[{'a,' * 1001}]").message == "the file has more than 1,000 values"


@pytest.mark.skipif("libyaml" not in PARSERS, reason="PyYAML was built without libyaml")
def test_five_thousand_operations_load() -> None:
    operation = """\
  things{n}.list:
    about: Lists the things of kind {n}, newest first, with all that belongs to them, one page at a time.
    get: /api/v2/things{n}/list
    query: {{year: int! = 2026, student_id: int64, modified: datetime, sort: one of asc | desc = asc, limit: int = 100}}
    pages: numbers
    returns: Thing{n}
    marks: {{modified: {{from: modified_since}}}}
    limits: [day, minute]
"""
    tree = read_yaml("operations:\n" + "".join(operation.format(n=n) for n in range(5000)), "large.yaml")
    assert isinstance(tree, Table)
    assert len(tree[Text("operations")]) == 5000


@pytest.mark.parametrize(
    "unit", ["[", "{", "- ", "? ", "{a: ", "&a ", "! ", "'", ":", "#", "\t", "\n", " ", "a\n", "[]"]
)
def test_repetition_ends_soon(read: Read, unit: str) -> None:
    started = time.process_time()
    with contextlib.suppress(SpecError):
        read(unit * (100_000 // len(unit)))
    assert time.process_time() - started < 5


def test_many_wrong_aliases_are_told_soon(read: Read) -> None:
    started = time.process_time()
    source = f"a: [{', '.join(f'&anchor{n} 1' for n in range(5000))}]\nb: [{'*anchr, ' * 200}]"
    assert len(faults_of(read, source)) == yamltext.MAX_FAULTS
    assert time.process_time() - started < 5


# Any text

# Pieces that YAML's grammar cares for, so that random texts reach its corners.
PIECES = st.sampled_from([
    *"ab1 -?:[]{},#'\"\\>|%@`~\té😀\n", "key", ": ", "\n ", "\n  ", "\n    ", "- ", "? ", ", ", " #", "&a", "*a", "!t",
    "---", "...", "''", '""', "\\n", "\\x41", "\\u00", "\\ud800", "\\U00110000", "<<", "/x/{id}", "\r\n",
    "|\n", "|-", "|2",
])  # fmt: skip
TEXTS = st.lists(PIECES, max_size=20).map("".join) | st.text()


def outline(node: Node) -> Any:
    """All that both parsers must agree on; where nothing is written, its place may differ."""
    if isinstance(node, Table):
        pairs = [(outline(key), outline(value)) for key, value in node.items()]
        return ("table", node.line, node.column, pairs)
    if isinstance(node, Array):
        return ("array", node.line, node.column, [outline(value) for value in node])
    return ("text", str(node), node.plain, *((node.line, node.column) if node else ()))


def outcome(source: str | bytes, parser: Callable[[str], Events]) -> Any:
    """The tree, or that there is none."""
    try:
        return outline(read_yaml(source, "f", parser))
    except SpecError as error:
        faults = error.faults
    assert faults
    assert all(fault.line >= 1 and fault.column >= 1 and fault.message != "this is not YAML" for fault in faults)
    return "refused"


@given(TEXTS)
@example("{year: int?}")
@example("[a: b?, c:?]")
@example("&a |\n|\n")
@example("|#")
@example("? |")
def test_any_text_is_read_or_refused_alike_by_both_parsers(source: str) -> None:
    outcomes = [outcome(source, parser) for parser in PARSERS.values()]
    assert outcomes[0] == outcomes[-1]


@given(st.binary() | TEXTS.map(lambda text: text.encode("utf-8", "replace") + b"\xff"))
def test_any_bytes_are_read_or_refused(source: bytes) -> None:
    for parser in PARSERS.values():
        outcome(source, parser)


# PyYAML writes YAML 1.1, where these are texts; in 1.2 they are numbers.
NEW_NUMBERS = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+|0o[0-7]+|[-+]?0[0-9]*[89][0-9]*|[-+]\.[0-9]+")
WORDS = st.text().filter(lambda text: not NEW_NUMBERS.fullmatch(text))
KEYS = st.text(max_size=40)  # YAML allows 1,024 characters, escapes written out
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(DATA.filter(lambda data: data is not None), st.booleans())
def test_what_pyyaml_writes_is_read_back(data: Any, flow: bool) -> None:
    source = yaml.safe_dump(data, default_flow_style=flow)
    for parser in PARSERS.values():
        assert as_data(read_yaml(source, "f", parser)) == data


@given(DATA.filter(lambda data: data is not None))
def test_json_is_read_back(data: Any) -> None:
    source = json.dumps(data, ensure_ascii=False).replace("\x7f", "\\u007f")
    source = "".join(char if ord(char) < 0x80 or char in "é😀" else f"\\U{ord(char):08X}" for char in source)
    for parser in PARSERS.values():
        assert as_data(read_yaml(source, "f", parser)) == data
