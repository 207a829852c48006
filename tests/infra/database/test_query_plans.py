"""Cost must not grow with use: every query finds its rows by an index, in their order, and scans and sorts nothing."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Column, Text, select, text
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from infra.database import (
    active_runs,
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
    turns,
)
from infra.database.connections import POSTGRES
from infra.database.engine import Database
from infra.database.ops_runs import RunFilter
from infra.database.tables import RUNS, Table
from models.errors import NotFound, WrongStatus
from models.lists import Order, PageRequest
from models.messages import CreateMessageRequest
from models.runs import LastErrorCode, RunStatus, ToolOutput
from models.turns import TurnInput
from tests.database import reading, writing
from tests.infra.database.conftest import PROJECT, Stored, recorded

Query = Callable[[AsyncSession, Stored], Awaitable[object]]
BY_ID = "sqlite_autoindex_{}_1"
HELLO = CreateMessageRequest(role="user", content="Hello")
BY_SEQ = ""
"""In SQLite that is the table itself."""

ROWS = 10_000
VALUES = {
    "id": "'x' || n",
    "project_id": f"CASE n % 200 WHEN 0 THEN '{PROJECT}' ELSE 'project_' || n % 200 END",
    "thread_id": "'thread_' || n / 20",
    # Assistants and threads are deleted as well, which are in no thread.
    "deleted_items.thread_id": "CASE n % 2 WHEN 0 THEN 'thread_' || n / 20 END",
    "run_id": "'run_' || n / 5",
    "step_id": "'step_' || n / 5",
    "turn": "n % 5",
    "retries": "0",
    "on_active_run": "'reject'",
    "position": "n % 5",
    "status": "CASE n % 20 WHEN 0 THEN 'requires_action' ELSE 'completed' END",
    "thread_seq": "n / 2",
    "thread_metadata.key": "CASE n % 2 WHEN 0 THEN 'user' ELSE 'team' END",
    "value": "'value_' || n / 10",
    "waiting": "false",
    "tools": "'[]'",
    "response_format": "'\"auto\"'",
    "tool_choice": "'\"auto\"'",
    "truncation_strategy": """'{"type": "auto"}'""",
}
"""What rows are filled with, from their number `n`."""


async def drain(rows: AsyncIterator[object]) -> None:
    async for _ in rows:
        pass


async def run_row(connection: Connection, stored: Stored) -> RUNS:
    return (connection.scalars(select(RUNS).where(RUNS.c.id == stored.run_id))).one()


async def newest_messages(connection: Connection, stored: Stored) -> None:
    await drain(prompts.messages_newest_first(connection, await run_row(session, stored)))


async def past_turns(connection: Connection, stored: Stored) -> None:
    prompts.past_turns(connection, await run_row(session, stored))


async def submit(connection: Connection, stored: Stored) -> None:
    row = await run_row(session, stored)
    row.status = RunStatus.REQUIRES_ACTION
    connection.flush()
    # The row was never asked anything, and so has no step to close.
    with suppress(NoResultFound):
        runs.accept_outputs(connection, PROJECT, row.thread_id, row.id, list[ToolOutput]())


def listed(**page: Any) -> list[tuple[str, Query, set[str]]]:
    request = PageRequest(**page)
    shown = "-".join(map(str, page.values())) or "first"
    return [
        (
            f"assistants-{shown}",
            lambda connection, _: assistants.list_page(connection, PROJECT, request),
            {"assistants_by_project"},
        ),
        (
            f"messages-{shown}",
            lambda connection, stored: messages.list_page(connection, PROJECT, stored.thread_id, request, None),
            {"messages_by_thread"},
        ),
        (
            f"messages-of-run-{shown}",
            lambda connection, stored: messages.list_page(
                connection, PROJECT, stored.thread_id, request, stored.run_id
            ),
            {"messages_by_run"},
        ),
        (
            f"runs-{shown}",
            lambda connection, stored: runs.list_page(connection, PROJECT, stored.thread_id, request),
            {"runs_by_thread"},
        ),
        (
            f"steps-{shown}",
            lambda connection, stored: run_steps.list_page(connection, PROJECT, stored.run_id, request),
            {"run_steps_by_run"},
        ),
    ]


CASES: list[tuple[str, Query, set[str]]] = [
    *listed(),
    *listed(order=Order.ASC),
    (
        "assistants-after-unknown",
        lambda connection, _: assistants.list_page(connection, PROJECT, PageRequest(after="asst_x")),
        {BY_ID.format("assistants"), BY_ID.format("deleted_items")},
    ),
    (
        "messages-before-unknown",
        lambda connection, stored: messages.list_page(
            connection, PROJECT, stored.thread_id, PageRequest(before="msg_x"), None
        ),
        {BY_ID.format("messages"), BY_ID.format("deleted_items")},
    ),
    (
        "assistant",
        lambda connection, stored: assistants.load(connection, PROJECT, stored.assistant_id),
        {BY_ID.format("assistants")},
    ),
    (
        "thread",
        lambda connection, stored: threads.load(connection, PROJECT, stored.thread_id),
        {BY_ID.format("threads")},
    ),
    (
        "run",
        lambda connection, stored: runs.load(connection, PROJECT, stored.thread_id, stored.run_id),
        {BY_ID.format("runs")},
    ),
    (
        "step",
        lambda connection, stored: run_steps.load(connection, PROJECT, stored.run_id, "step_x"),
        {BY_ID.format("run_steps")},
    ),
    ("active-run", lambda connection, stored: threads.active_run_id(connection, stored.thread_id), {"runs_active"}),
    (
        "cancel",
        lambda connection, stored: runs.begin_cancelling(connection, PROJECT, stored.thread_id, stored.run_id),
        {BY_ID.format("runs"), BY_ID.format("threads")},
    ),
    (
        "begin-turn",
        lambda connection, stored: turns.begin(
            connection, TurnInput(stored.run_id, 0), "an-execution", fencing_token=1
        ),
        {BY_ID.format("runs"), "messages_by_thread"},
    ),
    ("submit", submit, {BY_ID.format("runs"), "tool_calls_by_run", "run_steps_by_run"}),
    (
        "add-message",
        lambda connection, stored: messages.add(connection, PROJECT, stored.thread_id, [HELLO]),
        {BY_ID.format("threads"), "messages_by_thread"},
    ),
    (
        "delete-message",
        lambda connection, stored: messages.remove(connection, PROJECT, stored.thread_id, "msg_x"),
        {BY_ID.format("threads"), BY_ID.format("messages")},
    ),
    (
        "delete-assistant",
        lambda connection, stored: assistants.remove(connection, PROJECT, stored.assistant_id),
        {BY_ID.format("assistants"), BY_ID.format("deleted_items"), "deleted_items_by_age"},
    ),
    (
        "delete-thread",
        lambda connection, stored: threads.remove(connection, PROJECT, stored.thread_id),
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
    (
        "threads",
        lambda connection, _: threads.list_page(connection, PROJECT, PageRequest(), {}),
        {"threads_by_project"},
    ),
    (
        "threads-with-metadata",
        lambda connection, _: threads.list_page(connection, PROJECT, PageRequest(), {"user": "ada"}),
        {"threads_by_metadata"},
    ),
    (
        "threads-with-two-pairs",
        lambda connection, _: threads.list_page(connection, PROJECT, PageRequest(), {"user": "ada", "team": "a"}),
        {"threads_by_metadata", BY_ID.format("thread_metadata")},
    ),
    (
        "threads-with-metadata-after",
        lambda connection, stored: threads.list_page(
            connection, PROJECT, PageRequest(after=stored.thread_id), {"user": "ada"}
        ),
        {"threads_by_metadata", BY_ID.format("threads")},
    ),
    (
        "all-runs",
        lambda connection, _: runs.list_everywhere(connection, PROJECT, PageRequest(), None),
        {"runs_by_project"},
    ),
    (
        "all-runs-of-a-status",
        lambda connection, _: runs.list_everywhere(connection, PROJECT, PageRequest(), RunStatus.FAILED),
        {"runs_by_status"},
    ),
    (
        "all-runs-of-a-status-after",
        lambda connection, stored: runs.list_everywhere(
            connection, PROJECT, PageRequest(after=stored.run_id), RunStatus.FAILED
        ),
        {"runs_by_status", BY_ID.format("runs")},
    ),
    *(
        (
            f"ops-runs-{'-'.join(wanted)}",
            lambda connection, _, wanted=wanted: ops_runs.list_page(
                connection, PROJECT, PageRequest(), RunFilter(**wanted)
            ),
            indexes,
        )
        for wanted, indexes in (
            ({"since": 5}, {"runs_by_creation", "runs_by_project"}),
            ({"assistant_id": "asst_x", "since": 5}, {"runs_by_creation", "runs_by_assistant"}),
            ({"thread_id": "thread_x"}, {"runs_by_thread"}),
            ({"status": RunStatus.FAILED, "since": 5}, {"runs_by_failure", "runs_by_status"}),
            ({"error": LastErrorCode.SERVER_ERROR}, {"runs_by_status"}),
        )
    ),
    (
        "ops-run",
        lambda connection, stored: ops_runs.record(connection, PROJECT, stored.run_id),
        {BY_ID.format("runs"), BY_ID.format("turns"), BY_ID.format("run_retries"), "tool_calls_by_run"},
    ),
    (
        "retry",
        lambda connection, stored: run_retries.request(connection, PROJECT, stored.run_id, "me"),
        {BY_ID.format("runs"), BY_ID.format("threads"), BY_ID.format("turns")},
    ),
    (
        "advance",
        lambda connection, stored: thread_queue.advance(connection, stored.thread_id),
        {BY_ID.format("threads")},
    ),
    ("overdue", lambda connection, _: sweeps.overdue(connection, 0, 5, 10), {"runs_awaiting_command"}),
    (
        "active-among",
        lambda connection, stored: sweeps.active_among(connection, [stored.run_id, "run_x"]),
        {BY_ID.format("runs")},
    ),
    ("past-deadline", lambda connection, _: sweeps.past_deadline(connection, 5, 10), {"runs_with_deadline"}),
    ("prompt", newest_messages, {BY_ID.format("runs"), "messages_by_thread"}),
    (
        "past-turns",
        past_turns,
        {BY_ID.format("runs"), "run_steps_by_run", BY_ID.format("messages"), "tool_calls_by_run"},
    ),
    ("usage", lambda connection, stored: turns.used_tokens(connection, stored.run_id), {BY_ID.format("turns")}),
]


@pytest.fixture(scope="module")
async def filled(database: Database) -> Database:
    """So many rows that Postgres, which reads a small table as a whole, has a use for indexes."""
    if database.engine.dialect.name == POSTGRES:
        await fill(database)
    return database


@pytest.mark.parametrize(("query", "indexes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_query_uses_its_index(filled: Database, stored: Stored, query: Query, indexes: set[str]) -> None:
    explained = explain_postgres if filled.engine.dialect.name == POSTGRES else explain_sqlite

    plan = await plan_of(filled, lambda connection: query(session, stored), explained)

    assert not plan.scans_and_sorts
    # By project and seq, Postgres finds a thread as quickly as by seq, and one failed run among a few by its status.
    as_good = {"threads_by_project"} if "threads_by_metadata" in indexes else {"runs_by_status"} - indexes
    assert plan.indexes - as_good == indexes


async def test_standings_look_only_at_runs_under_way(filled: Database) -> None:
    explained = explain_postgres if filled.engine.dialect.name == POSTGRES else explain_sqlite

    plan = await plan_of(filled, lambda connection: active_runs.load(connection), explained)

    assert plan.indexes == {"runs_active", "runs_awaiting_command"}


@dataclass
class Plan:
    """What a database does for a query: the indexes that it finds rows by, and what it should not do."""

    indexes: set[str] = field(default_factory=set)
    scans_and_sorts: list[str] = field(default_factory=list)


Explain = Callable[[AsyncConnection, str, Any, Plan], Awaitable[None]]


async def plan_of(database: Database, query: Callable[[AsyncSession], Awaitable[object]], explain: Explain) -> Plan:
    """The plans of all statements of `query`, which is rolled back."""
    plan = Plan()
    with reading(database) as connection:
        connection = connection.connection()
        with recorded(database) as statements, suppress(NotFound, WrongStatus):
            await query(session)
        for statement, parameters in statements:
            await explain(connection, statement, parameters, plan)
        connection.rollback()
    return plan


async def explain_sqlite(connection: AsyncConnection, statement: str, parameters: Any, plan: Plan) -> None:
    for step in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
        plan.indexes |= set(re.findall(r"INDEX (\w+)", step.detail))
        if step.detail.startswith("SCAN") or "TEMP B-TREE" in step.detail:
            plan.scans_and_sorts.append(step.detail)


async def explain_postgres(connection: AsyncConnection, statement: str, parameters: Any, plan: Plan) -> None:
    # What is few it would rather collect and sort; to be shown is that it need not.
    for way in ("seqscan", "bitmapscan", "sort"):
        await connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
    explained = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    for node in nodes_of(explained.scalar_one()[0]["Plan"]):
        plan.indexes |= {sqlite_name(index) for index in [node.get("Index Name")] if index} - {BY_SEQ}
        if "Seq Scan" in node["Node Type"] or "Sort" in node["Node Type"]:
            plan.scans_and_sorts.append(node["Node Type"])


def sqlite_name(index: str) -> str:
    """What SQLite calls an index that neither database was told a name for."""
    if not (unnamed := re.fullmatch(r"(\w+?)_(id_key|pkey)", index)):
        return index
    table, kind = unnamed.groups()
    return (
        BY_SEQ if kind == "pkey" and "seq" in Table.metadata.tables[table].primary_key.columns else BY_ID.format(table)
    )


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from nodes_of(child)


def filling(column: Column[Any]) -> str:
    known = VALUES.get(str(column), VALUES.get(column.name))
    if known or column.nullable:
        return known or "NULL"
    return {JSON: "'{}'", Boolean: "true", Text: "'x' || n"}.get(type(column.type), "n")


async def fill(database: Database) -> None:
    with writing(database) as connection:
        for table in Table.metadata.tables.values():
            values = {
                column.name: filling(column) for column in table.columns if column is not table.autoincrement_column
            }
            rows = f"SELECT {', '.join(values.values())} FROM generate_series(1, {ROWS}) AS n"
            connection.execute(text(f"INSERT INTO {table.name} ({', '.join(values)}) {rows}"))
        connection.execute(text("ANALYZE"))
