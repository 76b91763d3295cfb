"""Wire names -> names that Python and the command line can say."""

from __future__ import annotations

import keyword
import re
from functools import lru_cache


@lru_cache(10_000)
def snake(name: str) -> str:
    """`StudentId` is `student_id`, `noteTargets` is `note_targets`, `page[after]` is `page_after`."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name))
    plain = re.sub(r"[^a-zA-Z0-9]+", "_", words).strip("_").lower()
    if not plain or plain[0].isdigit():
        plain = f"n_{plain}"
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def capital(name: str) -> str:
    """The first letter in upper case, the rest as it is: `noteTargets` is `NoteTargets`."""
    return name[:1].upper() + name[1:]
