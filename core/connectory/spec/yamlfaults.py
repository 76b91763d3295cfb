"""What is wrong with a YAML text, in words for whoever wrote it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from operator import itemgetter
from typing import TypeAlias

import yaml

Spot: TypeAlias = tuple[int, int]  # line and column, from 0

_CONTROL = re.compile(r"[^\t\n\x20-\x7e]")  # of ASCII
_NAMES = {
    "\x00": "a zero byte",
    "\x85": "a next-line character",
    "\u2028": "a line separator",
    "\u2029": "a paragraph separator",
    "\ufeff": "a byte order mark",
}

_COMMENT = re.compile(r"(?:^|\s)#")
_HEADER = re.compile(r"[|>][-+1-9]* *(?: #.*)?")

_TABS = "a tab stands where spaces are expected: YAML is indented with spaces"
_BLOCK = "nothing but a comment may follow '|' or '>' in its line"
_BRACKET = "is not closed before this; a text in it that holds [ ] {{ }} , : needs quotes"
_ITEM = "a list item '- ' is expected here, at the same indentation as the one in line {line}"
_KEY = "a key is expected here, at the same indentation as the one in line {line}"
_ESCAPE = "an escape that YAML does not know: write '\\\\' for a backslash, or use single quotes"
_UNCLOSED = "the quote is never closed"

# A part of what either parser says -> what we say; the first that fits. `{line}` is where the construct began.
_WORDS: tuple[tuple[str, str], ...] = (
    ("directive", "a text cannot begin with '%': put it in quotes"),
    ("document start>", "this stands outside of what is above: is it indented less than the first line?"),
    ("found unexpected end of stream", _UNCLOSED),
    ("found unexpected document", "the quote opened in line {line} is not closed before '---' or '...'"),
    ("found unexpected ':'", "a ':' cannot stand here: a text that holds ':' before a bracket or comma needs quotes"),
    ("expected ':'", "a key is expected here, but no ':' follows it"),
    ("',' or ']'", f"the '[' opened in line {{line}} {_BRACKET}"),
    ("',' or '}'", f"the '{{{{' opened in line {{line}} {_BRACKET}"),
    ("tag", "a tag ('!...') is not used here: the place decides the type; a text that begins with '!' needs quotes"),
    ("escape", _ESCAPE),
    ("hexdecimal", _ESCAPE),
    ("tab character", _TABS),
    ("sequence entries are not allowed", "a list item '- ' cannot stand here: begin the list on a line of its own"),
    ("while parsing a block collection", _ITEM),
    ("while parsing a block mapping", _KEY),
    ("mapping keys are not allowed", "a '? ' cannot stand here: a text that begins with it needs quotes"),
    ("node content", "a value is expected here"),
    ("indentation indicator equal to 0", "the number behind '|' or '>' must be 1 to 9"),
    ("but found 0", "the number behind '|' or '>' must be 1 to 9"),
    ("while scanning a block scalar", _BLOCK),
    ("alphabetic or numeric", "a name must follow '&' or '*'; a text that begins with one of them needs quotes"),
)


@cache
def _strange() -> re.Pattern[str]:
    # Line ends of YAML 1.1 but not of 1.2 nor of any editor: line numbers would be wrong behind them.
    return re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def characters_at_fault(text: str) -> Iterator[tuple[int, str]]:
    """Every character that may not stand in a spec as such, as its index and a message."""
    if text.isascii() and not _CONTROL.search(text):  # most are, and the whole class takes 2 ms to compile
        return
    for found in _strange().finditer(text):
        char = found[0]
        name = _NAMES.get(char, "a control character" if char < "\xa0" else "a character that is none")
        yield (
            found.start(),
            f"{name} (U+{ord(char):04X}) stands in the text; in double quotes it can be written as an escape",
        )


def encoding_at_fault(source: bytes) -> str:
    """What to say of bytes that are not UTF-8 by their looks (UTF-16 or UTF-32), or an empty text."""
    head = source[:4]
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")) or b"\x00" in head[:2]
    return "the file is UTF-16 or UTF-32: save it as UTF-8" if wide else ""


def place_of(error: yaml.YAMLError) -> Spot:
    """Where a parser's error is: where it gave up, or for a quote that is never closed, where that was opened."""
    mark, began = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    if mark is None or (began is not None and "end of stream" in str(getattr(error, "problem", ""))):
        mark = began
    return (mark.line, mark.column) if mark is not None else (0, 0)


def directives_at_fault(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Every directive (`%YAML`, `%TAG`) before the document, as its line, from 1, and a message."""
    for number, line in enumerate(lines, 1):
        if line.startswith("%"):
            yield number, f"the directive '{line.split()[0][:20]}' is not used here: leave the line out"
        elif line.strip() and not line.lstrip().startswith("#"):
            return


def tabs_at_fault(lines: list[str], texts: list[tuple[Spot, Spot]]) -> Iterator[tuple[int, int, str]]:
    """The first tab of every line that stands in no comment and in none of `texts`, as line and column, from 0.

    `texts` are the quoted texts and blocks from where to where, in order.
    """
    for number, line in enumerate(lines):
        column = line.find("\t")
        while column >= 0:
            before = bisect_right(texts, (number, column), key=itemgetter(0)) - 1
            end = texts[before][1] if before >= 0 else (0, 0)
            if end <= (number, column):
                if not _COMMENT.search(line, end[1] if end[0] == number else 0, column):
                    yield number, column, _TABS
                break  # what follows is a comment, or would be told twice
            column = line.find("\t", end[1]) if end[0] == number else -1


def explain(error: yaml.YAMLError, lines: list[str], first: int) -> str:
    """A parser's error in our words; the text that was parsed begins at line `first`, from 0, of `lines`."""
    line, column = place_of(error)
    text = lines[first + line] if first + line < len(lines) else ""
    said = f"{getattr(error, 'context', None) or ''} {getattr(error, 'problem', None) or error}"
    before = text[:column].strip()
    if "\t" in text[: column + 1] and not before and "end of stream" not in said:
        return _TABS
    if "cannot start any token" in said:
        return (
            _TABS
            if text.startswith("\t", column)
            else f"a text cannot begin with '{text[column : column + 1]}': put it in quotes"
        )
    if "mapping values are not allowed" in said:
        if ": " in text[: column - 1]:
            return "a second ':' in one line: a text that holds ': ' needs quotes"
        return "this is indented like a value of the line above, which has one already"
    if "block mapping" in said and text.startswith(":", column):
        return "a key is missing here"
    if "block mapping" in said and before:
        return "nothing can follow the value before this: put the whole text in quotes"
    began = getattr(error, "context_mark", None)
    for part, words in _WORDS:
        if part in said:
            return words.format(line=first + (line if began is None else began.line) + 1)
    return "this is not YAML"


def header_at_fault(lines: list[str], begin: Spot, style: str) -> tuple[int, int, str] | None:
    """The line that begins a block (`|`, `>`) with what may not stand in it; `begin` may be its anchor, lines above."""
    line, column = begin
    while True:
        end = _COMMENT.search(lines[line], column)
        found = lines[line].find(style, column, end.start() if end else None)
        if found >= 0:
            return None if _HEADER.fullmatch(lines[line], found) else (line, found, _BLOCK)
        line, column = line + 1, 0


def complex_key_at_fault(line: str, column: int) -> tuple[int, str]:
    """Where to point at, and what to say, of a list or mapping used as a key at a column, from 0."""
    if line.startswith("{{", column - 1) and column:
        return column - 1, "a text with '{{ }}' needs quotes"
    return column, "a list or mapping cannot be a key"
