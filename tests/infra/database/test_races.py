"""Transactions on one thread at once, which only Postgres lets run side by side: they take turns, in either order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from infra.database import (
    assistants,
    messages,
    run_events,
    run_finalization,
    run_retries,
    run_steps,
    runs,
    thread_queue,
    threads,
    turns,
)
from infra.database.engine import Database, open_database
from infra.database.run_events import Replay
from infra.database.run_tables import IS_ACTIVE, RUNS
from infra.database.thread_tables import MESSAGES
from infra.database.turns import Begun, Committed
from infra.ports import NO_EVENTS
from models.answered_steps import message_step
from models.answers import Answer
from models.assistants import CreateAssistantRequest
from models.errors import ApiError, NotFound, WrongStatus
from models.events import Event, NumberedEvent, numbered
from models.finalization import Finalization
from models.language_model import CallDelta, Finish, FinishReason, ModelDelta, TextDelta, TokenUsage
from models.lists import PageRequest
from models.messages import CreateMessageRequest, Message, OnActiveRun, TextContent
from models.run_specs import RunSpec
from models.run_steps import RunStep, StepType
from models.runs import CreateRunRequest, Run, RunStatus, ToolOutput
from models.step_events import EmittedDeltas, OpenStep, StepEvents, StreamPosition
from models.thread_errors import ThreadLocked
from models.threads import CreateThreadRequest, ModifyThreadRequest, Thread
from models.tools import FunctionDefinition, FunctionTool
from models.turn_attempts import TurnAttempt
from models.turns import NextStep, TurnInput
from tests.conftest import NewDatabase
from tests.database import overlap, writing
from tests.infra.database.conftest import PROJECT

Work = Callable[[Connection], Any]
WEATHER = FunctionTool(type="function", function=FunctionDefinition(name="weather"))
HELLO = CreateMessageRequest(role="user", content="Hello")
# Which transaction is first is chance where no lock decides it.
ROUNDS = 8


@pytest.fixture(scope="module")
async def database(new_postgres_database: NewDatabase) -> AsyncIterator[Database]:
    async with open_database(new_postgres_database()) as opened:
        yield opened


def do(database: Database, work: Work) -> Any:
    with writing(database) as connection:
        return work(connection)


async def at_once(database: Database, *works: Work) -> None:
    """Raises what one of them raises that is no answer to a client, such as a deadlock."""
    for outcome in await asyncio.gather(*(database.write(work) for work in works), return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, ApiError):
            raise outcome


def new_thread(connection: Connection, **fields: Any) -> Thread:
    return threads.create(connection, PROJECT, CreateThreadRequest(messages=[HELLO], **fields))


def create_run(thread_id: str, choice: OnActiveRun = "reject") -> Work:
    """What the API does for a new run."""

    def work(connection: Connection) -> Run:
        thread = threads.lock(connection, PROJECT, thread_id)
        queued_behind = thread_queue.admit_or_enqueue(connection, thread, choice, ThreadLocked.for_run)
        assistant = assistants.create(connection, PROJECT, CreateAssistantRequest(model="m", tools=[WEATHER]))
        spec = RunSpec.of(assistant, CreateRunRequest(assistant_id=assistant.id), 600)
        return runs.create(connection, PROJECT, thread_id, spec, waiting=queued_behind is not None)

    return work


def create_message(thread_id: str, choice: OnActiveRun = "reject") -> Work:
    """What the API does for a new message. Returns the run that it waits for, by `seq`."""

    def work(connection: Connection) -> int | None:
        thread = threads.lock(connection, PROJECT, thread_id)
        queued_behind = thread_queue.admit_or_enqueue(connection, thread, choice, ThreadLocked.for_message)
        messages.add(connection, PROJECT, thread_id, [HELLO], queued_behind)
        return queued_behind

    return work


def delete_message(thread_id: str, message_id: str) -> Work:
    def work(connection: Connection) -> None:
        threads.lock(connection, PROJECT, thread_id)
        messages.remove(connection, PROJECT, thread_id, message_id)

    return work


def delete_thread(run: Run) -> Work:
    return lambda connection: threads.remove(connection, PROJECT, run.thread_id)


def cancel(run: Run) -> Work:
    def work(connection: Connection) -> Run:
        cancelling = runs.begin_cancelling(connection, PROJECT, run.thread_id, run.id)
        cancelled, _ = run_finalization.cancel_waiting(connection, cancelling)
        return cancelled

    return work


def submit(run: Run, *outputs: ToolOutput) -> Work:
    return lambda connection: runs.accept_outputs(connection, PROJECT, run.thread_id, run.id, outputs)


def end(run: Run, status: RunStatus = RunStatus.FAILED) -> Work:
    return lambda connection: run_finalization.finalize(connection, Finalization(run.id, status, by=run.id))


def reopen(run: Run) -> Work:
    return lambda connection: run_retries.reopen(connection, run.id, "a reset")


def begin(run: Run, fencing_token: int) -> Work:
    return lambda connection: turns.begin(connection, TurnInput(run.id, 0), run.id, fencing_token)


def create_run_again(run: Run) -> Work:
    return create_run(run.thread_id, "enqueue")


def commit(run: Run, *deltas: ModelDelta, fencing_token: int = 0, position: StreamPosition | None = None) -> Work:
    def work(connection: Connection) -> Committed | None:
        row = connection.execute(select(RUNS).where(RUNS.c.id == run.id)).one_or_none()
        if row is None:
            # Its thread was deleted before.
            return None
        begun = Begun.of(row, last_message_at=0, has_started=False)
        attempt = attempt_at(run, row.turn, fencing_token)
        at = position or StreamPosition(begun.next_event)
        return turns.commit(connection, begun, attempt, answer_of(*deltas), at)

    return work


def attempt_at(run: Run, turn: int, fencing_token: int = 0) -> TurnAttempt:
    # Ids derive from the execution: each run has one of its own, here under the run's id.
    return TurnAttempt(run.id, turn, attempt=1, fencing_token=fencing_token, started_at_ms=0)


def answer_of(*deltas: ModelDelta) -> Answer:
    answer = Answer()
    for delta in deltas:
        answer.add(delta)
    return answer


def running(database: Database, **thread_fields: Any) -> Run:
    """A run in progress on a thread of its own."""
    thread = do(database, lambda connection: new_thread(connection, **thread_fields))
    run: Run = do(database, create_run(thread.id))
    begun: Begun = do(database, begin(run, fencing_token=0))
    return begun.run


def waiting_for_outputs(database: Database) -> tuple[Run, ToolOutput]:
    run = running(database)
    do(database, commit(run, CallDelta(0, "weather", "{}")))
    required = state_of(database, run).required_action
    assert required is not None
    return run, ToolOutput(tool_call_id=required.submit_tool_outputs.tool_calls[0].id, output="sun")


def state_of(database: Database, run: Run) -> Run:
    found: Run = do(database, lambda connection: runs.load(connection, PROJECT, run.thread_id, run.id))
    return found


def newest_attempt(connection: Connection, run: Run) -> int | None:
    return connection.scalar(select(RUNS.c.newest_attempt).where(RUNS.c.id == run.id))


def active_runs(database: Database, thread_id: str) -> int:
    query = select(func.count()).select_from(RUNS).where(RUNS.c.thread_id == thread_id, IS_ACTIVE)
    return int(do(database, lambda connection: connection.scalar(query)))


async def test_of_two_runs_the_second_is_refused(database: Database) -> None:
    thread = do(database, new_thread)

    refused = await overlap(database, create_run(thread.id), create_run(thread.id))

    assert isinstance(refused, ThreadLocked)
    assert f"Thread {thread.id} already has an active run run_" in str(refused)


async def test_a_message_is_refused_while_a_run_is_created(database: Database) -> None:
    thread = do(database, new_thread)

    refused = await overlap(database, create_run(thread.id), create_message(thread.id))

    assert isinstance(refused, ThreadLocked)


async def test_a_message_that_comes_while_the_run_ends_finds_the_thread_free(database: Database) -> None:
    run = running(database)

    placed = await overlap(database, end(run), create_message(run.thread_id, "enqueue"))

    assert placed is None


async def test_a_run_that_ends_admits_the_message_that_joined_meanwhile(database: Database) -> None:
    run = running(database)

    await overlap(database, create_message(run.thread_id, "enqueue"), end(run))

    left = select(func.count()).where(MESSAGES.c.thread_id == run.thread_id, MESSAGES.c.queued_behind.is_not(None))
    assert do(database, lambda connection: connection.scalar(left)) == 0


async def test_a_new_run_is_refused_while_a_failed_one_is_resumed(database: Database) -> None:
    run = running(database)
    do(database, end(run))

    refused = await overlap(database, reopen(run), create_run(run.thread_id))

    assert isinstance(refused, ThreadLocked)
    assert str(refused) == f"Thread {run.thread_id} already has an active run {run.id}."


async def test_a_failed_run_is_not_resumed_while_a_new_one_is_created(database: Database) -> None:
    run = running(database)
    do(database, end(run))

    refused = await overlap(database, create_run(run.thread_id), reopen(run))

    assert isinstance(refused, ThreadLocked)
    assert "can't be resumed" in str(refused)


async def test_of_two_submits_the_second_is_refused(database: Database) -> None:
    run, output = waiting_for_outputs(database)

    refused = await overlap(database, submit(run, output), submit(run, output))

    assert isinstance(refused, WrongStatus)
    assert str(refused) == 'Runs in status "queued" do not accept tool outputs.'


async def test_outputs_for_a_thread_that_is_being_deleted_find_no_run(database: Database) -> None:
    run, output = waiting_for_outputs(database)

    refused = await overlap(database, delete_thread(run), submit(run, output))

    assert isinstance(refused, NotFound)


@pytest.mark.parametrize("is_streamed", [True, False], ids=["streamed", "not streamed"])
@pytest.mark.parametrize("finish", [FinishReason.STOP, FinishReason.LENGTH])
async def test_an_answer_that_comes_after_cancel_is_kept_as_that_of_a_cancelled_run(
    database: Database, finish: FinishReason, is_streamed: bool
) -> None:
    run = running(database)
    before = do(database, lambda connection: run_events.next_event(connection, run.id))
    position, emitted = StreamPosition(before), list[Event]()
    if is_streamed:
        open_step, emitted = streamed(run, before, "Too late")
        position = StreamPosition(before + len(emitted), open_step)

    deltas = (TextDelta("Too late"), Finish(finish, TokenUsage()))
    committed = await overlap(database, cancel(run), commit(run, *deltas, position=position))

    assert (committed.outcome.next_step, committed.outcome.status) == (NextStep.FINISH, "cancelled")
    assert state_of(database, run).status == "cancelled"
    [message], [step] = answered(database, run)
    assert (message.status, text_of(message)) == ("incomplete", "Too late")
    assert message.incomplete_details is not None
    assert message.incomplete_details.reason == "run_cancelled"
    assert (step.status, step.type) == ("cancelled", "message_creation")
    assert replayed(database, run, before) == numbered(before, [*emitted, *committed.events.events])


async def test_calls_that_come_after_cancel_are_not_kept(database: Database) -> None:
    run = running(database)
    before = do(database, lambda connection: run_events.next_event(connection, run.id))

    committed = await overlap(database, cancel(run), commit(run, CallDelta(0, "weather", "{}")))

    assert (committed.outcome.next_step, committed.outcome.status) == (NextStep.FINISH, "cancelled")
    cancelled = state_of(database, run)
    assert (cancelled.status, cancelled.required_action) == ("cancelled", None)
    assert answered(database, run) == ([], [])
    assert [event.name for event in committed.events.events] == ["thread.run.cancelling", "thread.run.cancelled"]
    assert replayed(database, run, before) == numbered(before, committed.events.events)


async def test_a_run_that_waits_starts_when_an_answer_comes_after_cancel(database: Database) -> None:
    run = running(database)
    waiting = do(database, create_run(run.thread_id, "enqueue"))

    committed = await overlap(database, cancel(run), commit(run, TextDelta("Too late")))

    assert committed.next_run.id == waiting.id


async def test_an_answer_of_a_superseded_attempt_is_not_kept_after_cancel(database: Database) -> None:
    run = running(database)
    do(database, begin(run, fencing_token=1))

    committed = await overlap(database, cancel(run), commit(run, TextDelta("Too late"), fencing_token=0))

    assert committed is None
    assert state_of(database, run).status == "cancelling"
    assert answered(database, run) == ([], [])


def streamed(run: Run, first_event: int, words: str) -> tuple[OpenStep, list[Event]]:
    """The open step of an answer of which the stream has emitted all words, and these events."""
    deltas = EmittedDeltas(first_event)
    deltas.add(0, len(words))
    answered = message_step(run, attempt_at(run, 0), answer_of(TextDelta(words)), TokenUsage(), run.created_at)
    events = StepEvents(answered.step, answered.message, deltas, run.expires_at)
    return OpenStep(StepType.MESSAGE_CREATION, run.created_at, deltas), [*events.opened(), *events.deltas()]


def answered(database: Database, run: Run) -> tuple[list[Message], list[RunStep]]:
    """The messages and steps that the run has made."""

    def work(connection: Connection) -> tuple[list[Message], list[RunStep]]:
        page = PageRequest()
        made = messages.list_page(connection, PROJECT, run.thread_id, page, run.id)
        return made.data, run_steps.list_page(connection, PROJECT, run.id, page).data

    found: tuple[list[Message], list[RunStep]] = do(database, work)
    return found


def text_of(message: Message) -> str:
    return "".join(part.text.value for part in message.content if isinstance(part, TextContent))


def replayed(database: Database, run: Run, first: int) -> list[NumberedEvent]:
    """The run's events from number `first` on, as its rows replay them."""
    found: Replay = do(database, lambda connection: run_events.replay_after(connection, run.id, first - 1))
    return found.events


