"""Connectory: one YAML file a vendor, and from it Python calls, commands and syncs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectory.connecting import Parts, connect
    from connectory.connector import Connector
    from connectory.delivery.accounts import Delivery, ItemResult
    from connectory.errors import (
        ArgumentError,
        BadAnswer,
        CallError,
        ConnectoryError,
        Denied,
        DestinationError,
        Exists,
        Failed,
        Fault,
        InputError,
        LimitReached,
        Missing,
        PagingError,
        PluginError,
        Rejected,
        SettingError,
        SpecError,
        Unavailable,
        UnknownOutcome,
    )
    from connectory.messages import Request, Response
    from connectory.plugins.hookspecs import hookimpl
    from connectory.plugins.kinds import (
        AuthKind,
        BatchKind,
        Codec,
        DestinationKind,
        Discovered,
        Discoverer,
        Format,
        OutcomeKind,
        Page,
        PageRequest,
        PagerKind,
        Played,
        Turn,
        Verdict,
    )
    from connectory.records import Records
    from connectory.spec.words import Place, Slot, Template, word

__version__ = "0.1.0"

_HOMES = {
    "connectory.connecting": "Parts connect",
    "connectory.connector": "Connector",
    "connectory.delivery.accounts": "Delivery ItemResult",
    "connectory.errors": (
        "ArgumentError BadAnswer CallError ConnectoryError Denied DestinationError Exists Failed Fault InputError "
        "LimitReached Missing PagingError PluginError Rejected SettingError SpecError Unavailable UnknownOutcome"
    ),
    "connectory.messages": "Request Response",
    "connectory.plugins.hookspecs": "hookimpl",
    "connectory.plugins.kinds": (
        "AuthKind BatchKind Codec DestinationKind Discovered Discoverer Format OutcomeKind Page PageRequest PagerKind "
        "Played Turn Verdict"
    ),
    "connectory.records": "Records",
    "connectory.spec.words": "Place Slot Template word",
}
_NAMES = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "ArgumentError",
    "AuthKind",
    "BadAnswer",
    "BatchKind",
    "CallError",
    "Codec",
    "Connector",
    "ConnectoryError",
    "Delivery",
    "Denied",
    "DestinationError",
    "DestinationKind",
    "Discovered",
    "Discoverer",
    "Exists",
    "Failed",
    "Fault",
    "Format",
    "InputError",
    "ItemResult",
    "LimitReached",
    "Missing",
    "OutcomeKind",
    "Page",
    "PageRequest",
    "PagerKind",
    "PagingError",
    "Parts",
    "Place",
    "Played",
    "PluginError",
    "Records",
    "Rejected",
    "Request",
    "Response",
    "SettingError",
    "Slot",
    "SpecError",
    "Template",
    "Turn",
    "Unavailable",
    "UnknownOutcome",
    "Verdict",
    "__version__",
    "connect",
    "hookimpl",
    "word",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `connectory --help` needs none of them."""
    if name not in _NAMES:
        raise AttributeError(f"module 'connectory' has no attribute '{name}'")
    return getattr(import_module(_NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])
