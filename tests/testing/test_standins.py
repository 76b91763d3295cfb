"""Stand-ins for personal values: stable, of the same shape, and the same wherever the value occurs."""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectory.connecting import load_registry
from connectory.spec.language import Spec
from connectory.spec.load import load_spec
from connectory.testing.recorded.standins import StandIns, stand_in
from spec.loading import load_text

SPEC = """\
name: acme
settings: {api_key: secret!}
servers: {production: "https://acme.example"}
auth: {bearer: "{{ api_key }}"}
operations:
  people.list:
    get: /people
    query: {email: str personal, sortBy: str, bornAfter: {type: date, personal: true, as: born}}
    records: rows
    returns: Person
    examples: [{answer: {rows: [{id: 1}]}}]
  people.get: {get: "/people/{email}", path: {email: str personal}, returns: Person}
  firms.list: {get: /firms, records: ., returns: Firm, examples: [{answer: [{name: x}]}]}
types:
  Person:
    id: int key
    name: Name
    email: str personal
    born: date personal
    phones: list of Phone
    tags: list of str personal
    by: Actor
    "*": any
  Name: {first: str personal, last: str personal}
  Phone: {number: str personal, kind: one of work | home}
  Firm: {name: str, by: Actor, "*": any}
  Actor: {name: str personal, source: str}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return load_text(load_registry(None), tmp_path_factory.mktemp("acme"), SPEC).spec


def shape(text: str) -> str:
    """A text with each letter and digit told by its kind only."""

    def kind(letter: str) -> str:
        if letter.isdigit():
            return "0"
        if not letter.isalpha():
            return letter
        return "A" if letter.isupper() else "a" if letter.lower() != letter.upper() else "x"

    return "".join(map(kind, text))


@pytest.mark.parametrize(
    ("value", "pattern"),
    [
        ("homer.simpson@springfield.edu", r"\w{5}\.\w{7}\.[0-9a-f]{4}@example\.com"),
        ("+31 6 1234 5678", r"\+\d\d \d \d{4} \d{4}"),
        ("06-12345678", r"0\d-\d{8}"),
        ("Homer Simpson", r"[A-Z][a-z]{4} [A-Z][a-z]{6}"),
        ("742 Evergreen Terrace", r"\d{3} [A-Z][a-z]{8} [A-Z][a-z]{6}"),
        ("1987-03-12", r"(19[5-9]|200)\d-(0[1-9]|1[0-2])-(0[1-9]|1[0-2])"),
        ("12.03.1987", r"(0[1-9]|1[0-2])\.(0[1-9]|1[0-2])\.(19[5-9]|200)\d"),
        ("1987-03-12T18:25:43.123Z", r"\d{4}-\d\d-\d\dT[0-2]\d:[0-5]\d:[0-5]\d\.123Z"),
        ("https://www.linkedin.com/in/homer-s", r"https://example\.com/\w\w/\w{5}-\w"),
        ("https://cdn.example/homer.jpeg?v=12", r"https://example\.com/\w{5}\.\w{4}\?\w=\d\d"),
        ("https://cdn.example/homer.jpeg", r"https://example\.com/\w{5}\.jpeg"),
        ('[{"type":"text","text":"Homer"}]', r'\[\{"type":"\w{4}","text":"[A-Z]\w{4}"\}\]'),
    ],
)
def test_a_stand_in_has_the_shape_of_its_value(value: str, pattern: str) -> None:
    assert re.fullmatch(pattern, stand_in(value)), stand_in(value)
    assert stand_in(value) != value


def test_stand_ins_never_change_since_cassettes_hold_them() -> None:
    assert stand_in("Homer Simpson") == "Ulezo Pakomur"
    assert stand_in("homer@x.example") == "ulezo.dcf0@example.com"
    assert stand_in("1987-03-12") == "1963-06-05"
    assert stand_in(5551234) == 1604443


@given(st.text())
@example("ßﬁİ李 ó")
def test_a_text_without_special_form_keeps_its_length_and_kinds_of_letters(text: str) -> None:
    if re.search(r"[@\[{]|://|\d[-/.]", text):
        return
    assert len(stand_in(text)) == len(text)
    assert [letter.isalnum() for letter in stand_in(text)] == [letter.isalnum() for letter in text]
    if text.isascii():
        assert shape(stand_in(text)) == shape(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def outline(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: outline(inner) for key, inner in value.items()}
    return [outline(item) for item in value] if isinstance(value, list) else type(value)


@given(json_values)
def test_lists_objects_and_nulls_keep_their_outline(value: Any) -> None:
    assert outline(stand_in(value)) == outline(value)
    assert stand_in(value) == stand_in(json.loads(json.dumps(value)))


def test_numbers_keep_their_digits_and_their_kind() -> None:
    assert [stand_in(value) for value in (5551234, -1.5, Decimal("-1.50"), 0, 1e300)] == [
        *(1604443, -3.3, Decimal("-3.87"), 0, 1e300)
    ]


def test_a_full_name_and_an_address_fit_the_names_they_are_made_of() -> None:
    first, last = stand_in("Homer"), stand_in("Simpson")
    assert stand_in("Homer Simpson") == f"{first} {last}"
    assert stand_in("SIMPSON, Homer") == f"{last.upper()}, {first}"
    assert stand_in("homer.simpson@x.example").startswith(f"{first}.{last}.".lower())


def test_addresses_that_differ_in_their_host_alone_stay_apart() -> None:
    assert stand_in("homer@a.example") != stand_in("homer@b.example")
    assert stand_in("Homer@A.example").lower() == stand_in("homer@a.example").lower()


def test_prose_does_not_tell_its_words_by_how_often_they_stand_there() -> None:
    words = stand_in("the cat and the dog and the bird").split()
    assert len({words[0], words[3], words[6]}) == 3
    assert stand_in("the cat").split()[0] == stand_in("the dog").split()[0]


PERSON = {
    "id": 7,
    "name": {"first": "Homer", "last": "Simpson"},
    "email": "homer@springfield.example",
    "phones": [{"number": "555-7334", "kind": "home"}],
    "tags": ["Bowling", "Donuts"],
    "by": {"name": "Marge", "source": "MANUAL"},
    "firm": {"name": "Globex", "by": {"name": "Hank Scorpio", "source": "IMPORT"}},
    "born": None,
}


def test_only_what_is_marked_is_replaced_at_any_depth(spec: Spec) -> None:
    stands = StandIns(spec, ["people.list"])
    answer = {"rows": [PERSON], "total": 1}
    stands.learn(answer)
    assert stands.replace(answer) == {
        "rows": [
            {
                "id": 7,
                "name": {"first": stand_in("Homer"), "last": stand_in("Simpson")},
                "email": stand_in("homer@springfield.example"),
                "phones": [{"number": stand_in("555-7334"), "kind": "home"}],
                "tags": [stand_in("Bowling"), stand_in("Donuts")],
                "by": {"name": stand_in("Marge"), "source": "MANUAL"},
                # A relation that comes along undeclared: its own names are not known, but those of its parts are.
                "firm": {"name": "Globex", "by": {"name": stand_in("Hank Scorpio"), "source": "IMPORT"}},
                "born": None,
            }
        ],
        "total": 1,
    }


def test_a_name_means_what_the_operations_own_type_says(spec: Spec) -> None:
    firm = {"name": "Globex", "by": {"name": "Hank"}}
    assert StandIns(spec, ["firms.list"]).replace([firm]) == [{"name": "Globex", "by": {"name": stand_in("Hank")}}]


@pytest.fixture
def stands(spec: Spec) -> StandIns:
    found = StandIns(spec, ["people.list", "people.get"])
    found.learn({"rows": [PERSON]})
    return found


EMAIL = stand_in("homer@springfield.example")


def test_a_value_is_replaced_where_it_occurs_again(stands: StandIns) -> None:
    assert stands.replace({"filter": 'email[eq]:"homer@springfield.example"'}) == {"filter": f'email[eq]:"{EMAIL}"'}
    assert stands.replace({"homer@springfield.example": 1}) == {EMAIL: 1}
    assert stands.replace_text("no Homer@there, but Homer here; Homers stay") == (
        f"no {stand_in('Homer')}@there, but {stand_in('Homer')} here; Homers stay"
    )


@pytest.mark.parametrize("at", ["/people/{}", "/people?filter={}", "/people?a=1&q=x%20{}&b=%2f"])
def test_a_value_is_replaced_in_addresses_and_the_rest_stays_as_written(stands: StandIns, at: str) -> None:
    url = "https://acme.example:8443" + at.format(quote("homer@springfield.example", safe=""))
    replaced = stands.replace_url(url)
    assert quote(EMAIL, safe="") in replaced
    assert "springfield" not in replaced
    assert stands.replace_url(f"https://acme.example{at}") == f"https://acme.example{at}"


def test_a_personal_parameter_is_replaced_without_having_been_seen(spec: Spec) -> None:
    stands = StandIns(spec, ["people.list"])
    assert stands.replace_url("https://acme.example/people?email=a%40b.example&sortBy=email") == (
        f"https://acme.example/people?email={quote(stand_in('a@b.example'), safe='')}&sortBy=email"
    )
    assert stands.replace({"born": "1987-03-12"}) == {"born": stand_in("1987-03-12")}


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("last", ["Simpson", "Simpson>>>???"])
def test_a_value_inside_a_cursor_is_replaced(stands: StandIns, encode: Any, last: str) -> None:
    cursor = encode(json.dumps({"last": last, "id": 7}).encode()).decode()
    replaced = stands.replace({"endCursor": cursor, "next": f"/people?after={cursor}"})
    decoded = json.loads(base64.urlsafe_b64decode(replaced["endCursor"].translate(str.maketrans("+/", "-_"))))
    assert decoded == {"last": last.replace("Simpson", stand_in("Simpson")), "id": 7}
    assert replaced["next"].endswith(replaced["endCursor"])
    untouched = encode(json.dumps({"last": "Nobody", "id": 7}).encode()).decode()
    assert stands.replace_text(untouched) == untouched


def test_short_values_and_the_vendors_own_words_are_left_alone(spec: Spec) -> None:
    stands = StandIns(spec, ["people.list"])
    stands.learn({"name": {"first": "Al", "last": "email"}})
    assert stands.replace({"Al": "Al", "email": None, "total": 12}) == {"Al": "Al", "email": None, "total": 12}


@given(values=st.lists(st.text(min_size=4), max_size=5), rest=json_values)
def test_nothing_personal_that_was_noted_is_left(spec: Spec, values: list[str], rest: Any) -> None:
    stands = StandIns(spec, ["people.list"])
    data = {"rows": [{"email": value} for value in values], "again": values, "rest": rest}
    stands.learn(data)
    replaced = stands.replace(data)
    assert [row["email"] for row in replaced["rows"]] == replaced["again"] == [stand_in(value) for value in values]


VENDORS = ("12build", "12traits", "12twenty", "twenty")


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_the_shipped_specs_call_by_a_persons_words_is_marked(vendor: str) -> None:
    telling = re.compile(r"(first|last|middle|full|owner|creator)_?name|e?mail|phone|fax|birth|street|postcode", re.I)
    holds_parts = re.compile(r"Code$|^(emails|phones|additionalPhones)$")
    types = load_spec(load_registry(None), vendor).spec.types
    told = {
        f"{name}.{wire}"
        for name, fields in types.items()
        for wire, field in fields.items()
        if telling.search(wire) and not field.personal and not holds_parts.search(wire)
    }
    assert not told
