"""What answers mean, and how patient we are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.answers import Answer, Undecodable, find, link_of, read_json
from connectory.messages import Headers, Response
from connectory.outcomes import OUTCOMES, compile_rules, conditions_hold, explain, judge, parse_statuses, retry_after
from connectory.plugins.kinds import Verdict
from connectory.retry import DEFAULT, Again, Stop, after_failure, after_throttle
from connectory.spec.language import Errors, Rule, StatusText
from connectory.spec.places import parse_path
from connectory.spec.words import Anything, Place, Regex, Test
from connectory.values.codecs import BUILT_IN


def equals(value: object) -> Test:
    return Test(in_=(Anything(value),))


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(Response(status, Headers(named), b"" if body is None else msgspec.json.encode(body)), body)


def meaning(got: Answer, *rules: Rule, does: str = "read", graphql: bool = False) -> Verdict:
    tables = [OUTCOMES[name] for name in (["graphql"] if graphql else []) + ["status"]]
    builtin = [lambda a, kind=kind: kind.judge(kind.options(), a) for kind in tables]
    return judge([*compile_rules(rules, OUTCOMES, BUILT_IN, does), *builtin], got)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (200, "ok"),
        (201, "ok"),
        (204, "ok"),
        (301, "failed"),
        (400, "rejected"),
        (401, "expired"),
        (402, "denied"),
        (403, "denied"),
        (404, "missing"),
        (407, "denied"),
        (408, "retry"),
        (409, "exists"),
        (410, "missing"),
        (413, "rejected"),
        (422, "rejected"),
        (425, "retry"),
        (429, "throttled"),
        (500, "retry"),
        (501, "failed"),
        (503, "retry"),
        (505, "failed"),
    ],
)
def test_the_built_in_table(status: int, word: str) -> None:
    assert meaning(answer(status)).word == word


def test_graphql_errors_inside_200_are_no_success() -> None:
    assert meaning(answer(200, {"data": None, "errors": [{"message": "x"}]}), graphql=True).word == "rejected"
    assert meaning(answer(200, {"data": {}, "errors": []}), graphql=True).word == "ok"


def test_the_first_rule_whose_conditions_all_hold_wins_and_may_be_for_writes_only() -> None:
    limited = Rule(
        is_="throttled",
        status=(StatusText("200"),),
        body={parse_path("errors.*.code"): equals("LIMIT")},
        wait=Place(body=(parse_path("errors.*.ms"),), factor=0.001),
    )
    writes = Rule(is_="rejected", status=(StatusText("5xx"),), does=("write",))
    hit = answer(200, {"errors": [{"code": "OTHER"}, {"code": "LIMIT", "ms": 1500}]})
    assert meaning(hit, limited, writes) == Verdict("throttled", wait=1.5)
    assert meaning(answer(500), limited, writes).word == "retry"
    assert meaning(answer(500), limited, writes, does="write").word == "rejected"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("soon", None),
        ("Fri, 20 Nov 2026 10:00:30 GMT", 30.0),
        ("Thu, 19 Nov 2026 10:00:00 GMT", 0.0),
        ("nan", None),
        ("", None),
    ],
)
def test_every_form_of_retry_after(header: str, seconds: float | None) -> None:
    """Dates are measured against the answer's own Date, so that clocks may disagree."""
    assert retry_after(answer(429, None, Retry_After=header, Date="Fri, 20 Nov 2026 10:00:00 GMT")) == seconds


def test_what_cannot_be_read_does_not_lack_what_a_rule_looks_for() -> None:
    gone = Rule(is_="missing", status=(StatusText("2xx"),), body={parse_path("data.0"): Test(exists=False)})
    assert meaning(answer(200, {"data": []}), gone).word == "missing"
    page = Answer(Response(200, Headers({}), b"<html>log in</html>"), None, "not JSON: an HTML page")
    assert meaning(page, gone).word == "ok"


def test_conditions_on_many_values_hold_if_any_does() -> None:
    body = {"errors": [{"code": "A"}, {"code": "B"}], "ok": True, "n": 5, "empty": []}
    for path, test, holds in [
        ("errors.*.code", equals("B"), True),
        ("errors.*.code", Test(not_in=(Anything("B"),)), False),
        ("ok", equals(True), True),
        ("ok", equals(1), False),
        ("n", Test(above=4), True),
        ("n", Test(above=5), False),
        ("empty", Test(exists=True), False),
        ("missing", Test(exists=False), True),
        ("missing", Test(matches=Regex(".")), False),
        ("errors.*.code", Test(matches=Regex("^[AB]$")), True),
    ]:
        assert conditions_hold({parse_path(path): test}, body) is holds, (path, test)


