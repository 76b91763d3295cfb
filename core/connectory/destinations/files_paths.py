"""Names of files: where the number of a part stands, folders of partitions, and what is kept beside the data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import attrs
import msgspec

from connectory.errors import DestinationError

Format = Literal["csv", "jsonl", "parquet"]

ENDINGS: Final[Mapping[str, Format]] = {".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
NULL_PARTITION: Final = "__HIVE_DEFAULT_PARTITION__"
LONGEST_NAME: Final = 255  # bytes of one name, on every common file system
_PART: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}")
# What Hive escapes in the names of folders, and what Windows does not take.
_UNSAFE: Final = re.compile(r'[\x00-\x20"#%\'*/:<=>?\\\x7f{}\[\]^|]|\.$|^\.')


@attrs.frozen
class Pattern:
    """Where the parts go: `folder` holds them, `before` and `after` stand round the number of a part in their names.

    Without a number there is one file, `before`.
    """

    folder: Path
    before: str
    after: str | None
    format: Format

    @property
    def many(self) -> bool:
        """Whether there can be more than one part."""
        return self.after is not None

    def name(self, number: int) -> str:
        """The name of a part's file."""
        return self.before if self.after is None else f"{self.before}{number:05d}{self.after}"

    @property
    def kept(self) -> Path:
        """The folder for what is kept beside the data; its name is no name of a partition."""
        return self.folder / "_connectory"

    @property
    def label(self) -> str:
        """What tells this set of files from others in the same folder."""
        return self.before if self.after is None else f"{self.before}N{self.after}"


def read_pattern(text: str, format: Format | None, root: Path) -> Pattern:
    """The pattern that a recipe gives, as `out/people-{{ part }}.parquet`. Raises DestinationError."""
    if "://" in text:
        raise DestinationError(f"{text}: files are written to a folder of this machine, not to a URL")
    folder, _, name = text.rpartition("/")
    words = _PART.findall(text)
    if _PART.search(folder) or [word for word in words if word != "part"] or len(words) > 1:
        raise DestinationError(f"{text}: the file's name may hold {{{{ part }}}} once, and nothing else in braces")
    if not name or "\0" in text:
        raise DestinationError(f"{text}: expected the name of a file, as out/people-{{{{ part }}}}.parquet")
    before, after = name, None
    if words:
        found = _PART.search(name)
        assert found is not None
        before, after = name[: found.start()], name[found.end() :]
    suffix = Path(name).suffix.lower()
    if format is None and suffix not in ENDINGS:
        raise DestinationError(
            f"{text}: its ending says no format; end it with {', '.join(ENDINGS)}, or name a `format`"
        )
    return Pattern(root / folder, before, after, format or ENDINGS[suffix])


def read_mode(text: str, pattern: Pattern, mode: str | None) -> Literal["append", "replace"]:
    """What a run does with the files that are there. Raises DestinationError for what files cannot do."""
    if mode == "merge":
        raise DestinationError(f"{text}: rows of files cannot be merged; write to a table, or use append or replace")
    if mode == "append" and not pattern.many:
        raise DestinationError(
            f"{text}: append makes new files and changes none, so each needs a number of its own: put {{{{ part }}}}"
            " into the name"
        )
    return "append" if mode == "append" or (mode is None and pattern.many) else "replace"


def partition_of(row: Mapping[str, Any], fields: Sequence[str]) -> str:
    """The folder of a row below the pattern's, as `country=NL/year=2026`; '' without fields. Raises ValueError."""
    return "/".join(f"{_safe(field)}={_value(row.get(field), field)}" for field in fields)


def _value(value: Any, field: str) -> str:
    if value is None:
        return NULL_PARTITION
    if isinstance(value, list | tuple | Mapping):
        raise ValueError(
            f"a partition is one value, and {field} is {'an object' if isinstance(value, Mapping) else 'a list'}"
        )
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode().strip('"')
    safe = _safe(text)
    if len(f"{_safe(field)}={safe}".encode()) > LONGEST_NAME:
        raise ValueError(f"{field} is too long for the name of a folder: '{text[:40]}…'")
    return safe


def _safe(text: str) -> str:
    """The text as one name, which cannot lead out of its folder."""
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)