async def test_of_two_attempts_the_older_one_is_superseded(database: Database) -> None:
    run = running(database)

    older = await overlap(database, begin(run, fencing_token=2), begin(run, fencing_token=1))
    newer = await overlap(database, begin(run, fencing_token=2), begin(run, fencing_token=3))

    assert older is None
    assert isinstance(newer, Begun)
    assert do(database, lambda connection: newest_attempt(connection, run)) == 3


async def test_an_attempt_finds_a_queued_run_in_progress_meanwhile(database: Database) -> None:
    first, second = [do(database, create_run(do(database, new_thread).id)) for _ in range(2)]

    older = await overlap(database, begin(first, fencing_token=2), begin(first, fencing_token=1))
    newer = await overlap(database, begin(second, fencing_token=1), begin(second, fencing_token=2))

    assert older is None
    assert newer.events == NO_EVENTS
    assert do(database, lambda connection: newest_attempt(connection, second)) == 2


async def test_a_retry_supersedes_the_attempts_before_it(database: Database) -> None:
    run = running(database)
    do(database, begin(run, fencing_token=2))
    do(database, end(run))

    committed = await overlap(database, reopen(run), commit(run, TextDelta("Too late"), fencing_token=2))

    assert committed is None
    assert state_of(database, run).status == "in_progress"


