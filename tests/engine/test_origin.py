"""The last guard of a credential: whatever made a request, it is signed for the vendor's own origins only."""

from __future__ import annotations

import pytest

from connectory import Failed, Parts, Request, connect
from connectory.clock import ManualClock
from connectory.limits.memory import MemoryLedger
from emulators.twelvetraits import TwelveTraits


def test_a_request_to_another_origin_is_neither_signed_nor_sent() -> None:
    clock = ManualClock()
    parts = Parts(clock=clock, ledger=MemoryLedger(clock), environ={})
    with TwelveTraits(clock=clock) as vendor:
        with connect("12traits", api_key=vendor.api_key, server=vendor.url, parts=parts) as connector:
            engine = connector.engine
            elsewhere = Request("GET", vendor.url.replace("127.0.0.1", "localhost") + "/v1/assessment")
            with pytest.raises(Failed, match="credentials are not sent there"):
                engine.line.exchange(engine.purpose(engine.plan("assessment.get")), elsewhere)
        assert vendor.exchanges == []
