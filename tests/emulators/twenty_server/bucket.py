"""The rate limit: token buckets that refill by whole tokens and drop the fractions."""

from __future__ import annotations

import math

import attrs

from emulators.twenty_server.refusals import Refusal


@attrs.define
class Bucket:
    """`size` tokens, `size` new ones each `window_ms`. Times are epoch seconds."""

    size: int
    window_ms: int
    tokens: int = attrs.field(init=False)
    last: float | None = attrs.field(init=False, default=None)
    """When the last call was accepted: refill counts whole tokens since then."""

    def __attrs_post_init__(self) -> None:
        self.tokens = self.size

    def available(self, now: float) -> int:
        passed_ms = 0 if self.last is None else round((now - self.last) * 1000)
        return min(self.size, self.tokens + passed_ms * self.size // self.window_ms)

    def take(self, now: float) -> bool:
        """Spend one token; False (and nothing changes) when there is none."""
        available = self.available(now)
        if available < 1:
            return False
        self.tokens, self.last = available - 1, now
        return True

    def wait_ms(self, now: float) -> int:
        """Milliseconds until the next whole token."""
        if self.last is None or self.available(now) > 0:
            return 0
        return max(1, math.ceil(self.window_ms / self.size - (now - self.last) * 1000))


def limit_reached(bucket: Bucket, now: float, *, newer: bool) -> Refusal:
    """The refusal of the classic engine, which names no time, or of the newer one, which does.

    The newer form's keys are those of the fact page; their values (kinds, scope) are assumed.
    """
    message = f"Limit reached ({bucket.size} tokens per {bucket.window_ms} ms)"
    friendly = "Rate limit reached. Please try again later."
    if not newer:
        return Refusal(message, 429, "HttpException", sub_code="LIMIT_REACHED", friendly=friendly)
    wait_ms = bucket.wait_ms(now)
    seconds = math.ceil(wait_ms / 1000)
    facts = {
        "limitKind": "API_REQUESTS",
        "exhaustedKind": "API_REQUESTS",
        "limit": bucket.size,
        "remaining": 0,
        "periodCount": bucket.window_ms // 1000,
        "periodUnit": "SECOND",
        "scope": "WORKSPACE",
    }
    return Refusal(
        message,
        429,
        "RATE_LIMITED",
        sub_code="RATE_LIMITED",
        friendly=friendly,
        graph_code="RATE_LIMITED",
        details=facts | {"retryAfterMs": wait_ms},
        rest_details=facts | {"retryAfterSeconds": seconds},
        headers=(
            ("Retry-After", str(seconds)),
            ("X-RateLimit-Limit", str(bucket.size)),
            ("X-RateLimit-Remaining", "0"),
            ("X-RateLimit-Reset", str(math.ceil(now + wait_ms / 1000))),
        ),
    )
