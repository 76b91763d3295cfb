"""How moments are written on the wire, and read back as aware datetimes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from connectory.errors import nearest
from connectory.plugins.kinds import Codec

# RFC 822 section 5.1 gives these names their offsets, in hours; other abbreviations are ambiguous and refused.
_ZONES: Final = {
    **dict.fromkeys(("UT", "UTC", "GMT", "Z"), 0),
    **{"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7},
}


def read_iso(value: Any, *, zoneless: bool) -> datetime:
    """ISO 8601 text with any offset and fraction; without a zone it is UTC if `zoneless`, else refused."""
    if not isinstance(value, str):
        raise ValueError(f"expected a text such as 2026-05-20T18:25:43Z, got {type(value).__name__}")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"'{value[:40]}' is no moment such as 2026-05-20T18:25:43Z") from None
    if moment.tzinfo is None:
        if not zoneless and len(value) <= len("2026-05-20"):
            raise ValueError(f"'{value}' is a day: a moment is expected, as {value}T00:00:00Z")
        if not zoneless:
            raise ValueError(f"'{value[:40]}' has no zone: add one, as Z or +02:00")
        return moment.replace(tzinfo=UTC)
    return moment


def _write_iso(moment: datetime, suffix: str) -> str:
    text: str = msgspec.to_builtins(moment.astimezone(UTC))  # isoformat takes four times as long
    milliseconds = moment.microsecond and moment.microsecond % 1000 == 0
    return text[: -4 if milliseconds else -1] + suffix


def _read_epoch(value: Any, factor: float) -> datetime:
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=number * factor)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"{str(value)[:40]!r} is no number of {'milli' if factor < 1 else ''}seconds since 1970"
        ) from None


BUILT_IN: Final[Mapping[str, Codec]] = {
    "rfc3339": Codec(lambda value: read_iso(value, zoneless=False), lambda moment: _write_iso(moment, "Z")),
    "utc": Codec(lambda value: read_iso(value, zoneless=True), lambda moment: _write_iso(moment, "Z"), zoneless=True),
    "utc_naive": Codec(
        lambda value: read_iso(value, zoneless=True), lambda moment: _write_iso(moment, ""), zoneless=True
    ),
    "unix": Codec(lambda value: _read_epoch(value, 1), lambda moment: int(moment.timestamp())),
    "unix_ms": Codec(lambda value: _read_epoch(value, 0.001), lambda moment: int(moment.timestamp() * 1000)),
    "unix_text": Codec(lambda value: _read_epoch(value, 1), lambda moment: str(int(moment.timestamp()))),
}


def find_codec(name: str, known: Mapping[str, Codec]) -> Codec:
    """A codec by name, or made of a strptime pattern. Raises ValueError with the nearest right word."""
    if name in known:
        return known[name]
    if "%" not in name:
        raise ValueError(f"unknown codec '{name}'{nearest(name, known)}; or a pattern such as '%Y-%m-%d %H:%M:%S'")
    return _pattern_codec(name)


def _pattern_codec(pattern: str) -> Codec:
    """A strptime pattern, in UTC unless it holds a zone. strptime itself does not know 'EST', so %Z is read here."""
    try:
        datetime.strptime(
            datetime(2001, 2, 3, tzinfo=UTC).strftime(pattern.replace("%Z", "")), pattern.replace("%Z", "")
        )
    except (ValueError, re.error) as why:
        raise ValueError(f"'{pattern}' is no pattern that strptime reads: {why}") from None
    named_zone = pattern.endswith(" %Z")
    bare = pattern.removesuffix(" %Z")

    def read(value: Any) -> datetime:
        text, zone = str(value), UTC
        if named_zone:
            text, _, name = text.rpartition(" ")
            if name not in _ZONES:
                raise ValueError(f"'{name}' is no zone of {', '.join(_ZONES)}")
            zone = timezone(timedelta(hours=_ZONES[name]), name)
        try:
            moment = datetime.strptime(text, bare)
        except ValueError:
            raise ValueError(f"'{str(value)[:40]}' is not written as {pattern}") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)

    usual = re.fullmatch("%Y-%m-%d([^%])%H:%M:%S", bare)
    between = usual[1] if usual else ""
    end = " UTC" if named_zone else ""

    def write(moment: datetime) -> str:
        moment = moment.astimezone(UTC)
        if usual and moment.year >= 1000:  # strftime writes earlier years shorter, and takes five times as long
            text = msgspec.to_builtins(moment)
            return f"{text[:10]}{between}{text[11:19]}{end}"
        return moment.strftime(bare) + end

    def write_all(moments: Sequence[datetime | None]) -> list[str | None]:
        texts = msgspec.to_builtins(moments)
        if any(text is not None and text < "1000" for text in texts):
            return [None if moment is None else write(moment.replace(tzinfo=UTC)) for moment in moments]
        return [None if text is None else f"{text[:10]}{between}{text[11:19]}{end}" for text in texts]

    return Codec(read, write, zoneless=True, write_all=write_all if usual else None)


def to_moment(value: Any, codec: Codec) -> datetime:
    """What a caller gives as a moment: an aware datetime, ISO text, or the vendor's own writing.

    A time without zone is UTC where the codec has none, else ValueError.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None and not codec.zoneless:
            raise ValueError(f"{value.isoformat()} has no zone: give an aware datetime")
        # `replace` takes six times as long
        return value if value.tzinfo else datetime.combine(value, value.time(), UTC)
    if isinstance(value, str):
        try:
            return read_iso(value, zoneless=codec.zoneless)
        except ValueError as why:
            try:
                return codec.read(value)
            except ValueError:
                raise why from None
    return codec.read(value)