def test_the_vendors_words_come_from_the_first_place_that_has_any() -> None:
    errors = Errors(
        message=(Place(body=(parse_path("messages.*"),)), Place(body=(parse_path("error"),))),
        code=(Place(body=(parse_path("code"),)),),
        fields=Place(body=(parse_path("fields"),)),
    )
    said = explain(
        errors, answer(400, {"messages": ["a", "b"], "error": "c", "code": 7, "fields": {"price": "too low"}})
    )
    assert (said.words, said.code, str(said)) == ("a; b", "7", "a; b; price: too low")
    assert explain(errors, answer(400, {"error": "c"})).words == "c"
    several = {"name": [{"description": "too long", "error": "TooLong"}, {"description": "in use", "error": None}]}
    assert str(explain(errors, answer(422, {"error": "c", "fields": several}))) == "c; name: too long; TooLong; in use"


def test_where_a_vendor_only_names_the_fields_its_message_is_about_them() -> None:
    def told(body: Any, fields: str) -> str:
        errors = Errors(
            message=(Place(body=(parse_path("errors.*.message"), parse_path("error.message"))),),
            fields=Place(body=(parse_path(fields),)),
        )
        return str(explain(errors, answer(400, body)))

    one = {"error": {"message": "No such customer", "param": "customer"}}
    assert told(one, "error.param") == "customer: No such customer"
    assert told({"error": {"message": "No such customer"}}, "error.param") == "No such customer"
    each = {"errors": [{"field": "a", "message": "1"}, {"field": "b", "message": "2"}, {"field": "a", "message": "3"}]}
    assert told(each, "errors.*.field") == "a: 1; 3; b: 2"
    several = {"errors": [{"field": "title"}, {"field": "body"}], "error": {"message": "Validation Failed"}}
    assert told(several, "errors.*.field") == "title, body: Validation Failed"


def test_statuses() -> None:
    assert parse_statuses("5xx") == (500, 599)
    assert parse_statuses("400-404") == (400, 404)
    for wrong in ("6xx", "40", "404-400", "ok"):
        with pytest.raises(ValueError, match="no HTTP status"):
            parse_statuses(wrong)


@pytest.mark.parametrize(
    "body",
    [b"<html><body>Down</body></html>", b'{"a": NaN}', b'{"a": 1', b"\xff\xfe", b"[" * 100_000, b'{"a": 1} tail'],
)
def test_what_is_not_json_is_said_without_showing_the_body(body: bytes) -> None:
    with pytest.raises(Undecodable) as caught:
        read_json(body)
    assert "Down" not in str(caught.value)


def test_json_stays_exact() -> None:
    assert read_json(b'\xef\xbb\xbf{"id": 12345678901234567890123}') == {"id": 12345678901234567890123}
    assert str(read_json(b'{"p": 1.10}', exact=True)["p"]) == "1.10"


def test_link_headers() -> None:
    header = '<https://v/x?a=1,2&p=2>; rel="next prefetch"; title="a, b", </last>; rel=last'
    assert link_of(header, "next") == "https://v/x?a=1,2&p=2"
    assert link_of(header, "last") == "/last"
    assert link_of(header, "first") is None


def test_a_number_in_prose() -> None:
    place = Place(body=(parse_path("message"),), match=Regex("^([0-9]+)"))
    assert find(place, answer(201, {"message": "50 actions have been successfully ingested"})) == "50"


@given(st.integers(1, 7), st.floats(0, 0.999))
def test_after_a_429_without_a_time_the_pause_is_never_under_the_base(attempt: int, dice: float) -> None:
    decision = after_throttle(DEFAULT, attempt, None, lambda: dice, 0.0, 300.0)
    assert isinstance(decision, Again)
    assert decision.wait >= DEFAULT.base * 2 ** (attempt - 1)


def test_the_tries_after_429_outlast_a_minutes_window() -> None:
    waits = [after_throttle(DEFAULT, n, None, lambda: 0.0, 0.0, 300.0) for n in range(1, DEFAULT.throttled_tries)]
    assert sum(w.wait for w in waits if isinstance(w, Again)) > 60
    assert after_throttle(DEFAULT, DEFAULT.throttled_tries, None, lambda: 0.0, 0.0, 300.0) == Stop(None)


def test_a_named_time_is_kept_and_one_too_long_ends_the_call_at_once() -> None:
    assert after_throttle(DEFAULT, 1, 5.0, lambda: 0.0, 100.0, 300.0) == Again(5.0)
    assert after_throttle(DEFAULT, 1, 864_000.0, lambda: 0.0, 100.0, 300.0) == Stop(864_100.0)


@given(st.integers(1, 3), st.floats(0, 0.999))
def test_after_a_failure_the_pause_grows_with_full_jitter_up_to_a_cap(attempt: int, dice: float) -> None:
    decision = after_failure(DEFAULT, attempt, None, lambda: dice, 300.0)
    assert isinstance(decision, Again)
    assert 0 <= decision.wait <= min(DEFAULT.cap, 2.0**attempt)
