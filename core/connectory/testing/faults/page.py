"""The page of faults, made from the table that the tests assert."""

from __future__ import annotations

from typing import Final

from connectory.testing.faults.table import TROUBLES


def faults_page() -> str:
    """The page docs/faults.md."""
    lines = [_HEAD]
    for trouble in TROUBLES:
        lines += [f"## {trouble.name}", "", f"What happens: {trouble.about}. Where: {trouble.on}.", ""]
        lines += ["| where | what the call gives | |", "| --- | --- | --- |"]
        for number, promise in enumerate(trouble.promises):
            when = promise.when or ("everywhere" if number == 0 else "everywhere else")
            lines.append(f"| {when} | {promise.gives} | {promise.says} |")
        lines.append("")
    return "\n".join(lines)


_HEAD: Final = """\
# What follows when a vendor fails

Every spec is tested against these faults without a word of Python: `pytest` serves the vendor from its spec alone (as
`connectory mock` does), lets one thing go wrong, makes the call with the real client over a real socket, and compares
what it gives with this page. A test is named `specs/acme.yaml::orders.list[fault: 429 with a date]`. This page is made
from the table that the tests assert.

Which faults an operation meets follows from the spec: whether it is paged, behind a token, a batch, a write, whether it
may be sent twice. Lists are made to have three pages and more; batches have five items, or as many as a call takes.
Operations that are alike in all of this (a family may have hundreds) are tested by the first of them. No test waits:
clocks are moved by hand.

What a call gives: *the same* is what it gives when nothing goes wrong, and what the vendor holds afterwards is the same
too; *bad rejected* means that exactly the bad items are rejected and the others delivered. The rest are the names of
errors and of words in the accounting.
"""
