"""The two parsers that YAML events come from: libyaml, and PyYAML's own where libyaml is missing."""

from __future__ import annotations

from typing import Any, Protocol

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner, ScannerError
from yaml.tokens import ScalarToken


class Events(Protocol):
    """One text being parsed."""

    def get_event(self) -> Any:
        """The next event. Raises `yaml.YAMLError`."""


class PureEvents(Reader, Scanner, Parser):
    """PyYAML's own parser, mended where libyaml takes or refuses other texts.

    Otherwise a spec would load on one machine and fail on another. What is mended was found by giving both the same
    random texts; what only libyaml takes (tabs between words, `|#`) is refused by the reader for both.
    """

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def scan_plain(self) -> ScalarToken:
        """An unquoted text: in a flow it may hold '?', and ':' before a bracket, a comma or '?' is refused."""
        chunks: list[str] = []
        spaces: list[str] | None = []
        start_mark = end_mark = self.get_mark()
        indent = self.indent + 1
        while self.peek() != "#" and (length := self._plain_length()):
            self.allow_simple_key = False
            chunks += [*(spaces or ()), self.prefix(length)]
            self.forward(length)
            end_mark = self.get_mark()
            spaces = self.scan_plain_spaces(indent, start_mark)
            if not spaces or (not self.flow_level and self.column < indent):
                break
        return ScalarToken("".join(chunks), True, start_mark, end_mark)

    def _plain_length(self) -> int:
        length = 0
        while (char := self.peek(length)) not in "\0 \t\n":
            if char == ":":
                after = self.peek(length + 1)
                if after in "\0 \t\n":
                    break
                if self.flow_level and after in ",?[]{}":
                    raise ScannerError("while scanning a plain scalar", None, "found unexpected ':'", self.get_mark())
            elif self.flow_level and char in ",[]{}":
                break
            length += 1
        return length

    def scan_flow_scalar_non_spaces(self, double: bool, start_mark: Any) -> list[str]:
        """A quoted text without its spaces: an escape must be a character."""
        try:
            chunks: list[str] = super().scan_flow_scalar_non_spaces(double, start_mark)
            "".join(chunks).encode()
        except (ValueError, OverflowError):
            raise ScannerError(
                "while scanning a quoted scalar", start_mark, "found invalid escape", self.get_mark()
            ) from None
        return chunks

    def scan_block_scalar_indentation(self) -> Any:
        """The indentation of a block: not by tabs."""
        found = super().scan_block_scalar_indentation()
        if self.peek() == "\t":
            raise ScannerError("while scanning a block scalar", None, "found a tab character", self.get_mark())
        return found


def open_events(text: str) -> Events:
    """The events of `text`, by libyaml where PyYAML was built with it."""
    return yaml.CSafeLoader(text) if yaml.__with_libyaml__ else PureEvents(text)
