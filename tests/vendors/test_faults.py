"""The faults that every spec must survive, for vendors that are not shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectory.connecting import load_registry, open_spec
from connectory.testing.faults.cases import fault_cases, run_fault_case
from vendors.calling import VENDORS, lies_in, write_project


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_spec_keeps_what_is_promised_of_every_fault(vendor: str, tmp_path: Path) -> None:
    write_project(lies_in(vendor), tmp_path)
    (spec,) = (tmp_path / "specs").iterdir()
    registry, loaded = load_registry(tmp_path), open_spec(spec.stem, tmp_path)
    broken = [fault for case in fault_cases(registry, loaded) for fault in run_fault_case(registry, loaded, case)]
    assert not broken, "\n".join(map(str, broken))
