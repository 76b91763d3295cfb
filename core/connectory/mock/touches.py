"""What a field's name says of when the vendor sets it."""

from __future__ import annotations

import re

from connectory.spec.naming import snake


def is_created(wire: str) -> bool:
    """Whether it tells when a record was made."""
    return re.search(r"(^|_)(creat\w*|added|inserted)(_|$)", snake(wire)) is not None


def is_changed(wire: str) -> bool:
    """Whether it tells when a record was changed last."""
    return re.search(r"(^|_)(modif\w*|updat\w*|chang\w*)(_|$)", snake(wire)) is not None
