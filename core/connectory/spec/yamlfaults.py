"""What is wrong with a YAML text, in words for whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

# Line ends of YAML 1.1 but not of 1.2 nor of any editor: line numbers would be wrong behind them.
_STRANGE = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_NAMES = {
    "\x00": "a zero byte",
    "\x85": "a next-line character",
    "\u2028": "a line separator",
    "\u2029": "a paragraph separator",
    "\ufeff": "a byte order mark",
}

_TABS = "a tab stands where spaces are expected: YAML is indented with spaces"
_BRACKET = "is not closed before this; a text in it that holds [ ] {{ }} , : needs quotes"
_ITEM = "a list item '- ' is expected here, at the same indentation as the one in line {line}"
_KEY = "a key is expected here, at the same indentation as the one in line {line}"

# A part of what either parser says -> what we say; the first that fits. `{line}` is where the construct began.
_WORDS: tuple[tuple[str, str], ...] = (
    (
        "mapping values are not allowed",
        "a ':' cannot stand here: a text that holds ': ' needs quotes, or the lines above are indented otherwise",
    ),
    ("could not find expected ':'", "a key is expected here, but no ':' follows it"),
    ("found unexpected end of stream", "the quote opened in line {line} is never closed"),
    ("found unexpected document indicator", "the quote opened in line {line} is not closed before '---' or '...'"),
    ("',' or ']'", f"the '[' opened in line {{line}} {_BRACKET}"),
    ("',' or '}'", f"the '{{{{' opened in line {{line}} {_BRACKET}"),
    ("escape", "an escape that YAML does not know: write '\\\\' for a backslash, or use single quotes"),
    ("tab character", _TABS),
    ("sequence entries are not allowed", "a list item '- ' cannot stand here: begin the list on a line of its own"),
    ("expected '-' indicator", _ITEM),
    ("while parsing a block collection", _ITEM),
    ("expected key", _KEY),
    ("while parsing a block mapping", _KEY),
    ("mapping keys are not allowed", "a '? ' cannot stand here: a text that begins with it needs quotes"),
    ("expected node content", "a value is expected here"),
    ("expected the node content", "a value is expected here"),
    ("tag", "a tag ('!...') is not used here: the place decides the type; a text that begins with '!' needs quotes"),
    ("indentation indicator", "the number behind '|' or '>' must be 1 to 9"),
    ("comment or line break", "nothing but a comment may follow '|' or '>' in its line"),
    ("alphabetic or numeric", "a name must follow '&' or '*'; a text that begins with one of them needs quotes"),
    ("expected <document start>", "this stands outside of the mapping above: is it indented less than the first line?"),
)


def characters_at_fault(text: str) -> Iterator[tuple[int, str]]:
    """Every character that may not stand in a spec as such, as its index and a message."""
    for found in _STRANGE.finditer(text):
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


def place_of(error: yaml.YAMLError) -> tuple[int, int]:
    """Line and column, from 0, of a parser's error."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return (mark.line, mark.column) if mark is not None else (0, 0)


def directives_at_fault(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Every directive (`%YAML`, `%TAG`) before the document, as its line, from 1, and a message."""
    for number, line in enumerate(lines, 1):
        if line.startswith("%"):
            yield number, f"the directive '{line.split()[0][:20]}' is not used here: leave the line out"
        elif line.strip() and not line.lstrip().startswith("#"):
            return


def explain(error: yaml.YAMLError, lines: list[str], first: int) -> str:
    """A parser's error in our words; the text that was parsed begins at line `first`, from 0, of `lines`."""
    line, column = place_of(error)
    text = lines[first + line] if first + line < len(lines) else ""
    said = f"{getattr(error, 'context', None) or ''} {getattr(error, 'problem', None) or error}"
    if "\t" in text[: column + 1] and not text[: column + 1].strip():
        return _TABS
    if "cannot start any token" in said:
        return f"a text cannot begin with '{text[column : column + 1]}': put it in quotes"
    began = getattr(error, "context_mark", None)
    for part, words in _WORDS:
        if part in said:
            return words.format(line=first + (line if began is None else began.line) + 1)
    return "this is not YAML"


def about_a_complex_key(text: str) -> str:
    """What to say where a list or mapping is used as a key; `text` is the file from there on."""
    if text.startswith("{"):
        return "a mapping cannot be a key; a text with '{{ }}' needs quotes"
    return "a list or mapping cannot be a key"
