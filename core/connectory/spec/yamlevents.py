"""The two parsers that YAML events come from: libyaml, and PyYAML's own where libyaml is missing."""

from __future__ import annotations

from typing import Any, Protocol

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner


class Events(Protocol):
    """One text being parsed."""

    def get_event(self) -> Any:
        """The next event. Raises `yaml.YAMLError`."""


class PureEvents(Reader, Scanner, Parser):
    """PyYAML's own parser, without its tree."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


def open_events(text: str) -> Events:
    """The events of `text`, by libyaml where PyYAML was built with it."""
    return yaml.CSafeLoader(text) if yaml.__with_libyaml__ else PureEvents(text)
