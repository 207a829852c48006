"""Number of database statements of a run."""

import asyncio
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event

from models.events import Event
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Says
from tests.provider.scripted_provider import ScriptedProvider

MOST_STATEMENTS = 13
ENDED = "thread.run.completed"
# The sweep may be under way: it alone reads in the order of a time. Each worker looks at the others all the time.
OF_RECONCILER = re.compile(r"ORDER BY \w+\.\w+_at\b|FROM workers\b")
TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK")


@pytest.mark.any_database
async def test_text_run_takes_few_statements(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("frugal", Says("Hello there."))
    assistant = await holdfast.assistant("frugal")
    thread = await holdfast.client.beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
    recorded: list[tuple[str, Sequence[Any]]] = []

    def record(_: Connection, __: object, statement: str, parameters: Sequence[Any], *___: Any) -> None:
        if not statement.startswith(TRANSACTION) and not OF_RECONCILER.search(statement):
            recorded.append((statement, parameters))

    event.listen(holdfast.resources.database.engine, "before_cursor_execute", record)
    try:
        run = await holdfast.client.beta.threads.runs.create(thread.id, assistant_id=assistant)
        # Wait by the stream: polls have statements of their own.
        async with asyncio.timeout(20):
            while ENDED not in [each.name for each in await _events(holdfast, run.id)]:
                await asyncio.sleep(0.01)
    finally:
        event.remove(holdfast.resources.database.engine, "before_cursor_execute", record)

    assert (await holdfast.until(run)).status == "completed"
    statements = [statement for statement, parameters in recorded if not _is_of_another_run(parameters, run.id)]
    assert len(statements) <= MOST_STATEMENTS, "\n".join(statements)


async def _events(holdfast: RunningHoldfast, run_id: str) -> Sequence[Event]:
    return (await holdfast.resources.event_stream.read(run_id, -1, timedelta(), limit=100)).events


def _is_of_another_run(parameters: Sequence[Any], run_id: str) -> bool:
    """The reconciler may be at work on the run of an earlier test."""
    return any(isinstance(each, str) and each.startswith("run_") and each != run_id for each in parameters)
