"""Follows a run: by its event stream, and by the database for events that the stream does not have."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from datetime import timedelta

from infra.database import run_events, run_steps
from infra.database.engine import Database
from infra.database.outages import DatabaseUnavailable
from infra.ports import EventBatch, EventStream
from models.events import STEP_CLOSED, Event, NumberedEvent, numbered
from models.tool_calls import ToolKind

SILENCE = timedelta(seconds=5)
"""After so long without an event the database is asked for events that the stream never got."""

ASK_AGAIN_AFTER = timedelta(seconds=1)
"""How long readers wait for a database that is away, to which events before those of the stream are left."""

MAX_BATCH = 256
FILE_SEARCH = json.dumps(ToolKind.FILE_SEARCH)

log = logging.getLogger(__name__)


class RunGone(Exception):
    """The run was deleted, with its thread."""


class RunEvents:
    def __init__(self, database: Database, stream: EventStream, longest_silence: timedelta) -> None:
        self._database = database
        self._stream = stream
        self._longest_silence = longest_silence

    async def follow(self, run_id: str, after: int) -> AsyncGenerator[list[NumberedEvent], None]:
        """The run's events after number `after`, as they happen; ends where the run has ended and nothing follows.

        Yields an empty list after every `SILENCE`, or `longest_silence` where that is shorter. Raises `RunGone`. Events
        are read only when they are asked for, so that a slow reader takes no memory.
        """
        silence = min(SILENCE, self._longest_silence)
        batch = await self._stream.read(run_id, after, timedelta(), MAX_BATCH)
        events: list[NumberedEvent] | None = await self._with_past(run_id, after, batch)
        while events is not None:
            yield events
            after = events[-1].number if events else after
            batch = await self._stream.read(run_id, after, silence, MAX_BATCH)
            events = await self._with_past_if_known(run_id, after, batch)

    async def goes_on(self, run_id: str, number: int) -> bool:
        """Whether the database knows of events after `number`."""
        return (await self._database.read(run_events.next_event, run_id) or 0) > number + 1

    async def with_content(self, run_id: str, event: NumberedEvent) -> NumberedEvent:
        """A closed step with the content of its search results, which streams leave out; other events unchanged."""
        if event.event.name not in STEP_CLOSED or FILE_SEARCH not in event.event.data:
            return event
        step_id = json.loads(event.event.data)["id"]
        step = await self._database.read(run_steps.load_any, run_id, step_id, with_content=True)
        # The step of an aborted answer is not stored.
        return NumberedEvent(event.number, Event.of(event.event.name, step)) if step else event

    async def _with_past(self, run_id: str, after: int, batch: EventBatch) -> list[NumberedEvent] | None:
        """The batch, and before it events from the database. None: the run has ended before."""
        live = numbered(batch.first, batch.events)
        if live and live[0].number == after + 1:
            return live
        replayed = await self._database.read(run_events.replay_after, run_id, after)
        if replayed is None:
            raise RunGone
        if not live:
            return None if replayed.is_over and not replayed.events else replayed.events
        return [event for event in replayed.events if event.number < live[0].number] + live

    async def _with_past_if_known(self, run_id: str, after: int, batch: EventBatch) -> list[NumberedEvent] | None:
        try:
            return await self._with_past(run_id, after, batch)
        except DatabaseUnavailable as error:
            # An outage of the database does not end the stream.
            log.warning("run_events.database_down", extra={"run_id": run_id, "reason": error.reason})
            await asyncio.sleep(ASK_AGAIN_AFTER.total_seconds())
            return []
