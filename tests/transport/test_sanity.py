"""What cannot or may not be sent is refused before a byte of it is, and the message keeps the secret."""

from __future__ import annotations

from typing import Any

import pytest

from connectory.errors import InputError
from connectory.messages import Headers, Request, Response
from connectory.transport.client import UrllibTransport
from connectory.transport.failures import TransportFailure
from connectory.transport.options import TransportOptions
from connectory.transport.redirects import follow
from connectory.transport.sanity import is_loopback

CANARY = "s3cr3tcanary"


def refusal(request: Request, options: TransportOptions | None = None) -> str:
    with pytest.raises(InputError) as caught:
        UrllibTransport(options).send(request)
    assert caught.value.exit_code == 2
    assert CANARY not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("host", ["api.vendor.invalid", "127.0.0.1.vendor.invalid", "2130706433", "localhost.invalid"])
def test_plain_http_is_for_this_machine_only(host: str) -> None:
    assert f"http://{host}" in refusal(Request("GET", f"http://{host}/v1", (("key", CANARY),)))


def test_a_setting_allows_plain_http() -> None:
    with pytest.raises(TransportFailure, match="does not resolve"):
        UrllibTransport(TransportOptions(allow_http=True)).send(Request("GET", "http://api.vendor.invalid"))


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("[::1]", True),
        ("128.0.0.1", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("localhost.example", False),
        ("::ffff:10.0.0.1", False),
        ("", False),
    ],
)
def test_what_is_this_machine(host: str, own: bool) -> None:
    assert is_loopback(host) is own


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/v1/people",
        "api.vendor.invalid/v1",
        "file:///etc/passwd",
        "ftp://api.vendor.invalid",
        "https://",
        "https:///v1",
        "https://api.vendor.invalid:port/",
        "https://api.vendor.invalid:99999/",
        "https://[::1/",
        f"https://user:{CANARY}@api.vendor.invalid/",
        "https://api.vendor.invalid\\@other.invalid/",
        "https://other.invalid\\.vendor.invalid/",
        "https://b\xfccher.invalid/",
        f"https://{'a' * 64}.invalid/",
        f"https://api.vendor.invalid/a\r\nX-Evil: {CANARY}",
        f"https://api.vendor.invalid/a\tb?{CANARY}",
        f"https://api.vendor.invalid/a?{CANARY}\x00",
        "https://api.vendor.invalid/v1/../admin",
        "https://api.vendor.invalid/v1/%2e%2E/admin",
        "https://api.vendor.invalid/v1/./x",
        "https://api.vendor.invalid/v1/..\\admin",
    ],
)
def test_a_url_that_is_none_or_could_be_two_is_refused(url: str) -> None:
    refusal(Request("GET", url))


def test_dots_within_names_and_queries_are_fine() -> None:
    request = Request("GET", "https://api.vendor.invalid/v1.0/..a/x..y/...", (("next", "../x"),))
    with pytest.raises(TransportFailure, match="does not resolve"):
        UrllibTransport().send(request)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("X-Key", f"{CANARY}\r\nX-Evil: 1", "'X-Key' holds a line break"),
        ("X-Key", f"{CANARY}\n", "'X-Key' holds a line break"),
        ("X-Key", f"{CANARY}\n folded", "'X-Key' holds a line break"),
        ("X-Key", f"{CANARY}\x00", "'X-Key' holds a line break"),
        ("X-Key", f" {CANARY}", "'X-Key' begins or ends with a space"),
        ("X-Key", f"{CANARY}\u20ac", "'X-Key' has characters that no header can carry"),
        ("X Key", CANARY, "'X Key' cannot be the name of a header"),
        ("X-Key:", CANARY, "cannot be the name"),
        ("", CANARY, "cannot be the name"),
        ("X-K\xe9y", CANARY, "cannot be the name"),
        ("Content-Length", "3", "'Content-Length' is the transport's own"),
        ("transfer-encoding", "chunked", "'transfer-encoding' is the transport's own"),
    ],
)
def test_a_header_that_cannot_be_sent_is_named(name: str, value: str, words: str) -> None:
    assert words in refusal(Request("GET", "https://api.vendor.invalid", (), {name: value}))


@pytest.mark.parametrize("method", ["", "GET /evil", "GET\r\n", "G\xcbT"])
def test_a_method_is_one_word(method: str) -> None:
    assert "method" in refusal(Request(method, "https://api.vendor.invalid"))


def test_a_user_agent_is_checked_where_it_is_set() -> None:
    with pytest.raises(InputError, match="'User-Agent' holds a line break"):
        UrllibTransport(TransportOptions(user_agent="a\nb"))


@pytest.mark.parametrize(
    "field", ["connect_timeout", "read_timeout", "deadline", "max_bytes", "max_ratio", "pool_size"]
)
def test_bounds_are_above_zero(field: str) -> None:
    settings: dict[str, Any] = {field: 0}
    with pytest.raises(ValueError, match=field):
        TransportOptions(**settings)


HERE = Request("GET", "https://api.vendor.example/v1/people", (("page", "2"),), {"Authorization": CANARY})


def redirect(location: str, status: int = 302) -> Response:
    return Response(status, Headers({"Location": location}), b"")


class TestRedirects:
    @pytest.mark.parametrize("status", [200, 201, 300, 304, 400, 404])
    def test_other_statuses_are_none(self, status: int) -> None:
        assert follow(HERE, redirect("https://other.example", status)) is None

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize(
        ("location", "url"),
        [
            ("/v2/people?page=2", "https://api.vendor.example/v2/people?page=2"),
            ("other", "https://api.vendor.example/v1/other"),
            ("?page=3", "https://api.vendor.example/v1/people?page=3"),
            ("https://API.vendor.example:443/v2#part", "https://API.vendor.example:443/v2"),
            ("//api.vendor.example/v2", "https://api.vendor.example/v2"),
        ],
    )
    def test_the_same_origin_is_followed(self, status: int, location: str, url: str) -> None:
        followed = follow(HERE, redirect(location, status))
        assert followed is not None
        assert (followed.method, followed.full_url, followed.headers) == ("GET", url, HERE.headers)

    @pytest.mark.parametrize(
        "location",
        [
            f"https://other.example/?{CANARY}",
            f"//other.example/{CANARY}",
            "http://api.vendor.example/v1/people",
            "https://api.vendor.example:8443/",
            "https://vendor.example/",
            "https://api.vendor.example.evil.example/",
            f"https://user:{CANARY}@api.vendor.example/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "http://169.254.169.254/latest",
            "http://localhost/",
            "https://[::1",
            "https://api.vendor.example:x/",
            "",
            "https://api.vendor.example/v1/people?page=2",
            "#here",
        ],
    )
    def test_anything_else_is_refused(self, location: str) -> None:
        with pytest.raises(TransportFailure) as caught:
            follow(HERE, redirect(location))
        assert (caught.value.kind, caught.value.status, caught.value.repeatable) == ("redirect", 302, False)
        assert str(caught.value).startswith("api.vendor.example: redirects") or "a redirect" in str(caught.value)
        assert CANARY not in str(caught.value)

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_writing_is_never_sent_on(self, method: str) -> None:
        with pytest.raises(TransportFailure, match=f"answers {method} with a redirect"):
            follow(Request(method, HERE.url), redirect("/v2"))

    def test_head_stays_head(self) -> None:
        followed = follow(Request("HEAD", HERE.url), redirect("/v2", 303))
        assert followed is not None
        assert followed.method == "HEAD"
