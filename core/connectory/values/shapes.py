"""The shape of a value once every name is resolved: what destinations make columns of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

Kind = Literal["text", "int", "float", "decimal", "bool", "date", "time", "datetime", "bytes", "any"]


@attrs.frozen
class Plain:
    """A single value. `any` is whatever JSON can hold."""

    kind: Kind


@attrs.frozen
class ListOf:
    """A list of one shape."""

    item: Shape


@attrs.frozen
class MapOf:
    """An object with free keys and values of one shape."""

    value: Shape


@attrs.frozen
class Record:
    """An object with known fields, by wire name. Answers may always hold more than is declared."""

    fields: Mapping[str, Shape]


Shape = Plain | ListOf | MapOf | Record
