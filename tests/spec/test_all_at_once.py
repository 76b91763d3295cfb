"""Wrong keys do not hide wrong references: a file's faults come all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectory import SpecError
from connectory.connecting import open_spec

WRONG = """\
name: bad
servers: {production: https://x.example}
settings: {k: strr}
auth: {bearer: "{{ k }}"}
pagers: {numbered: {use: page_number, page: p, largst: 5, records: items}}
operations:
  a.list: {get: /a, pages: numbred, returns: Thng}
types: {Thing: {id: str! key}}
"""


def test_wrong_keys_types_and_references_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "bad.yaml").write_text(WRONG)
    with pytest.raises(SpecError) as caught:
        open_spec("bad", tmp_path)
    assert [(fault.line, fault.path, fault.message) for fault in caught.value.faults] == [
        (3, "/settings/k", "unknown type 'strr'; did you mean 'str'?"),
        (5, "/pagers/numbered/largst", "unknown key 'largst'; did you mean 'largest'?"),
        (7, "/operations/a.list/pages", "no pager 'numbred'; did you mean 'numbered'?"),
        (7, "/operations/a.list/returns", "no type 'Thng'; did you mean 'Thing'?"),
    ]
