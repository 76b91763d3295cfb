"""A vendor on loopback that is cheap to ask: pages are made once, and each is sent by one search and replace.

`python -m benchmarks.server` prints its address and serves until its input ends. What it serves stands in the path,
so that one server does for all rows: `/{records}/{milliseconds of delay}/...`, as in `/200000/0/records?page=1`.

GET  .../token?key=...      a bearer token, as text
GET  .../records?page=N     500 records, for the bearer; none behind the last page
GET  .../things/N           one small object, for anybody
GET  .../limited/START/SPEED/things/N   the same, a hundred in any minute of a clock that runs SPEED times as fast
GET  .../limited/START/SPEED/spent      {"accepted": in its first three minutes, "refused": N}
POST .../                   takes anything, and says how many `"user_id"` it saw
GET  /usage                 what this process has spent: {"cpu": seconds, "requests": number, "items": number}
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

PAGE = 500
TOKEN = b"7c9e6679f7425040"
_COARSE = 0.001  # seconds; a loop waits in whole milliseconds, rounded up, and the delay is to be what it says
_PAGE_DIGITS = b"987654"  # of the first page made; no other digits of it read so

FIRST = ("Ada", "Björn", "Chloé", "Daan", "Esmée", "Fatima", "George", "Hana", "İpek", "Jürgen")
LAST = ("Lovelace", "Ångström", "Jansen", "de Vries", "O'Neill", "Šimić", "Nakamura", "Okafor", "Silva", "Müller")
PLACES = (("Amsterdam", "NL"), ("Malmö", "SE"), ("São Paulo", "BR"), ("Osaka", "JP"), ("Denver", "US"))


def record(number: int) -> dict[str, object]:
    """The record at this place of a page; its id and its address hold the page's number."""
    first, last = FIRST[number % 10], LAST[number // 10 % 10]
    city, country = PLACES[number % 5]
    page = _PAGE_DIGITS.decode()
    day, hour, minute = number % 28 + 1, number % 24, number % 60
    return {
        "id": int(f"1{page}{number:03}"),
        "name": f"{first} {last}",
        "email": f"{first}.{last}.{page}.{number}@example.com".lower().replace(" ", ""),
        "created": f"2025-{number % 12 + 1:02}-{day:02}T{hour:02}:{minute:02}:07Z",
        "updated": f"2026-05-{day:02}T{hour:02}:{minute:02}:59.125Z",
        "active": number % 3 > 0,
        "visits": number * 37 % 1000,
        "balance": round(number * 13.37 - 1000, 2),
        "referrer": None if number % 4 else f"friend-{number}",
        "note": "Asked to be called back in the afternoon, prefers e-mail" if number % 2 else "",
        "address": {"street": f"{last} Street {number}", "city": city, "country": country},
        "tags": ["new", "trial", "partner", "vip"][: number % 4],
    }


def answer(body: bytes, content_type: bytes = b"application/json", status: bytes = b"200 OK") -> bytes:
    """A whole HTTP answer."""
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (status, content_type, len(body))
    return head + body


class Spent:
    """A hundred calls in any minute of a quick clock, judged as they arrive."""

    def __init__(self, start: float, speed: float) -> None:
        self._start, self._speed = start, speed
        self._arrivals: list[float] = []
        self.refused = 0

    @property
    def accepted(self) -> int:
        """In the first three minutes."""
        return sum(0 <= arrival < 180 for arrival in self._arrivals)

    def allow(self) -> bool:
        """Whether one that arrives now is within the limit; counts it."""
        now = (time.time() - self._start) * self._speed
        if sum(arrival > now - 60 for arrival in self._arrivals) >= 100:
            self.refused += 1
            return False
        self._arrivals.append(now)
        return True


class Vendor:
    """What it answers, as bytes; the same for every connection."""

    def __init__(self) -> None:
        self.requests = 0
        self.items = 0
        self._rows = json.dumps(
            [record(number) for number in range(PAGE)], ensure_ascii=False, separators=(",", ":")
        ).encode()
        self._pages: dict[int, bytes] = {}
        self._spent: dict[bytes, Spent] = {}

    def respond(self, head: bytes, body: bytes) -> tuple[bytes, float]:
        """The answer to a request, and the seconds after which it is sent."""
        self.requests += 1
        method, target, _ = head.split(b" ", 2)
        if target == b"/usage":
            usage = {"cpu": time.process_time(), "requests": self.requests, "items": self.items}
            return answer(json.dumps(usage).encode()), 0
        _, records, delay, path = target.split(b"/", 3)
        seconds = int(delay) / 1000
        if method == b"POST":
            items = body.count(b'"user_id"')
            self.items += items
            said = b'{"code": 201, "message": "%d items have been successfully ingested", "data": null}' % items
            return answer(said, status=b"201 Created"), seconds
        if path.startswith(b"limited/"):
            return self._limited(path), seconds
        if path.startswith(b"things/"):
            return answer(b'{"id": %s, "name": "Ada Lovelace", "active": true}' % path[7:]), seconds
        if path.startswith(b"token"):
            return answer(TOKEN, b"text/plain"), seconds
        if b"Bearer " + TOKEN not in head:
            return answer(b'{"message": "no bearer"}', status=b"401 Unauthorized"), 0
        number = path.partition(b"page=")[2].partition(b"&")[0]
        if int(number) > int(records) // PAGE:
            return answer(b'{"total": %s, "pages": %d, "records": []}' % (records, int(records) // PAGE)), seconds
        return self._page(int(records)).replace(_PAGE_DIGITS, number.zfill(6)), seconds

    def _limited(self, path: bytes) -> bytes:
        _, start, speed, what = path.split(b"/", 3)
        spent = self._spent.setdefault(start, Spent(float(start), float(speed)))
        if what == b"spent":
            return answer(json.dumps({"accepted": spent.accepted, "refused": spent.refused}).encode())
        if not spent.allow():
            return answer(b'{"message": "too many"}', status=b"429 Too Many Requests")
        return answer(b'{"id": %s, "name": "Ada Lovelace", "active": true}' % what[7:])

    def _page(self, records: int) -> bytes:
        """A page of so many records in all, its number still to be filled in."""
        if records not in self._pages:
            body = b'{"total": %d, "pages": %d, "records": %s}' % (records, records // PAGE, self._rows)
            self._pages[records] = answer(body)
        return self._pages[records]


class Connection(asyncio.Protocol):
    """One kept-alive connection: reads whole requests, writes whole answers."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head, rest = self._buffer[:end], end + 4
        if head.startswith(b"POST"):
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self._buffer) < rest + length:
                return
            rest += length
        body, self._buffer = self._buffer[end + 4 : rest], self._buffer[rest:]
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        response, seconds = self._vendor.respond(head, body)
        if not seconds:
            self._transport.write(response)
            return
        loop.call_at(arrived + seconds - _COARSE, self._write_at, arrived + seconds, response)

    def _write_at(self, due: float, response: bytes) -> None:
        time.sleep(max(0, due - asyncio.get_running_loop().time()))
        self._transport.write(response)


async def serve() -> None:
    """Serve until the input ends."""
    vendor = Vendor()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(vendor), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
