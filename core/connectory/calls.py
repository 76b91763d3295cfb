"""The life of one call, top to bottom: budget, credential, transport, outcome, and what follows from it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, BinaryIO, NoReturn, cast
from urllib.parse import urlsplit

import attrs

from connectory.answers import Answer, decode_answer, read_json
from connectory.auth.credentials import Credentials, Render, moment_text, read_token, token_request
from connectory.auth.rotation import Rotation, rotated_values
from connectory.auth.tokens import Token as KeptToken
from connectory.auth.tokens import TokenKey, TokenStore
from connectory.clock import Clock
from connectory.errors import (
    BadAnswer,
    CallError,
    Denied,
    Exists,
    Failed,
    LimitReached,
    Missing,
    Rejected,
    Unavailable,
    UnknownOutcome,
)
from connectory.formats import PRECISE_JSON
from connectory.limits.budgets import Budget
from connectory.limits.costs import Costs, Gate, Tally, always_open
from connectory.limits.ledger import LONGEST_HOLD, Lease, Ledger, acquire
from connectory.limits.told import NOTHING
from connectory.messages import Request, Response, origin_of
from connectory.operation import Plan
from connectory.outcomes import Judge, explain, judge
from connectory.plugins.kinds import Codec, Format, Verdict
from connectory.retry import DEFAULT, Again, Policy, after_failure, after_throttle
from connectory.secrets import Hidden, Redactor
from connectory.sink import Sink
from connectory.spec.language import Errors, Token
from connectory.spending import NO_TELLER, Teller
from connectory.transport.client import Transport
from connectory.transport.failures import TransportFailure
from connectory.transport.redirects import follow

log = logging.getLogger("connectory")

MOST_REDIRECTS = 5
LINGER = 30.0  # seconds for which a call without an answer counts as under way: the vendor may still be at work on it
_SHORTEST_KEPT = 8
GOOD = frozenset({"ok", "accepted"})
_REFUSALS: Mapping[str, type[CallError]] = {
    "rejected": Rejected,
    "missing": Missing,
    "exists": Exists,
    "failed": Failed,
}


@attrs.frozen
class Purpose:
    """What a request is for: whom to name in errors, how to judge, what to spend, whether a repeat does harm.

    `flight` is told True right before each try leaves, and False when a try was surely not applied.
    """

    operation: str
    judges: Sequence[Judge]
    errors: Errors
    budgets: Sequence[Budget]
    repeatable: bool
    format: Format
    anonymous: bool = False
    undecoded: bool = False
    flight: Callable[[bool], None] | None = None


class UnsureEndWarning(UserWarning):
    """Nothing but the closing of the connection marked the end of an answer: it may have been cut."""


@attrs.define(eq=False, repr=False)
class Line:
    """The line to one vendor's server: everything that is shared by the calls of one connector."""

    vendor: str
    base: str
    elsewhere: bool
    origins: frozenset[str]
    token: Token | None
    token_key: TokenKey | None
    token_budgets: Sequence[Budget]
    credentials: Credentials
    obtain: str
    transport: Transport
    ledger: Ledger
    tokens: TokenStore
    rotation: Rotation
    clock: Clock
    redactor: Redactor
    codecs: Mapping[str, Codec]
    formats: Mapping[str, Format]
    judges: Sequence[Judge]
    errors: Errors
    render: Render
    max_wait: float
    policy: Policy = DEFAULT
    lease_seconds: float = 330.0
    on_wait: Callable[[float, str], None] | None = None
    tally: Tally = attrs.Factory(Tally)
    costs: Costs = attrs.Factory(Costs)
    teller: Teller = NO_TELLER
    gate: Gate = always_open
    preview: Callable[[Request], NoReturn] | None = None  # takes the first write instead of sending it
    _refused: bool = False

    @property
    def calls(self) -> int:
        """Requests sent so far, logins and repeats included."""
        return self.tally.total

    def settled(self, base: str) -> str:
        """A base URL; one that names what the login's answer told is filled in, and so becomes the vendor's own."""
        if "{{" not in base:
            return base
        token = self._token(None)
        kept = {} if token is None else dict(token.kept)
        told = self.render(base, {**self.credentials.settings, "kept": kept})
        try:
            self.origins = self.origins | {origin_of(told or "")}
        except ValueError:
            raise Failed(f"{self.vendor}: the login told no server's address", vendor=self.vendor) from None
        return told or ""

    def address(self, template: str, names: Mapping[str, Any]) -> str:
        """The URL of a login's request. One of another host stays on ours where a run is pointed elsewhere."""
        url = self.render(template, names) or ""
        if "://" not in url:
            return self.base.rstrip("/") + url
        return self.base.rstrip("/") + urlsplit(url).path if self.elsewhere else url

    def exchange(self, purpose: Purpose, request: Request, into: BinaryIO | None = None) -> tuple[Verdict, Answer]:
        """One call with all its tries. Returns a good verdict and its answer, or raises a CallError or LimitReached."""
        renewed = False
        refused: KeptToken | None = None
        sink = None if into is None else Sink(into)
        attempt = 0
        while True:
            attempt += 1
            token = None if purpose.anonymous else self._token(refused)
            refused = None
            try:
                answer = self._send(purpose, request, token, sink)
            except TransportFailure as failure:
                _came_back(purpose, failure.sent != "maybe")
                self._take_back(sink, purpose, request, str(failure), attempt)
                self._after_line_failure(purpose, request, failure, attempt)
                continue
            verdict = judge(purpose.judges, answer)
            if verdict.word in GOOD:
                return verdict, self._readable(purpose, request, answer, attempt)
            _came_back(purpose, verdict.word in ("throttled", "expired", "denied"))
            # A 2xx that the rules call no success has written its body.
            self._take_back(sink, purpose, request, f"answered {answer.status}", attempt)
            if verdict.word == "expired" and token is not None and not renewed:
                renewed, refused = True, token
                continue
            self._after_refusal(purpose, request, verdict, answer, attempt)

    def _take_back(self, sink: Sink | None, purpose: Purpose, request: Request, why: str, attempt: int) -> None:
        """Take back what a try has written, or raise: another one would be written behind it."""
        if sink is not None and not sink.undo():
            what = f"{why}; what is written of it cannot be taken back from a pipe"
            raise self._error(Unavailable, purpose, request, what, None, attempt)

    def _send(self, purpose: Purpose, request: Request, token: KeptToken | None, sink: Sink | None) -> Answer:
        """One exchange; a redirect of a read is followed on the same origin, a few times, each hop signed anew."""
        for _ in range(MOST_REDIRECTS):
            signed, answer = self._hop(purpose, request, token, sink)
            following = follow(signed, answer.response)
            if following is None:
                return answer
            request = attrs.evolve(request, url=following.url, query=())
        raise TransportFailure("redirects without end", kind="redirect", sent="maybe", host=request.origin)

    def _hop(
        self, purpose: Purpose, request: Request, token: KeptToken | None, sink: Sink | None
    ) -> tuple[Request, Answer]:
        """One request within the limits. Returns it as it was sent, and its answer."""
        if self.preview is not None and purpose.flight is not None:
            self.preview(self._signed(request, token))
        lease = self._lease(purpose)
        linger, told = 0.0, NOTHING
        try:
            signed = request if purpose.anonymous else self._signed(request, token)
            if log.isEnabledFor(logging.DEBUG):
                log.debug("%s %s", purpose.operation, self.shown(request))
            self.tally.add()
            self.costs.call(self.vendor, purpose.budgets, len(signed.body or b""))
            if purpose.flight is not None:
                purpose.flight(True)
            response = self.transport.send(signed, into=cast("BinaryIO | None", sink))
            self.costs.answered(len(response.body))
            answer = self._decoded(purpose, response, sink)
            told = self.teller.told(purpose.budgets, answer, self.clock.now())
            return signed, answer
        except TransportFailure as failure:
            linger = LINGER if failure.sent == "maybe" and failure.kind in ("timeout", "deadline") else 0.0
            raise
        finally:
            self.ledger.release(lease, linger, told)

    def _lease(self, purpose: Purpose) -> Lease:
        """The right to one call, once there is room for it. Raises LimitReached, and what the gate raises."""
        open_for = self.gate() - self.clock.now()
        if not purpose.budgets:
            return Lease("", (), 0.0, 0.0)
        wait = min(self.max_wait, open_for)
        asked = self.clock.monotonic()
        try:
            return acquire(self.ledger, purpose.budgets, self.clock, wait, self.lease_seconds, self.on_wait)
        except LimitReached as why:
            why.vendor = self.vendor
            raise
        finally:
            names = " and ".join(budget.name for budget in purpose.budgets)
            self.costs.waited(f"limit {names}", self.clock.monotonic() - asked)

    def _decoded(self, purpose: Purpose, response: Response, sink: Sink | None) -> Answer:
        read = purpose.format.read
        assert read is not None  # checked when the spec was loaded
        if response.status >= HTTPStatus.BAD_REQUEST and "json" in response.headers.get("content-type", ""):
            read = read_json  # what went wrong is told in JSON by those too that answer in another format
        answer = decode_answer(response, read)
        if response.whole or not 200 <= response.status < 300:
            return answer
        if answer.fault:
            host = origin_of(response.url)
            raise TransportFailure("the answer ends too early", kind="truncated", sent="maybe", host=host)
        if sink is not None or isinstance(answer.data, str | bytes):
            message = f"{self.vendor} {purpose.operation}: only the closing of the connection marked the answer's end"
            warnings.warn(f"{message}; it may have been cut", UnsureEndWarning, stacklevel=2)
        return answer

    def _signed(self, request: Request, token: KeptToken | None) -> Request:
        """A credential goes to the vendor's own origins only, whatever a next link or a setting says."""
        if request.origin not in self.origins:
            raise Failed(
                f"{self.vendor}: {request.origin} is not {' or '.join(sorted(self.origins))}: "
                "credentials are not sent there",
                vendor=self.vendor,
            )
        return self.credentials.sign(request, token, self.clock.now())

    def _token(self, refused: KeptToken | None) -> KeptToken | None:
        if self.token is None or self.token_key is None:
            return None
        self._refused = self._refused or refused is not None
        token = self.tokens.get_or_fetch(self.token_key, self.clock, self._fetch_token, refused=refused)
        self._hide(token)
        return token

    def _fetch_token(self) -> KeptToken:
        """A new token, by the newest secrets. They are kept before it is used, since the vendor tells them once."""
        assert self.token is not None
        names = self._newest_secrets()
        if self.token.grant in ("refresh_token", "authorization_code") and names.get("refresh_token") is None:
            raise Denied(f"{self.vendor}: nobody has logged in yet. {self.obtain}", vendor=self.vendor)
        return self.ask_token(self.token, names)

    def _newest_secrets(self) -> Mapping[str, Any]:
        assert self.token is not None
        if not self.token.rotates or self.token_key is None:
            return self.credentials.settings
        try:
            newest = self.rotation.newest(self.token_key)
        except OSError as why:
            said = f"{self.vendor}: the secrets kept of the last login cannot be used: {why.strerror}. {self.obtain}"
            raise Denied(said, vendor=self.vendor) from None
        for value in newest.values():
            self.redactor.add(value, passing=True)
        return Hidden({**self.credentials.settings, **newest})

    def ask_token(self, token: Token, names: Mapping[str, Any], errors: Errors | None = None) -> KeptToken:
        """One exchange. What comes back when it fails is never taken for the answer of the call that needs it.

        `names` are the settings that its texts see, `errors` says where a refusal explains itself. Raises Denied,
        Failed, Unavailable or LimitReached.
        """
        url = self.address(str(token.get or token.post), names)
        request = token_request(token, url, names, self.render, refused=self._refused)
        purpose = Purpose(
            operation="token exchange",
            judges=self.judges,
            errors=errors or self.errors,
            budgets=self.token_budgets,
            repeatable=True,
            format=self.formats[token.reads],
            anonymous=True,
        )
        try:
            _, answer = self.exchange(purpose, request)
            rotated = rotated_values(token.rotates, answer)
            for value in rotated.values():
                self.redactor.add(value, passing=True)
            if rotated and self.token_key is not None:
                self.rotation.keep(self.token_key, rotated)
            got = read_token(token, answer, self.codecs, self.clock.now(), self.vendor)
        except Rejected as why:
            raise _turned(Denied, why, f". {self.obtain}" if self.obtain else "") from why
        except BadAnswer as why:
            raise _turned(Failed, why, "") from why
        self._hide(got)
        self._refused = False
        return got

    def _hide(self, token: KeptToken) -> None:
        self.redactor.add(token.value.reveal(), passing=True)
        for value in token.kept.values():
            if len(value) >= _SHORTEST_KEPT and "://" not in value:  # the URL of an instance is no secret
                self.redactor.add(value, passing=True)

    def _readable(self, purpose: Purpose, request: Request, answer: Answer, attempt: int) -> Answer:
        if not answer.fault or purpose.undecoded:
            return answer
        kind = BadAnswer if purpose.repeatable else UnknownOutcome
        raise self._error(kind, purpose, request, f"answered {answer.status}, but {answer.fault}", answer, attempt)

    def _after_line_failure(self, purpose: Purpose, request: Request, failure: TransportFailure, attempt: int) -> None:
        """Wait and return to try again, or raise."""
        if failure.sent == "maybe" and not purpose.repeatable:
            raise self._error(
                UnknownOutcome, purpose, request, f"no answer that can be trusted: {failure}", None, attempt
            ) from failure
        if failure.kind == "stale" and attempt == 1:
            return  # nobody is ill: the connection was kept for too long
        decision = (
            after_failure(self.policy, attempt, None, self.clock.random, self.max_wait) if failure.repeatable else None
        )
        if not isinstance(decision, Again):
            again = failure.repeatable
            raise self._error(Unavailable, purpose, request, str(failure), None, attempt, retryable=again) from failure
        self._wait(decision.wait, str(failure), "vendor not reached")

    def _after_refusal(
        self, purpose: Purpose, request: Request, verdict: Verdict, answer: Answer, attempt: int
    ) -> None:
        """Wait and return to try again, or raise what the verdict means."""
        if verdict.word == "throttled":
            self._after_throttle(purpose, verdict, answer, attempt)
        elif verdict.word == "retry":
            self._after_illness(purpose, request, verdict, answer, attempt)
        elif verdict.word in ("expired", "denied"):
            hint = f". {self.obtain}" if self.obtain else ""
            raise self._error(
                Denied,
                purpose,
                request,
                f"refuses the credentials or lacks a right ({answer.status}){{}}{hint}",
                answer,
                attempt,
            )
        else:
            raise self._error(
                _REFUSALS[verdict.word], purpose, request, f"answered {answer.status}{{}}", answer, attempt
            )

    def _after_throttle(self, purpose: Purpose, verdict: Verdict, answer: Answer, attempt: int) -> None:
        now = self.clock.now()
        named = verdict.wait if verdict.until is None else max(0.0, verdict.until - now)
        decision = after_throttle(self.policy, attempt, named, self.clock.random, now, self.max_wait)
        hit = [b for b in purpose.budgets if verdict.limit in (None, b.name)]
        if isinstance(decision, Again):
            for budget in hit:
                self.ledger.hold(budget.key, now + decision.wait)
            self._wait(decision.wait, f"{self.vendor} says too many calls", "too many calls")
            return
        until = min(decision.until or self._day_returns(hit, now), now + LONGEST_HOLD)
        for budget in hit:
            self.ledger.hold(budget.key, until)
        words = explain(purpose.errors, answer, self.redactor.redact).words
        said = f" ({words})" if words else ""
        message = f"{self.vendor}: the limit is used up{said}; come back at {moment_text(until)}"
        raise LimitReached(message, until=until, vendor=self.vendor, limit=", ".join(b.name for b in hit))

    def _day_returns(self, budgets: Sequence[Budget], now: float) -> float:
        """When calls are free again after a refusal that names no time and outlasted our patience."""
        moments = [until for budget in budgets if (until := self.ledger.spent(budget).room_at) > now]
        return max(moments, default=now + 3600.0)

    def _after_illness(
        self, purpose: Purpose, request: Request, verdict: Verdict, answer: Answer, attempt: int
    ) -> None:
        if not purpose.repeatable:
            raise self._error(
                UnknownOutcome,
                purpose,
                request,
                f"answered {answer.status}{{}}: it may have been done or not",
                answer,
                attempt,
            )
        decision = after_failure(self.policy, attempt, verdict.wait, self.clock.random, self.max_wait)
        if not isinstance(decision, Again):
            raise self._error(
                Unavailable,
                purpose,
                request,
                f"answered {answer.status}{{}} {attempt} times",
                answer,
                attempt,
                retryable=True,
            )
        self._wait(decision.wait, f"{self.vendor} answered {answer.status}", "vendor ill")

    def _wait(self, seconds: float, why: str, cause: str) -> None:
        log.info("waiting %.1f s: %s", seconds, why)
        if self.on_wait is not None:
            self.on_wait(seconds, why)
        self.clock.sleep(seconds)
        self.costs.waited(cause, seconds)

    def shown(self, request: Request) -> str:
        """A request for people: query values hidden, known secrets taken out."""
        names = "&".join(f"{name}=***" if len(value) > 40 else f"{name}={value}" for name, value in request.query)
        return self.redactor.redact(f"{request.method} {request.url}{'?' + names if names else ''}")

    def _error(
        self,
        kind: type[CallError],
        purpose: Purpose,
        request: Request,
        what: str,
        answer: Answer | None,
        attempt: int,
        *,
        retryable: bool = False,
    ) -> CallError:
        """The error, with the vendor's own words where `{}` stands in `what`."""
        said = explain(purpose.errors, answer, self.redactor.redact) if answer is not None else None
        words = str(said) if said else ""
        text = what.replace("{}", f": {words}" if words else "")
        return kind(
            self.redactor.redact(f"{self.vendor} {purpose.operation}: {text}"),
            vendor=self.vendor,
            operation=purpose.operation,
            request=self.shown(request),
            status=answer.status if answer else None,
            words=words,
            code=said.code if said else "",
            attempts=attempt,
            retryable=retryable,
        )


def _came_back(purpose: Purpose, untouched: bool) -> None:
    """A try is over without success; `untouched` says that the vendor did nothing with it."""
    if untouched and purpose.flight is not None:
        purpose.flight(False)


def _turned(kind: type[CallError], why: CallError, more: str) -> CallError:
    """The same error as another kind."""
    return kind(
        f"{why}{more}",
        vendor=why.vendor,
        operation=why.operation,
        request=why.request,
        status=why.status,
        words=why.words,
        code=why.code,
        attempts=why.attempts,
    )


def purpose_of(plan: Plan, budgets: Sequence[Budget], formats: Mapping[str, Format]) -> Purpose:
    """What a call of an operation is for."""
    return Purpose(
        operation=plan.name,
        judges=plan.judges,
        errors=plan.errors,
        budgets=budgets,
        repeatable=plan.repeatable,
        format=PRECISE_JSON if plan.precise else formats[plan.styles.answer],
        anonymous=plan.operation.anonymous,
    )