async def test_an_answer_that_comes_after_a_newer_attempt_is_not_kept(database: Database) -> None:
    run = running(database)

    committed = await overlap(database, begin(run, fencing_token=1), commit(run, TextDelta("Too late")))

    assert committed is None
    assert state_of(database, run).status == "in_progress"


async def test_an_attempt_that_comes_after_the_answer_does_not_begin(database: Database) -> None:
    run = running(database)

    begun = await overlap(database, commit(run, TextDelta("In time")), begin(run, fencing_token=1))

    assert begun is None
    assert state_of(database, run).status == "completed"


async def test_cancel_after_the_answer_is_refused(database: Database) -> None:
    run = running(database)

    refused = await overlap(database, commit(run, TextDelta("In time")), cancel(run))

    assert isinstance(refused, WrongStatus)
    assert str(refused) == "Cannot cancel run with status 'completed'."


async def test_the_next_run_is_started_where_the_first_in_the_queue_is_cancelled(database: Database) -> None:
    run = running(database)
    cancelled, following = [do(database, create_run(run.thread_id, "enqueue")) for _ in range(2)]

    ended = await overlap(database, cancel(cancelled), end(run))

    assert ended.next_run.id == following.id
    assert state_of(database, cancelled).status == "cancelled"


async def test_a_message_that_is_deleted_while_it_is_admitted_is_deleted(database: Database) -> None:
    run = running(database)
    do(database, create_message(run.thread_id, "enqueue"))
    newest = select(MESSAGES.c.id).where(MESSAGES.c.thread_id == run.thread_id).order_by(MESSAGES.c.seq.desc())
    message_id = do(database, lambda connection: connection.scalar(newest.limit(1)))

    outcome = await overlap(database, end(run), delete_message(run.thread_id, message_id))

    assert outcome is None
    assert do(database, lambda connection: connection.scalar(select(1).where(MESSAGES.c.id == message_id))) is None


