"""What the engine itself supplies, by the hooks that everybody else uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from connectory.destinations.kinds import DESTINATIONS
from connectory.formats import FORMATS
from connectory.outcomes import OUTCOMES
from connectory.paging.kinds import PAGERS
from connectory.plugins.hookspecs import hookimpl
from connectory.plugins.kinds import BatchKind, Codec, DestinationKind, Format, NoOptions, OutcomeKind, PagerKind
from connectory.spec.language import Batch
from connectory.values.codecs import BUILT_IN


def cut_chunks(batch: Batch, items: Iterable[tuple[Any, int]]) -> Iterator[list[Any]]:
    """At most `largest` items a call, and at most `bytes` of body; a single larger item goes alone."""
    chunk: list[Any] = []
    size = 2
    for item, weight in items:
        if chunk and (len(chunk) >= batch.largest or (batch.bytes is not None and size + weight + 1 > batch.bytes)):
            yield chunk
            chunk, size = [], 2
        chunk.append(item)
        size += weight + 1
    if chunk:
        yield chunk


def _about_chunks(batch: Batch) -> str:
    return f"batches of {batch.largest:,}" + (", all or nothing" if batch.atomic else ", item by item")


@hookimpl
def connectory_pagers() -> Mapping[str, PagerKind]:
    return PAGERS


@hookimpl
def connectory_batches() -> Mapping[str, BatchKind]:
    return {"chunks": BatchKind(NoOptions, cut_chunks, _about_chunks)}


@hookimpl
def connectory_outcomes() -> Mapping[str, OutcomeKind]:
    return OUTCOMES


@hookimpl
def connectory_codecs() -> Mapping[str, Codec]:
    return BUILT_IN


@hookimpl
def connectory_formats() -> Mapping[str, Format]:
    return FORMATS


@hookimpl
def connectory_destinations() -> Mapping[str, DestinationKind]:
    return DESTINATIONS
