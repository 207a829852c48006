"""Publishes the events of a commit to the run's event stream."""

from infra.ports import EventBatch, EventStream


async def publish(stream: EventStream, run_id: str, events: EventBatch) -> None:
    """Call it after the commit, as readers may act on events at once, and before Temporal is commanded.

    Returns once the events are in the stream: the next ones may be those of another process, and would be ahead.
    """
    if events.events:
        await stream.append(run_id, events.first, events.events)
        await stream.flush(run_id)
