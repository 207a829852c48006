"""Shows what a commit has brought about to those who follow the run."""

from infra.ports import EventBatch, EventStream


async def publish(stream: EventStream, run_id: str, events: EventBatch) -> None:
    """Call it after the commit: readers may act on what they see at once."""
    if events.events:
        await stream.append(run_id, events.first, events.events)
