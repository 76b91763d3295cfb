"""Everything that can go wrong, sorted by what the caller can do next.

ConnectoryError
├── InputError              mend the spec, recipe, setting or argument; nothing was sent (exit 2)
│   ├── SpecError           a spec file: carries every fault of it
│   ├── SettingError        a setting or secret is missing or wrong
│   └── ArgumentError       an argument, or the name of a vendor or operation, is wrong
├── CallError               a call was tried (exit 1); carries vendor, operation, request, status, words
│   ├── Rejected            the vendor refuses this input: mend the data
│   │   ├── Missing         what was asked for is not there
│   │   └── Exists          it is there already
│   ├── Failed              the vendor cannot do this at all
│   ├── Denied              mend the credentials or their rights
│   ├── Unavailable         the vendor cannot be reached or is ill: try later
│   ├── UnknownOutcome      sent, but no answer that can be trusted: look before sending again
│   └── BadAnswer           the answer is not what the spec says
│       └── PagingError     the pages repeat, run in circles or do not add up
├── LimitReached            a budget is spent: come back at `until` (exit 75)
├── SourceError             the place where rows come from fails (exit 1)
├── Interrupted             asked to stop, nothing lost: the same command goes on (exit 75; 130 and 143 for signals)
├── DestinationError        the place where records go refuses or fails (exit 1)
└── PluginError             a plug-in is incompatible or raised (exit 1)
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Fault:
    """One thing wrong in one file: where (counted from 1), at which path, and what."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f" {self.path}" if self.path else ""
        return f"{self.file}:{self.line}:{self.column}{place}: {self.message}"


def nearest(word: str, words: Iterable[str]) -> str:
    """The right word that `word` was probably meant to be, as `; did you mean 'x'?`, or an empty text."""
    known = sorted({str(w) for w in words})
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        folded = {w.lower().replace("-", "_"): w for w in known}
        close = [folded[key] for key in [word.lower().replace("-", "_")] if key in folded]
    return f"; did you mean '{close[0]}'?" if close else ""


class ConnectoryError(Exception):
    """Any error that Connectory raises on purpose. `exit_code` is what a command ends with."""

    exit_code = 1


class InputError(ConnectoryError):
    """Something given to us is wrong; nothing was sent."""

    exit_code = 2


class SpecError(InputError):
    """A spec or recipe file is wrong. `faults` holds every one found."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class SettingError(InputError):
    """A setting or secret is missing or wrong."""


class ArgumentError(InputError):
    """An argument, or the name of a vendor or an operation, is wrong."""


class CallError(ConnectoryError):
    """A call was tried and did not succeed.

    `request` is shown without secrets (`GET https://host/path?key=***`), `words` are the vendor's own,
    `attempts` counts the requests sent for this call.
    """

    def __init__(
        self,
        message: str,
        *,
        vendor: str = "",
        operation: str = "",
        request: str = "",
        status: int | None = None,
        words: str = "",
        code: str = "",
        attempts: int = 1,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.vendor = vendor
        self.operation = operation
        self.request = request
        self.status = status
        self.words = words
        self.code = code
        self.attempts = attempts
        self.retryable = retryable


class Rejected(CallError):
    """The vendor refuses this input."""


class Missing(Rejected):
    """What was asked for is not there."""


class Exists(Rejected):
    """What should be made is there already."""


class Failed(CallError):
    """The vendor cannot do this, and trying again will not change it."""


class Denied(CallError):
    """The credentials are refused, or lack a right."""


class Unavailable(CallError):
    """The vendor cannot be reached, or answers that it is ill."""


class UnknownOutcome(CallError):
    """The request was sent, but there is no answer that can be trusted."""


class BadAnswer(CallError):
    """The answer is not what the spec says."""


class PagingError(BadAnswer):
    """The pages repeat, run in circles or do not add up."""


class LimitReached(ConnectoryError):
    """A budget is spent. `until` is the moment (epoch seconds, UTC) at which the next call may go."""

    exit_code = 75

    def __init__(self, message: str, *, until: float, limit: str = "", vendor: str = "") -> None:
        super().__init__(message)
        self.until = until
        self.limit = limit
        self.vendor = vendor


class SourceError(ConnectoryError):
    """The place where rows come from, other than a vendor, fails."""


class Interrupted(ConnectoryError):
    """The work was asked to stop before its next call. What was done is kept; the same command goes on."""

    def __init__(self, message: str, *, exit_code: int = 75) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class DestinationError(ConnectoryError):
    """The place where records go refuses them or fails."""


class PluginError(ConnectoryError):
    """A plug-in is incompatible, misspelt a hook, or raised."""


@contextmanager
def plugin_code(
    what: str, gives: Any = object, may_raise: type[Exception] = ConnectoryError
) -> Iterator[Callable[[T], T]]:
    """Run a plug-in's function: whatever it raises but our errors and `may_raise` becomes a PluginError that names it.

    What is yielded hands on a value of the type `gives`; any other is a PluginError too.
    """

    def told(value: T) -> T:
        if not isinstance(value, gives):
            raise PluginError(f"{what} gave {type(value).__name__}, not {getattr(gives, '__name__', gives)}")
        return value

    try:
        yield told
    except (ConnectoryError, may_raise):
        raise
    except Exception as why:
        raise PluginError(f"{what} raised {type(why).__name__}: {why}") from why
