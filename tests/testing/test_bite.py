"""The tests of the shipped specs bite: of the mistakes planted in a spec, they notice nearly all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from connectory.testing.audits.mutation import Subject, hunt_of, judge
from connectory.testing.audits.verdicts import Found

ROOT = Path(__file__).resolve().parents[2]
VENDORS = ("12build", "12traits", "12twenty", "twenty")
SAMPLE = 120
WANTED = 90.0  # per cent of a sample; of all mistakes docs/mutation.md tells more


@pytest.mark.mutation
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("vendor", VENDORS)
def test_the_tests_of_a_spec_notice_the_mistakes_planted_in_it(vendor: str) -> None:
    subject = Subject(vendor, ROOT, ROOT / "cassettes")
    hunt = hunt_of(subject)
    assert list(hunt.failing()) == []
    numbers = sorted(random.Random(0).sample(range(len(hunt.mutants)), SAMPLE))
    found = Found(vendor, str(hunt.source.file), list(judge(subject, numbers)))
    survived = "\n".join(f"{one.line} {one.key}" for one in found.survivors)
    assert found.share >= WANTED, f"{found.summary()}\n{survived}"
