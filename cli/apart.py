"""What `holdfast api` and `holdfast worker` need that run apart from each other, on one machine or on many."""

from infra.errors import StartFailed
from infra.settings import Settings


class EventStreamMissing(StartFailed):
    """No event stream carries events between the processes of API and workers."""

    def __init__(self) -> None:
        super().__init__(
            "The events of runs have no way from one process to another: set HOLDFAST_EVENT_STREAM_URL to a Redis or "
            "Valkey, as in redis://localhost:6379/0, or run `holdfast up`, which starts one of its own."
        )


def check_apart(settings: Settings) -> None:
    """Raises `EventStreamMissing`."""
    if not settings.event_stream_url:
        raise EventStreamMissing
