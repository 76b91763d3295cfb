"""A spec takes no more lines for each operation than the language was designed to need."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectory.connecting import open_spec
from vendors.calling import VENDORS, lies_in, write_project

# Lines and operations of the specs by which the language was designed.
DESIGNED = {
    "amazon_sp": (40, 5),
    "github": (47, 5),
    "hubspot": (47, 12),
    "jira": (31, 5),
    "kontor": (22, 2),
    "mailchimp": (35, 4),
    "notion": (41, 6),
    "salesforce": (59, 11),
    "shopify": (46, 2),
    "slack": (42, 4),
    "stripe": (36, 6),
    "zendesk": (51, 7),
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_spec_is_as_short_as_it_was_designed(vendor: str, tmp_path: Path) -> None:
    text = (lies_in(vendor) / "spec.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    write_project(lies_in(vendor), tmp_path)
    (spec,) = (tmp_path / "specs").iterdir()
    operations = open_spec(spec.stem, tmp_path).spec.operations
    designed_lines, designed_operations = DESIGNED[vendor]
    assert len(lines) / len(operations) <= designed_lines / designed_operations
