"""A vendor whose requests are signed, by its spec and the plug-in that the documentation shows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from connectory import ArgumentError, Connector, Denied, Missing, Rejected, SpecError
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from vendors.calling import Call, Sent, assert_sent, lies_in, run
from vendors.conftest import Cli, Meet
from vendors.kontor.server import KEY, SECRET, Kontor

PAGE = Path(__file__).parents[3] / "docs" / "extending.md"
HEADERS = {"X-Api-Key": KEY, "Host": "api.kontor.example"}
ORDER = {"symbol": "BTC-EUR", "amount": Decimal("0.10")}


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Kontor]:
    with Kontor(clock=clock) as running:
        running.add_orders(250)
        yield running


@pytest.fixture
def kontor(vendor: Kontor, meet: Meet) -> Connector:
    return meet(vendor.url, api_key=KEY, api_secret=SECRET)


CALLS = {
    "orders.list": Call({"status": "no such one"}, [Sent("GET /v1/orders?status=no such one&offset=0&limit=100")]),
    "orders.get": Call({"id": "o-7"}, [Sent("GET /v1/orders/o-7", headers=HEADERS)]),
    "orders.create": Call(
        ORDER,
        [Sent("POST /v1/orders", {"symbol": "BTC-EUR", "amount": 0.10, "clientOrderId": ANY}, headers=HEADERS)],
    ),
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_is_sent_signed(kontor: Connector, vendor: Kontor, operation: str) -> None:
    run(kontor, operation, CALLS[operation].given)
    assert_sent(vendor.requests(), CALLS[operation].sends)


def test_all_operations_are_called(project: Path) -> None:
    assert set(CALLS) == set(open_spec("kontor", project).spec.operations)


def test_a_list_is_read_to_its_end_each_page_signed_for_itself(kontor: Connector, vendor: Kontor) -> None:
    orders = list(kontor.orders.list(status="open"))
    assert [order["id"] for order in orders] == [f"o-{number}" for number in range(1, 251)]
    assert (orders[0]["amount"], orders[0]["createdAt"].isoformat()) == (Decimal("0.001"), "2027-01-15T08:00:00+00:00")
    assert [exchange.argument("offset") for exchange in vendor.requests()] == ["0", "100", "200"]
    assert len({exchange.header("X-Signature") for exchange in vendor.requests()}) == 3


def test_one_order_is_the_same_as_in_the_list(kontor: Connector) -> None:
    assert kontor.orders.get(id="o-1") == next(iter(kontor.orders.list()))


def test_what_is_sent_again_is_signed_anew(kontor: Connector, vendor: Kontor, clock: ManualClock) -> None:
    vendor.throttled, vendor.skewed = 1, 1
    assert len(list(kontor.orders.list())) == 250
    sent = vendor.requests()
    assert [exchange.status for exchange in sent] == [429, 401, 200, 200, 200]
    assert len({exchange.header("X-Signature") for exchange in sent}) == 5
    assert len({exchange.header("X-Timestamp") for exchange in sent[:3]}) == 3
    assert clock.slept[0] >= 1


def test_the_keys_rate_is_kept_and_used(kontor: Connector, vendor: Kontor, clock: ManualClock) -> None:
    for _ in range(35):
        kontor.orders.get(id="o-7")
    assert {exchange.status for exchange in vendor.requests()} == {200}
    assert 2.9 <= sum(clock.slept) <= 3.5


def test_a_time_that_leaves_the_window_in_mid_list_costs_a_try(kontor: Connector, vendor: Kontor) -> None:
    orders = iter(kontor.orders.list())
    first = next(orders)
    vendor.skewed = 1
    assert [first["id"], *(order["id"] for order in orders)] == [f"o-{number}" for number in range(1, 251)]
    assert [exchange.status for exchange in vendor.requests()] == [200, 401, 200, 200]


def test_a_write_whose_answer_is_lost_is_done_once(kontor: Connector, vendor: Kontor) -> None:
    vendor.drop(match="POST", after_applying=True)
    made = kontor.orders.create(**ORDER)
    assert [order["id"] for order in vendor.orders[250:]] == [made["id"]]
    assert (len(vendor.requests("POST")), made["amount"]) == (2, Decimal("0.10"))
    assert kontor.orders.create(**ORDER)["id"] != made["id"]


def test_refusals_are_told_in_the_vendors_words(kontor: Connector, vendor: Kontor, meet: Meet) -> None:
    with pytest.raises(Rejected, match="amount: is more than you hold") as caught:
        kontor.orders.create(**{**ORDER, "amount": "1000.01"})
    assert caught.value.code == "INSUFFICIENT_FUNDS"
    with pytest.raises(ArgumentError, match="symbol"):
        kontor.orders.create(amount="1")
    with pytest.raises(Missing, match="There is no such order"):
        kontor.orders.get(id="o-0")
    with pytest.raises(Denied, match="The signature does not fit") as denied:
        meet(vendor.url, api_key=KEY, api_secret="another-secret").orders.get(id="o-7")
    assert "another-secret" not in str(denied.value)


@pytest.mark.parametrize(
    ("options", "signs"),
    [
        ("  digest: sha512\n  encode: base64\n  message: [body, timestamp]\n", ("body", "timestamp")),
        ("  timestamp: null\n  message: [method, target]\n", ("method", "target")),
    ],
)
def test_other_ways_of_signing_are_options(
    vendor: Kontor, meet: Meet, project: Path, options: str, signs: tuple[str, ...]
) -> None:
    respell(project, r"  (message|digest|encode): .*\n", "")
    respell(project, "  timestamp: X-Timestamp\n" if "null" in options else "^$", "")
    respell(project, "  signature", options.replace("  timestamp: null\n", "") + "  signature")
    with pytest.raises(Denied if "null" not in options else Rejected):
        run(meet(vendor.url, api_key=KEY, api_secret=SECRET), "orders.create", ORDER)
    (sent,) = vendor.requests()
    held: dict[str, Any] = {"timestamp": sent.header("X-Timestamp"), "body": sent.body.decode()}
    held |= {"method": "POST", "target": "/v1/orders"}
    signed = "".join(held[part] for part in signs).encode()
    mac = hmac.new(SECRET.encode(), signed, hashlib.sha512 if "sha512" in options else hashlib.sha256).digest()
    assert sent.header("X-Signature") == (base64.b64encode(mac).decode() if "base64" in options else mac.hex())


def test_a_file_is_signed_as_it_is_sent(vendor: Kontor, meet: Meet, project: Path, tmp_path: Path) -> None:
    upload = "documents.upload: {post: /v1/documents, wire: {body: multipart}, fields: {file: file!}}"
    respell(project, "operations:\n", f"operations:\n  {upload}\n")
    (tmp_path / "proof.pdf").write_bytes(b"%PDF" + bytes(range(256)) * 1000)
    with pytest.raises(Missing, match="No such call"):  # said behind the look at the signature
        meet(vendor.url, api_key=KEY, api_secret=SECRET).documents.upload(file=tmp_path / "proof.pdf")


def respell(project: Path, pattern: str, by: str) -> None:
    spec = project / "specs" / "kontor.yaml"
    spec.write_text(re.sub(pattern, by, spec.read_text()))


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("digest", "digst", r"kontor\.yaml:9:3 /auth/digst: unknown key 'digst'; did you mean 'digest'"),
        ("sha256", "sha521", r"kontor\.yaml:9:11 /auth/digest.*sha512"),
        ("method", "methd", r"kontor\.yaml:8:24 /auth/message/1.*method"),
        ("api_secret }}", "api_secrt }}", r"kontor\.yaml:7:11 /auth/secret.*api_secret"),
    ],
)
def test_a_misspelt_option_is_a_fault_with_its_place(project: Path, right: str, wrong: str, told: str) -> None:
    respell(project, re.escape(right), wrong)
    with pytest.raises(SpecError, match=told):
        open_spec("kontor", project)


def test_the_documentation_shows_this_plugin(project: Path) -> None:
    plugin = (lies_in("kontor") / "hmac_plugin.py").read_text()
    assert len(plugin.splitlines()) < 40
    page = PAGE.read_text()
    assert f"```python\n{plugin}```" in page
    shown = "".join(re.findall(r"```yaml\n(auth:\n.*?)```", page, re.DOTALL))
    assert shown in (lies_in("kontor") / "spec.yaml").read_text()
    assert shown
    respell(project, "digest: sha256", "digst: sha512")
    with pytest.raises(SpecError) as caught:
        open_spec("kontor", project)
    assert "specs/" + str(caught.value).split("specs/")[-1] in page


def test_the_command_line_calls_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with Kontor() as vendor:
        vendor.add_orders(2)
        for name, value in (("SERVER", vendor.url), ("API_KEY", KEY), ("API_SECRET", SECRET)):
            monkeypatch.setenv(f"CONNECTORY_KONTOR_{name}", value)
        assert "0 faults" in cli("check").output
        assert '"o-2"' in cli("call", "kontor", "orders.get", "id=o-2", "--output", "jsonl").stdout
