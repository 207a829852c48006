"""Cost must not grow with use: every query finds its rows by an index, in their order, and scans and sorts nothing."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import NoResultFound

from infra.database import (
    active_runs,
    assistants,
    messages,
    ops_runs,
    prompts,
    run_events,
    run_finalization,
    run_retries,
    run_steps,
    runs,
    sweeps,
    thread_queue,
    threads,
    token_usage,
    tool_calls,
    tool_results,
    turns,
    workflows_at_work,
)
from infra.database.engine import Database
from infra.database.ops_runs import RunFilter
from infra.database.run_tables import RUNS
from infra.database.thread_tables import THREADS
from infra.database.tool_results import CallTiming, CallToRun
from infra.database.turns import Begun
from models.answers import Answer
from models.finalization import Finalization
from models.language_model import TextDelta
from models.lists import Order, PageRequest
from models.messages import CreateMessageRequest
from models.runs import LastErrorCode, RunStatus, ToolOutput
from models.step_events import STREAM_START
from models.tool_calls import SearchHits, ToolCall, ToolKind
from models.tools import FileSearchResources, ToolResources
from models.turn_attempts import TurnAttempt
from models.turns import ToolCallInput, TurnInput
from tests.infra.database.conftest import PROJECT, SHARES_FILLED, Stored
from tests.infra.database.plans import BY_ID, plan_of

pytestmark = SHARES_FILLED

Query = Callable[[Connection, Stored], object]
HELLO = CreateMessageRequest(role="user", content="Hello")


@pytest.fixture(scope="module")
def database(filled: Database) -> Database:
    """For what is stored beside so many rows."""
    return filled


def submit(connection: Connection, stored: Stored) -> None:
    awaits_outputs = {"status": RunStatus.REQUIRES_ACTION}
    connection.execute(update(RUNS).where(RUNS.c.id == stored.run_id).values(**awaits_outputs))
    # The run has not called anything, and so has no step to complete.
    with suppress(NoResultFound):
        runs.accept_outputs(connection, PROJECT, stored.thread_id, stored.run_id, list[ToolOutput]())


def commit(connection: Connection, stored: Stored) -> None:
    begun = turns.begin(connection, TurnInput(stored.run_id, 0), "an-execution", fencing_token=1)
    assert isinstance(begun, Begun)
    attempt = TurnAttempt("an-execution", turn=0, attempt=1, fencing_token=1, started_at_ms=0)
    answer = Answer()
    answer.add(TextDelta("Hi"))
    assert turns.commit(connection, begun, attempt, answer, STREAM_START) is not None


def store_result(connection: Connection, stored: Stored) -> None:
    call = ToolCallInput(stored.run_id, 0, "call_of_query_plans")
    connection.execute(update(RUNS).where(RUNS.c.id == stored.run_id).values(status=RunStatus.IN_PROGRESS))
    made = ToolCall(call.call_id, ToolKind.FILE_SEARCH, "file_search", "{}", 0, 0)
    tool_calls.store(connection, PROJECT, stored.run_id, "step_of_query_plans", [made])
    assert isinstance(tool_results.find_to_run(connection, call), CallToRun)
    # The run has no step to complete.
    with suppress(NoResultFound):
        tool_results.store_result(connection, call, SearchHits(()), CallTiming(1, 0))


def advance(connection: Connection, stored: Stored) -> None:
    thread_queue.advance(connection, threads.lock_any(connection, stored.thread_id))


def advance_queue(connection: Connection, stored: Stored) -> None:
    connection.execute(update(THREADS).where(THREADS.c.id == stored.thread_id).values(has_queue=True))
    advance(connection, stored)


def command_of_retry(connection: Connection, stored: Stored) -> None:
    run = connection.execute(select(RUNS).where(RUNS.c.id == stored.run_id)).one()
    with suppress(NoResultFound):
        run_retries.command_of(connection, run)


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
        {BY_ID.format("runs"), BY_ID.format("turns"), "messages_by_thread"},
    ),
    (
        "commit-turn",
        commit,
        {BY_ID.format("runs"), BY_ID.format("turns"), BY_ID.format("threads"), "messages_by_thread"},
    ),
    (
        "find-turn",
        lambda connection, stored: turns.find_done(connection, TurnInput(stored.run_id, 0)),
        {BY_ID.format("runs"), BY_ID.format("turns")},
    ),
    (
        "finalize",
        lambda connection, stored: run_finalization.finalize(
            connection, Finalization(stored.run_id, RunStatus.FAILED, by="an-execution")
        ),
        {
            BY_ID.format("runs"),
            BY_ID.format("threads"),
            BY_ID.format("turns"),
            BY_ID.format("run_retries"),
            "run_steps_by_run",
        },
    ),
    (
        "replay",
        lambda connection, stored: run_events.replay_after(connection, stored.run_id, 0),
        {BY_ID.format("runs"), "run_steps_by_run"},
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
            BY_ID.format("sandbox_files"),
            BY_ID.format("sandbox_sessions"),
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
        {BY_ID.format("runs"), BY_ID.format("threads"), BY_ID.format("turns"), "tool_calls_by_run"},
    ),
    (
        "tool-result",
        store_result,
        {BY_ID.format("runs"), BY_ID.format("tool_calls"), "tool_calls_by_run", "run_steps_by_run"},
    ),
    (
        "resources-of-thread",
        lambda connection, _: threads.set_resources(connection, 3, ToolResources()),
        set(),
    ),
    (
        "lock-assistant",
        lambda connection, stored: assistants.lock(connection, PROJECT, stored.assistant_id),
        {BY_ID.format("assistants")},
    ),
    (
        "stores-of-assistant",
        lambda connection, stored: assistants.set_file_search(
            connection, PROJECT, stored.assistant_id, FileSearchResources()
        ),
        {BY_ID.format("assistants")},
    ),
    (
        "advance",
        advance,
        {BY_ID.format("threads")},
    ),
    (
        "advance-queue",
        advance_queue,
        {BY_ID.format("threads"), "runs_waiting", "messages_waiting"},
    ),
    ("command-of-retry", command_of_retry, {BY_ID.format("runs"), BY_ID.format("run_retries")}),
    ("overdue", lambda connection, _: sweeps.overdue(connection, 0, 5, 10), {"runs_awaiting_command"}),
    (
        "active-among",
        lambda connection, stored: sweeps.active_among(connection, [stored.run_id, "run_x"]),
        {BY_ID.format("runs")},
    ),
    ("past-deadline", lambda connection, _: sweeps.past_deadline(connection, 5, 10), {"runs_with_deadline"}),
    (
        "prompt",
        lambda connection, stored: prompts.message_page(connection, stored.thread_id, before=5),
        {"messages_by_thread"},
    ),
    (
        "past-turns",
        lambda connection, stored: prompts.past_turns(connection, stored.run_id, turn=1),
        {"run_steps_by_run", BY_ID.format("messages"), "tool_calls_by_run", BY_ID.format("turns")},
    ),
    ("usage", lambda connection, stored: token_usage.used_tokens(connection, stored.run_id), {BY_ID.format("turns")}),
]


@pytest.mark.parametrize(("query", "indexes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_query_uses_its_index(filled: Database, stored: Stored, query: Query, indexes: set[str]) -> None:
    plan = plan_of(filled, lambda connection: query(connection, stored))

    assert not plan.scans_and_sorts
    # By project and seq, Postgres finds a thread as quickly as by seq, and one failed run among a few by its status.
    as_good = {"threads_by_project"} if "threads_by_metadata" in indexes else {"runs_by_status"} - indexes
    assert plan.indexes - as_good == indexes


def test_active_runs_are_counted_from_their_own_indexes(filled: Database) -> None:
    plan = plan_of(filled, active_runs.load)

    assert plan.indexes == {"runs_active", "runs_awaiting_command"}


def test_workflows_at_work_are_found_in_their_own_indexes(filled: Database) -> None:
    plan = plan_of(filled, workflows_at_work.ids)

    by_seq = {"", "runs_pkey"}
    own = {"runs_active", "vector_store_files_in_progress", "web_crawls_in_progress"}
    assert plan.indexes - by_seq == own
