"""How many events are kept in memory or in Redis: a stream without readers must not fill either."""

from collections.abc import Sequence

from models.events import Event

MAX_EVENTS_PER_RUN = 20_000

MAX_SIZE = 64_000_000
"""Of all runs' events in one process, as `size_of` counts it."""

EVENT_OVERHEAD = 100


def size_of(events: Sequence[Event]) -> int:
    """Characters, and about as many bytes as the objects take beside them."""
    return sum(len(event.data) + EVENT_OVERHEAD for event in events)
