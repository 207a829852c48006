"""How events lie in Redis.

A run is one stream; its event with number n has the id `1-n`, so that Redis itself refuses a second writer.
"""

from typing import Any

from infra.ports import EventBatch
from models.events import Event

RESTING = "holdfast:resting"
"""The channel on which the ids of runs that rest are published."""


def stream_of(run_id: str) -> str:
    """The key."""
    return f"holdfast:events:{run_id}"


def entry_id(number: int) -> str:
    return f"1-{number}"


def number_of(entry: bytes) -> int:
    return int(entry.partition(b"-")[2])


def entries_of(found: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """What XREAD found, in the order in which it was written."""
    # A dict in the protocol's version 3, a list of pairs in version 2.
    streams = list(found.values()) if isinstance(found, dict) else [entries for _, entries in found or ()]
    return [entry for entries in streams for entry in _flat(entries)]


def _flat(entries: Any) -> Any:
    return entries[0] if entries and isinstance(entries[0], list) else entries


def batch_of(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> EventBatch:
    """The entries up to the first gap."""
    first = number_of(entries[0][0])
    events = [
        Event(fields[b"name"].decode(), fields[b"data"].decode())
        for number, (entry, fields) in enumerate(entries, first)
        if number_of(entry) == number
    ]
    return EventBatch(first, events)
