"""`connectory show`, and the descriptions that `help()` prints as well."""

from __future__ import annotations

import pydoc
import re
from pathlib import Path

import pytest

from commands.conftest import Cli
from commands.shop import Shop
from connectory import connect
from connectory.answers import Answer
from connectory.describe.facts import STATUS_TABLE
from connectory.messages import Headers, Response
from connectory.outcomes import judge_status, parse_statuses
from connectory.plugins.kinds import NoOptions


def section(text: str, title: str) -> str:
    """The lines below one heading, as one line."""
    found = re.search(rf"^{re.escape(title)}\n((?:  .*\n?)+)", text, re.MULTILINE)
    assert found, f"no section {title}"
    return " ".join(found[1].split())


def test_a_vendor_is_shown_with_everything_that_can_be_called(cli: Cli, project: Path) -> None:
    text = cli("show", "shop").stdout
    assert text.startswith("shop: Customers and orders of a shop\n")
    assert (
        "api_key secret! CONNECTORY_SHOP_API_KEY key of a till; obtained: the shop's back office shows it"
        in section(text, "Settings")
    )
    assert "branch str CONNECTORY_SHOP_BRANCH which shop; default main; must match [a-z]+; e.g. north" in section(
        text, "Settings"
    )
    assert "https://{{ branch }}.shop.example (default)" in section(text, "Servers")
    assert "calls 1,000 a minute; 1 request at a time" in section(text, "Limits")
    operations = section(text, "Operations")
    assert "customers.delete DELETE /v1/customers/{id} destroys: Deletes a customer, for ever" in operations
    assert "limits/calls the back office was asked by telephone" in section(
        text, "Assumed (not documented by the vendor)"
    )


def test_a_list_is_shown_like_good_documentation(cli: Cli, project: Path) -> None:
    text = cli("show", "shop", "customers.list").stdout
    assert "GET https://{{ branch }}.shop.example/v1/customers" in text
    assert "Reads; sent again after a failure." in text
    assert "connectory call shop customers.list status=active" in section(text, "Call")
    assert "connector.customers.list(status='active')" in section(text, "Call")
    arguments = section(text, "Arguments")
    assert "status one of active | closed only these [query]" in arguments
    assert "kind int one of 1 | 2 1 private, 2 company [query]" in arguments
    assert "vip bool default false [query]" in arguments
    assert "since date e.g. 2026-05-20 [query]" in arguments
    assert section(text, "Paging").startswith(
        "page number, 3 records a page; the vendor's total at total; another number in the end is an error"
    )
    assert "asks customers.get for each record (id from id)" in section(text, "Detail")
    assert "name str!" in section(text, "Type Customer, open: the vendor's further fields pass through")
    assert '{"status": "active"}' in section(text, "Examples")


def test_a_batch_is_shown_with_its_results(cli: Cli, project: Path) -> None:
    text = cli("show", "shop", "orders.upsert").stdout
    assert "items list of Order! what to send" in section(text, "Arguments")
    assert section(text, "Batch") == "Up to 2 items a call, item by item."
    assert (
        section(text, "Results") == "One result for each item in results, found by number; delivered where ok is true."
    )
    assert "--data @items.jsonl" in section(text, "Call")
    assert "amount decimal! at least 0" in section(text, "Type Order")
    assert "operations/orders.upsert https://shop.example/docs/orders" in section(text, "Sources")


@pytest.mark.parametrize(
    ("operation", "title", "words"),
    [
        (
            "orders.of_customer",
            "Parent",
            "calls it once for each record of customers.list (id from id). Each record also holds customer",
        ),
        ("customers.replace", "Gives", "It is first read by customers.get"),
        ("pictures.upload", "Outcomes", "status 202 accepted: the vendor has queued it"),
        ("pictures.upload", "Call", "file=@p.png"),
        ("customers.create", "Outcomes", "status 408, 425, 5xx unknown: it may have been done"),
        ("customers.get", "Outcomes", "status 408, 425, 5xx tried again, with growing pauses"),
        ("audits.run", "Limits", "rare 1 a day"),
        ("audits.run", "Assumed (not documented by the vendor)", "operations/audits.run nobody knows what it answers"),
        ("pictures.get", "Gives", "The answer, as bytes."),
    ],
)
def test_what_is_particular_to_an_operation_is_said(
    cli: Cli, project: Path, operation: str, title: str, words: str
) -> None:
    assert words in section(cli("show", "shop", operation).stdout, title)


def test_a_call_that_destroys_says_so(cli: Cli, project: Path) -> None:
    text = cli("show", "shop", "customers.delete").stdout
    assert "Destroys; sent again after a failure; the command asks first, or needs --yes." in text
    assert "id=1 --yes" in section(text, "Call")


def test_no_line_runs_over_but_those_to_be_copied(cli: Cli, project: Path) -> None:
    for operation in ("customers.list", "orders.upsert", "customers.create"):
        assert max(map(len, cli("show", "shop", operation).stdout.splitlines())) <= 110


def test_the_nearest_right_name_is_offered(cli: Cli, project: Path) -> None:
    assert "did you mean 'customers.list'?" in cli("show", "shop", "customer.list").stderr
    wrong = cli("show", "shp")
    assert (wrong.exit_code, "did you mean 'shop'?" in wrong.stderr) == (2, True)


def test_help_in_python_says_the_same(cli: Cli, shop: Shop, project: Path) -> None:
    with connect("shop", project=project) as connector:
        told = pydoc.plain(pydoc.render_doc(connector.customers.list))
        shown = cli("show", "shop", "customers.list").stdout
        assert connector.customers.list.__doc__ == shown.rstrip("\n")
    assert "Customers, page by page." in told


def test_the_table_of_statuses_is_what_the_engine_does() -> None:
    def said(status: int) -> str:
        exact = [(text.split(", "), word) for text, word in STATUS_TABLE]
        for texts, word in sorted(exact, key=lambda row: any(text.endswith("xx") for text in row[0])):
            for text in texts:
                low, high = parse_statuses(text)
                if low <= status <= high and (low == high or not specific(status)):
                    return word
        return "failed"

    def specific(status: int) -> bool:
        return any(str(status) in text.split(", ") for text, _ in STATUS_TABLE)

    for status in range(200, 600):
        if status // 100 != 3:
            assert said(status) == judge_status(NoOptions(), Answer(Response(status, Headers(), b""), None)).word, (
                status
            )
