"""How a recipe names a table."""

from __future__ import annotations

import re
from typing import Final

from connectory.errors import DestinationError

_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def read_table_name(text: str) -> tuple[str | None, str]:
    """Schema, where one is named, and table of `people`, `crm.people`, or with `"` round a part that has a dot in it.

    Raises DestinationError.
    """
    parts = []
    end = -1
    while end < len(text):
        found = _PART.match(text, end + 1)
        if found is None or text[found.end() : found.end() + 1] not in ("", "."):
            raise _no_name(text)
        parts.append(found[1].replace('""', '"') if found[1] else found[2])
        end = found.end()
    if len(parts) > 2 or "\0" in text:
        raise _no_name(text)
    if parts[-1].startswith("_connectory_"):
        raise DestinationError(f"'{text}': names that start with _connectory_ are kept for Connectory itself")
    return (parts[0] if len(parts) == 2 else None), parts[-1]


def _no_name(text: str) -> DestinationError:
    return DestinationError(f"'{text}' is no name of a table: expected a name such as people or crm.people")
