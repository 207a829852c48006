"""Cost must not grow with use: every query finds its rows by an index, in their order, and scans and sorts nothing."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database import (
    assistants,
    messages,
    ops_runs,
    prompts,
    run_retries,
    run_steps,
    runs,
    sweeps,
    thread_queue,
    threads,
)
from infra.database.engine import Database
from infra.database.ops_runs import RunFilter
from infra.database.tables import RunRow
from infra.database.turns import used_tokens
from models.errors import NotFound, WrongStatus
from models.lists import Order, PageRequest
from models.messages import CreateMessageRequest
from models.runs import LastErrorCode, RunStatus, ToolOutput
from tests.infra.database.conftest import PROJECT, Stored

Query = Callable[[AsyncSession, Stored], Awaitable[object]]
BY_ID = "sqlite_autoindex_{}_1"
HELLO = CreateMessageRequest(role="user", content="Hello")


async def drain(rows: AsyncIterator[object]) -> None:
    async for _ in rows:
        pass


async def run_row(session: AsyncSession, stored: Stored) -> RunRow:
    row = await session.get(RunRow, 1)
    assert row is not None
    return row


async def newest_messages(session: AsyncSession, stored: Stored) -> None:
    await drain(prompts.messages_newest_first(session, await run_row(session, stored)))


async def past_turns(session: AsyncSession, stored: Stored) -> None:
    await prompts.past_turns(session, await run_row(session, stored))


async def submit(session: AsyncSession, stored: Stored) -> None:
    row = await run_row(session, stored)
    row.status = RunStatus.REQUIRES_ACTION
    await session.flush()
    await runs.accept_outputs(session, PROJECT, row.thread_id, row.id, list[ToolOutput]())


def listed(**page: Any) -> list[tuple[str, Query, set[str]]]:
    request = PageRequest(**page)
    shown = "-".join(map(str, page.values())) or "first"
    return [
        (
            f"assistants-{shown}",
            lambda session, _: assistants.list_page(session, PROJECT, request),
            {"assistants_by_project"},
        ),
        (
            f"messages-{shown}",
            lambda session, stored: messages.list_page(session, PROJECT, stored.thread_id, request, None),
            {"messages_by_thread"},
        ),
        (
            f"messages-of-run-{shown}",
            lambda session, stored: messages.list_page(session, PROJECT, stored.thread_id, request, stored.run_id),
            {"messages_by_run"},
        ),
        (
            f"runs-{shown}",
            lambda session, stored: runs.list_page(session, PROJECT, stored.thread_id, request),
            {"runs_by_thread"},
        ),
        (
            f"steps-{shown}",
            lambda session, stored: run_steps.list_page(session, PROJECT, stored.run_id, request),
            {"run_steps_by_run"},
        ),
    ]


CASES: list[tuple[str, Query, set[str]]] = [
    *listed(),
    *listed(order=Order.ASC),
    (
        "assistants-after-unknown",
        lambda session, _: assistants.list_page(session, PROJECT, PageRequest(after="asst_x")),
        {BY_ID.format("assistants"), BY_ID.format("deleted_items")},
    ),
    (
        "messages-before-unknown",
        lambda session, stored: messages.list_page(
            session, PROJECT, stored.thread_id, PageRequest(before="msg_x"), None
        ),
        {BY_ID.format("messages"), BY_ID.format("deleted_items")},
    ),
    (
        "assistant",
        lambda session, stored: assistants.load(session, PROJECT, stored.assistant_id),
        {BY_ID.format("assistants")},
    ),
    ("thread", lambda session, stored: threads.load(session, PROJECT, stored.thread_id), {BY_ID.format("threads")}),
    (
        "run",
        lambda session, stored: runs.load(session, PROJECT, stored.thread_id, stored.run_id),
        {BY_ID.format("runs")},
    ),
    (
        "step",
        lambda session, stored: run_steps.load(session, PROJECT, stored.run_id, "step_x"),
        {BY_ID.format("run_steps")},
    ),
    ("active-run", lambda session, stored: threads.active_run_id(session, stored.thread_id), {"runs_active"}),
    (
        "cancel",
        lambda session, stored: runs.begin_cancelling(session, PROJECT, stored.thread_id, stored.run_id),
        {BY_ID.format("runs")},
    ),
    ("submit", submit, {BY_ID.format("runs"), "tool_calls_by_run", "run_steps_by_run"}),
    (
        "add-message",
        lambda session, stored: messages.add(session, PROJECT, stored.thread_id, [HELLO]),
        {BY_ID.format("threads")},
    ),
    (
        "delete-message",
        lambda session, stored: messages.remove(session, PROJECT, stored.thread_id, "msg_x"),
        {BY_ID.format("threads"), BY_ID.format("messages")},
    ),
    (
        "delete-assistant",
        lambda session, stored: assistants.remove(session, PROJECT, stored.assistant_id),
        {BY_ID.format("assistants"), BY_ID.format("deleted_items"), "deleted_items_by_age"},
    ),
    (
        "delete-thread",
        lambda session, stored: threads.remove(session, PROJECT, stored.thread_id),
        {
            BY_ID.format("threads"),
            BY_ID.format("turns"),
            BY_ID.format("run_retries"),
            "messages_by_thread",
            "runs_by_thread",
            "run_steps_by_run",
            "tool_calls_by_run",
            "runs_active",
            "deleted_items_by_thread",
            "deleted_items_by_age",
            BY_ID.format("deleted_items"),
            BY_ID.format("thread_metadata"),
        },
    ),
    ("threads", lambda session, _: threads.list_page(session, PROJECT, PageRequest(), {}), {"threads_by_project"}),
    (
        "threads-with-metadata",
        lambda session, _: threads.list_page(session, PROJECT, PageRequest(), {"user": "ada"}),
        {"threads_by_metadata"},
    ),
    (
        "threads-with-two-pairs",
        lambda session, _: threads.list_page(session, PROJECT, PageRequest(), {"user": "ada", "team": "a"}),
        {"threads_by_metadata", BY_ID.format("thread_metadata")},
    ),
    ("all-runs", lambda session, _: runs.list_everywhere(session, PROJECT, PageRequest(), None), {"runs_by_project"}),
    (
        "all-runs-of-a-status",
        lambda session, _: runs.list_everywhere(session, PROJECT, PageRequest(), RunStatus.FAILED),
        {"runs_by_status"},
    ),
    *(
        (
            f"ops-runs-{'-'.join(wanted)}",
            lambda session, _, wanted=wanted: ops_runs.list_page(session, PROJECT, PageRequest(), RunFilter(**wanted)),
            {index},
        )
        for wanted, index in (
            ({"since": 5}, "runs_by_project"),
            ({"assistant_id": "asst_x", "since": 5}, "runs_by_assistant"),
            ({"thread_id": "thread_x"}, "runs_by_thread"),
            ({"status": RunStatus.FAILED, "since": 5}, "runs_by_status"),
            ({"error": LastErrorCode.SERVER_ERROR}, "runs_by_status"),
        )
    ),
    (
        "ops-run",
        lambda session, stored: ops_runs.record(session, PROJECT, stored.run_id),
        {BY_ID.format("runs"), BY_ID.format("turns"), BY_ID.format("run_retries"), "tool_calls_by_run"},
    ),
    (
        "retry",
        lambda session, stored: run_retries.request(session, PROJECT, stored.run_id, "me"),
        {BY_ID.format("runs")},
    ),
    (
        "advance",
        lambda session, stored: thread_queue.advance(session, stored.thread_id),
        {BY_ID.format("threads")},
    ),
    ("overdue", lambda session, _: sweeps.overdue(session, 5, 10), {"runs_awaiting_command"}),
    (
        "active-among",
        lambda session, stored: sweeps.active_among(session, [stored.run_id, "run_x"]),
        {BY_ID.format("runs")},
    ),
    ("past-deadline", lambda session, _: sweeps.past_deadline(session, 5, 10), {"runs_with_deadline"}),
    ("prompt", newest_messages, {"messages_by_thread"}),
    ("past-turns", past_turns, {"run_steps_by_run", BY_ID.format("messages"), "tool_calls_by_run"}),
    ("usage", lambda session, stored: used_tokens(session, stored.run_id), {BY_ID.format("turns")}),
]


@pytest.mark.parametrize(("query", "indexes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_query_uses_its_index(database: Database, stored: Stored, query: Query, indexes: set[str]) -> None:
    plan = await plan_of(database, lambda session: query(session, stored))

    assert not [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step]
    assert {index for step in plan for index in re.findall(r"INDEX (\w+)", step)} == indexes


async def plan_of(database: Database, query: Callable[[AsyncSession], Awaitable[object]]) -> list[str]:
    """What SQLite does for each statement of `query`, which is rolled back."""
    async with database.reading() as session:
        connection = await session.connection()
        with recorded(database) as statements, suppress(NotFound, WrongStatus):
            await query(session)
        steps = [
            step.detail
            for statement, parameters in statements
            for step in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
        await session.rollback()
    return steps


@contextmanager
def recorded(database: Database) -> Iterator[list[tuple[str, Any]]]:
    statements: list[tuple[str, Any]] = []

    def record(_: Connection, __: object, statement: str, parameters: Any, *___: object) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", record)
