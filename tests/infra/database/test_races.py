"""Transactions on one thread at once, which only Postgres lets run side by side: they take turns, in either order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from infra.database.answers import TurnAttempt
from sqlalchemy import func, select, text

from infra.database import assistants, messages, run_finalization, runs, thread_queue, threads, turns
from infra.database.engine import Database, open_database
from infra.database.run_finalization import RunEnd
from infra.database.tables import IS_ACTIVE, MESSAGES, RUNS
from infra.ports import NO_EVENTS
from models.answers import Answer
from models.assistants import CreateAssistantRequest
from models.errors import ApiError, NotFound, ThreadLocked, WrongStatus
from models.language_model import CallDelta, TextDelta
from models.messages import CreateMessageRequest, OnActiveRun
from models.run_specs import RunSpec
from models.runs import CreateRunRequest, Run, RunStatus, ToolOutput
from models.step_events import STREAM_START
from models.threads import CreateThreadRequest, ModifyThreadRequest
from models.turns import TurnInput
from tests.conftest import NewDatabase
from tests.database import reading, writing
from tests.infra.database.conftest import PROJECT

Work = Callable[[AsyncSession], Awaitable[Any]]
HELLO = CreateMessageRequest(role="user", content="Hello")
WAITS_FOR_LOCK = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
# Who is first is chance where nothing holds one of them back.
ROUNDS = 8


@pytest.fixture(scope="module")
async def database(new_postgres_database: NewDatabase) -> AsyncIterator[Database]:
    async with open_database(new_postgres_database()) as opened:
        yield opened


async def do(database: Database, work: Work) -> Any:
    with writing(database) as connection:
        return await work(session)


async def overlap(database: Database, first: Work, second: Work) -> Any:
    """Begin `second` before `first` commits. Returns what became of `second`, which had to wait."""
    with writing(database) as connection:
        await first(session)
        overlapping = asyncio.create_task(do(database, second))
        async with asyncio.timeout(10):
            while not await waits_for_lock(database):
                assert not overlapping.done(), "it did not wait"
    return (await asyncio.gather(overlapping, return_exceptions=True))[0]


async def waits_for_lock(database: Database) -> bool:
    # Each time in a transaction of its own: within one, Postgres shows what it showed at first.
    with reading(database) as connection:
        return bool(connection.scalar(text(WAITS_FOR_LOCK)))


async def at_once(database: Database, *works: Work) -> None:
    """Raises whatever one of them raises that a client is not to be told, such as a deadlock."""
    for outcome in await asyncio.gather(*(do(database, work) for work in works), return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, ApiError):
            raise outcome


def new_thread(connection: Connection, **fields: Any) -> Awaitable[Any]:
    return threads.create(connection, PROJECT, CreateThreadRequest(messages=[HELLO], **fields))


def create_run(thread_id: str, choice: OnActiveRun = "reject") -> Work:
    """What the API does for a new run."""

    async def work(connection: Connection) -> Run:
        thread = threads.lock(connection, PROJECT, thread_id)
        queued_behind = thread_queue.admit_or_enqueue(connection, thread, choice, ThreadLocked.for_run)
        assistant = assistants.create(connection, PROJECT, CreateAssistantRequest(model="m"))
        spec = RunSpec.of(assistant, CreateRunRequest(assistant_id=assistant.id), 600)
        return runs.create(connection, PROJECT, thread_id, spec, waiting=queued_behind is not None)

    return work


def create_message(thread_id: str, choice: OnActiveRun = "reject") -> Work:
    """What the API does for a new message. Returns where it was placed."""

    async def work(connection: Connection) -> int | None:
        thread = threads.lock(connection, PROJECT, thread_id)
        queued_behind = thread_queue.admit_or_enqueue(connection, thread, choice, ThreadLocked.for_message)
        messages.add(connection, PROJECT, thread_id, [HELLO], queued_behind)
        return queued_behind

    return work


def delete_message(thread_id: str, message_id: str) -> Work:
    async def work(connection: Connection) -> None:
        threads.lock(connection, PROJECT, thread_id)
        messages.remove(connection, PROJECT, thread_id, message_id)

    return work


def delete_thread(run: Run) -> Work:
    return lambda connection: threads.remove(connection, PROJECT, run.thread_id)


def cancel(run: Run) -> Work:
    async def work(connection: Connection) -> Run:
        cancelling = runs.begin_cancelling(connection, PROJECT, run.thread_id, run.id)
        cancelled, _ = run_finalization.cancel_waiting(connection, cancelling)
        return cancelled

    return work


def submit(run: Run, *outputs: ToolOutput) -> Work:
    return lambda connection: runs.accept_outputs(connection, PROJECT, run.thread_id, run.id, outputs)


def end(run: Run, status: RunStatus = RunStatus.FAILED) -> Work:
    return lambda connection: run_finalization.finalize(connection, run.id, RunEnd(status, ended_by="this execution"))


def reopen(run: Run) -> Work:
    return lambda connection: turns.reopen(connection, run.id, "a reset")


def begin(run: Run, fencing_token: int) -> Work:
    return lambda connection: turns.begin(connection, TurnInput(run.id, 0), "this execution", fencing_token)


def create_run_again(run: Run) -> Work:
    return create_run(run.thread_id, "enqueue")


def commit(run: Run, *deltas: TextDelta | CallDelta, fencing_token: int = 0) -> Work:
    async def work(connection: Connection) -> Any:
        answer = Answer()
        for delta in deltas:
            answer.add(delta)
        row = connection.scalar(select(RUNS).where(RUNS.c.id == run.id))
        if row is None:
            # Its thread was deleted before.
            return None
        return await turns.commit(
            connection, row, TurnAttempt(run.id, row.turn, 1, fencing_token, 0), answer, STREAM_START
        )

    return work


async def running(database: Database, **thread_fields: Any) -> Run:
    """A run in progress on a thread of its own."""
    thread = await do(database, lambda connection: new_thread(session, **thread_fields))
    run: Run = await do(database, create_run(thread.id))
    await do(database, lambda connection: runs.transition(connection, run.id, RunStatus.IN_PROGRESS))
    return run


async def waiting_for_outputs(database: Database) -> tuple[Run, ToolOutput]:
    run = await running(database)
    await do(database, commit(run, CallDelta(0, "weather", "{}")))
    asked = await state_of(database, run)
    return run, ToolOutput(tool_call_id=asked.required_action.submit_tool_outputs.tool_calls[0].id, output="sun")


async def state_of(database: Database, run: Run) -> Any:
    return await do(database, lambda connection: runs.load(connection, PROJECT, run.thread_id, run.id))


async def active_runs(database: Database, thread_id: str) -> int:
    query = select(func.count()).select_from(RUNS).where(RUNS.c.thread_id == thread_id, IS_ACTIVE)
    return int(await do(database, lambda connection: connection.scalar(query)))


async def test_of_two_runs_the_second_is_refused(database: Database) -> None:
    thread = await do(database, new_thread)

    refused = await overlap(database, create_run(thread.id), create_run(thread.id))

    assert isinstance(refused, ThreadLocked)
    assert f"Thread {thread.id} already has an active run run_" in str(refused)


async def test_a_message_is_refused_whose_thread_a_run_just_took(database: Database) -> None:
    thread = await do(database, new_thread)

    refused = await overlap(database, create_run(thread.id), create_message(thread.id))

    assert isinstance(refused, ThreadLocked)


async def test_a_message_that_comes_while_the_run_ends_finds_the_thread_free(database: Database) -> None:
    run = await running(database)

    placed = await overlap(database, end(run), create_message(run.thread_id, "enqueue"))

    assert placed is None


async def test_a_run_that_ends_lets_in_the_message_that_joined_meanwhile(database: Database) -> None:
    run = await running(database)

    await overlap(database, create_message(run.thread_id, "enqueue"), end(run))

    left = select(func.count()).where(MESSAGES.c.thread_id == run.thread_id, MESSAGES.c.queued_behind.is_not(None))
    assert await do(database, lambda connection: connection.scalar(left)) == 0


async def test_a_run_that_is_taken_up_again_keeps_a_new_one_out(database: Database) -> None:
    run = await running(database)
    await do(database, end(run))

    refused = await overlap(database, reopen(run), create_run(run.thread_id))

    assert isinstance(refused, ThreadLocked)
    assert str(refused) == f"Thread {run.thread_id} already has an active run {run.id}."


async def test_a_new_run_keeps_one_from_being_taken_up_again(database: Database) -> None:
    run = await running(database)
    await do(database, end(run))

    refused = await overlap(database, create_run(run.thread_id), reopen(run))

    assert isinstance(refused, ThreadLocked)
    assert "can't be resumed" in str(refused)


async def test_of_two_submits_the_second_is_refused(database: Database) -> None:
    run, output = await waiting_for_outputs(database)

    refused = await overlap(database, submit(run, output), submit(run, output))

    assert isinstance(refused, WrongStatus)
    assert str(refused) == 'Runs in status "queued" do not accept tool outputs.'


async def test_outputs_for_a_thread_that_is_being_deleted_find_no_run(database: Database) -> None:
    run, output = await waiting_for_outputs(database)

    refused = await overlap(database, delete_thread(run), submit(run, output))

    assert isinstance(refused, NotFound)


async def test_an_answer_that_comes_after_cancel_is_not_kept(database: Database) -> None:
    run = await running(database)

    committed = await overlap(database, cancel(run), commit(run, TextDelta("Too late")))

    assert committed is None
    assert (await state_of(database, run)).status == "cancelling"


async def test_of_two_attempts_the_older_one_gives_way(database: Database) -> None:
    run = await running(database)

    older = await overlap(database, begin(run, fencing_token=2), begin(run, fencing_token=1))
    newer = await overlap(database, begin(run, fencing_token=2), begin(run, fencing_token=3))

    assert older is None
    assert newer.run.fencing_token == 3


async def test_an_attempt_finds_the_run_begun_that_was_queued(database: Database) -> None:
    first, second = [await do(database, create_run((await do(database, new_thread)).id)) for _ in range(2)]

    older = await overlap(database, begin(first, fencing_token=2), begin(first, fencing_token=1))
    newer = await overlap(database, begin(second, fencing_token=1), begin(second, fencing_token=2))

    assert older is None
    assert (newer.run.fencing_token, newer.events) == (2, NO_EVENTS)


async def test_an_attempt_that_knows_nothing_of_a_retry_has_no_say_in_it(database: Database) -> None:
    run = await running(database)
    await do(database, begin(run, fencing_token=2))
    await do(database, end(run))

    committed = await overlap(database, reopen(run), commit(run, TextDelta("Too late"), fencing_token=2))

    assert committed is None
    assert (await state_of(database, run)).status == "in_progress"


async def test_an_answer_that_comes_after_a_newer_attempt_is_not_kept(database: Database) -> None:
    run = await running(database)

    committed = await overlap(database, begin(run, fencing_token=1), commit(run, TextDelta("Too late")))

    assert committed is None
    assert (await state_of(database, run)).status == "in_progress"


async def test_an_attempt_that_comes_after_the_answer_has_nothing_to_do(database: Database) -> None:
    run = await running(database)

    begun = await overlap(database, commit(run, TextDelta("In time")), begin(run, fencing_token=1))

    assert begun is None
    assert (await state_of(database, run)).status == "completed"


async def test_cancel_after_the_answer_is_refused(database: Database) -> None:
    run = await running(database)

    refused = await overlap(database, commit(run, TextDelta("In time")), cancel(run))

    assert isinstance(refused, WrongStatus)
    assert str(refused) == "Cannot cancel run with status 'completed'."


async def test_a_cancelled_waiting_run_leaves_its_turn_to_the_next(database: Database) -> None:
    run = await running(database)
    cancelled, following = [await do(database, create_run(run.thread_id, "enqueue")) for _ in range(2)]

    ended = await overlap(database, cancel(cancelled), end(run))

    assert ended.next_run.id == following.id
    assert (await state_of(database, cancelled)).status == "cancelled"


async def test_a_message_deleted_while_it_is_let_in_is_deleted(database: Database) -> None:
    run = await running(database)
    await do(database, create_message(run.thread_id, "enqueue"))
    newest = select(MESSAGES.c.id).where(MESSAGES.c.thread_id == run.thread_id).order_by(MESSAGES.c.seq.desc())
    message_id = await do(database, lambda connection: connection.scalar(newest.limit(1)))

    outcome = await overlap(database, end(run), delete_message(run.thread_id, message_id))

    assert outcome is None
    assert (
        await do(database, lambda connection: connection.scalar(select(1).where(MESSAGES.c.id == message_id))) is None
    )


async def test_a_message_that_was_deleted_is_not_let_in(database: Database) -> None:
    run = await running(database)
    await do(database, create_message(run.thread_id, "enqueue"))
    newest = select(MESSAGES.c.id).where(MESSAGES.c.thread_id == run.thread_id).order_by(MESSAGES.c.seq.desc())
    message_id = await do(database, lambda connection: connection.scalar(newest.limit(1)))

    await overlap(database, delete_message(run.thread_id, message_id), end(run))

    assert (
        await do(database, lambda connection: connection.scalar(select(1).where(MESSAGES.c.id == message_id))) is None
    )


async def test_the_last_of_two_changes_of_metadata_stands(database: Database) -> None:
    thread = await do(database, lambda connection: new_thread(session, metadata={"user": "ada"}))

    def change(**metadata: str) -> Work:
        return lambda connection: threads.modify(connection, PROJECT, thread.id, ModifyThreadRequest(metadata=metadata))

    changed = await overlap(database, change(user="bob", team="a"), change(user="eve", team="b"))

    assert changed.metadata == {"user": "eve", "team": "b"}


@pytest.mark.parametrize("other", [end, cancel, commit, create_run_again, reopen], ids=lambda work: work.__name__)
async def test_a_thread_is_deleted_while_something_happens_on_it(
    database: Database, other: Callable[[Run], Work]
) -> None:
    for _ in range(ROUNDS):
        run = await running(database)
        await do(database, create_run_again(run))
        if other is reopen:
            await do(database, end(run))

        await at_once(database, other(run), delete_thread(run))

        assert await active_runs(database, run.thread_id) == 0


async def test_a_thread_is_deleted_while_outputs_come(database: Database) -> None:
    for _ in range(ROUNDS):
        run, output = await waiting_for_outputs(database)

        await at_once(database, submit(run, output), delete_thread(run))

        assert await active_runs(database, run.thread_id) == 0


async def test_a_queue_is_cancelled_while_it_advances(database: Database) -> None:
    """Whatever comes first: once nothing is active, nothing waits."""
    for _ in range(ROUNDS):
        run = await running(database)
        waiting = [await do(database, create_run(run.thread_id, "enqueue")) for _ in range(2)]

        await at_once(database, end(run), *(cancel(each) for each in waiting))

        statuses = [(await state_of(database, each)).status for each in waiting]
        assert await active_runs(database, run.thread_id) == statuses.count("cancelling") <= 1
        assert set(statuses) <= {"cancelled", "cancelling"}
