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


def test_a_plug_in_that_is_not_loaded_is_told_beside_the_faults_that_come_of_it(tmp_path: Path) -> None:
    for folder in ("specs", "connectors"):
        (tmp_path / folder).mkdir()
    (tmp_path / "connectors" / "signing.py").write_text("import no_such_module\n")
    (tmp_path / "specs" / "signed.yaml").write_text(
        "name: signed\nservers: {production: https://x.example}\nauth: {use: hmac}\n"
        "operations: {a.list: {get: /a, records: .}}\n"
    )
    with pytest.raises(SpecError) as caught:
        open_spec("signed", tmp_path)
    told = str(caught.value)
    assert "no kind of auth is called 'hmac'" in told
    assert "plug-in signing is not loaded" in told
    assert "No module named 'no_such_module'" in told


def test_a_brace_that_stands_alone_in_a_path_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    spec = 'name: b\nservers: {production: https://x.example}\noperations: {a.get: {get: "/v1/b/{id"}}\n'
    (tmp_path / "specs" / "b.yaml").write_text(spec)
    with pytest.raises(SpecError, match="a brace stands alone"):
        open_spec("b", tmp_path)