async def test_a_deleted_message_is_not_admitted(database: Database) -> None:
    run = running(database)
    do(database, create_message(run.thread_id, "enqueue"))
    newest = select(MESSAGES.c.id).where(MESSAGES.c.thread_id == run.thread_id).order_by(MESSAGES.c.seq.desc())
    message_id = do(database, lambda connection: connection.scalar(newest.limit(1)))

    await overlap(database, delete_message(run.thread_id, message_id), end(run))

    assert do(database, lambda connection: connection.scalar(select(1).where(MESSAGES.c.id == message_id))) is None


async def test_two_changes_of_metadata_are_merged(database: Database) -> None:
    thread = do(database, lambda connection: new_thread(connection, metadata={"user": "ada"}))

    def change(**metadata: str | None) -> Work:
        return lambda connection: threads.modify(connection, PROJECT, thread.id, ModifyThreadRequest(metadata=metadata))

    changed = await overlap(database, change(user=None, team="a"), change(city="Delhi"))

    assert changed.metadata == {"team": "a", "city": "Delhi"}


@pytest.mark.parametrize("other", [end, cancel, commit, create_run_again, reopen], ids=lambda work: work.__name__)
async def test_a_thread_is_deleted_while_something_happens_on_it(
    database: Database, other: Callable[[Run], Work]
) -> None:
    for _ in range(ROUNDS):
        run = running(database)
        do(database, create_run_again(run))
        if other is reopen:
            do(database, end(run))

        await at_once(database, other(run), delete_thread(run))

        assert active_runs(database, run.thread_id) == 0


async def test_a_thread_is_deleted_while_outputs_come(database: Database) -> None:
    for _ in range(ROUNDS):
        run, output = waiting_for_outputs(database)

        await at_once(database, submit(run, output), delete_thread(run))

        assert active_runs(database, run.thread_id) == 0


async def test_a_queue_is_cancelled_while_it_advances(database: Database) -> None:
    """In any order: once no run is active, none waits."""
    for _ in range(ROUNDS):
        run = running(database)
        waiting = [do(database, create_run(run.thread_id, "enqueue")) for _ in range(2)]

        await at_once(database, end(run), *(cancel(each) for each in waiting))

        statuses = [state_of(database, each).status for each in waiting]
        assert active_runs(database, run.thread_id) == statuses.count(RunStatus.CANCELLING) <= 1
        assert set(statuses) <= {"cancelled", "cancelling"}
