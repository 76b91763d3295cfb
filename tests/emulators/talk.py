"""Plain urllib3 for the emulators' own tests: no retry, no redirect, nothing of the product."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import urllib3


class Talk:
    """One client of one emulator: `talk.call("GET", "/path", query={...})`."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.headers = dict(headers or {})
        self.pool = urllib3.PoolManager(maxsize=20, retries=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.pool.clear()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        json_body: object = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """One exchange. `json_body` and `form` set their content type; `headers` come on top and win."""
        sent = dict(self.headers)
        if json_body is not None:
            body, sent["Content-Type"] = json.dumps(json_body).encode(), "application/json"
        if form is not None:
            body, sent["Content-Type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        target = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        return self.pool.request(method, target, body=body, headers=sent | dict(headers or {}), redirect=False)

    def read(self, path: str, **query: object) -> Any:
        """The decoded JSON of a GET that must answer 200."""
        response = self.call("GET", path, query=query)
        assert response.status == 200, (response.status, response.data)
        return response.json()
