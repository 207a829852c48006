"""How much of runs' events is kept in memory or in Redis: a stream that nobody reads must not fill either."""

from collections.abc import Sequence

from models.events import Event

MAX_EVENTS_PER_RUN = 20_000

MAX_SIZE = 64_000_000
"""Of all runs' events in one process, as `size_of` counts it."""

EVENT_OVERHEAD = 100


def size_of(events: Sequence[Event]) -> int:
    """Characters, and about what the objects take beside them."""
    return sum(len(event.data) + EVENT_OVERHEAD for event in events)
