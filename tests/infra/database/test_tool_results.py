"""Results of the server's calls: stored once, and followed by what the turn waits for."""

import json

import pytest

from infra.database import run_events, run_finalization, run_retries, run_steps, runs, tool_results, turns
from infra.database.engine import Database
from infra.database.tool_results import CallToRun
from infra.database.turns import Begun, Resumed
from infra.ports import NO_EVENTS
from models.finalization import Finalization
from models.lists import PageRequest
from models.runs import RunStatus, ToolOutput
from models.thread_errors import ToolOutputsMismatch
from models.tool_calls import MAX_RUN_CALLS, TOO_MANY_CALLS, SearchHits, ToolFailure
from models.turns import NextStep, RunState, ServerCall, TurnInput, TurnOutcome
from tests.database import reading, writing
from tests.infra.database.conftest import PROJECT
from tests.infra.database.server_calls import EXECUTION, HITS, BegunTurn, CalledTools


def step_status(called: CalledTools) -> str:
    with reading(called.database) as connection:
        [step] = run_steps.list_page(connection, PROJECT, called.run.id, PageRequest()).data
    return step.status


def end(called: CalledTools, status: RunStatus) -> None:
    with writing(called.database) as connection:
        run_finalization.finalize(connection, Finalization(called.run.id, status, by=EXECUTION))


def test_turn_with_server_calls_keeps_the_run_in_progress(database: Database) -> None:
    turn = BegunTurn.of(database, "weather", "file_search", "file_search")

    committed = turn.commit()

    called = CalledTools(database, turn.run)
    assert committed is not None
    _, first, second = called.calls
    expected = (ServerCall(first.id, first.kind), ServerCall(second.id, second.kind))
    assert committed.outcome == TurnOutcome(NextStep.RUN_TOOLS, RunStatus.IN_PROGRESS, turn.run.expires_at, expected)
    with writing(database) as connection:
        again = turns.begin(connection, TurnInput(turn.run.id, 0), EXECUTION, 2)
    assert again == committed.outcome


@pytest.mark.parametrize("last", [0, 1])
def test_last_result_completes_the_step_and_begins_the_next_turn(database: Database, last: int) -> None:
    called = CalledTools.of(database, "file_search", "file_search")

    first = called.store(1 - last)
    status_between = step_status(called)
    second = called.store(last)

    assert (first.state.status, first.state.turn, status_between) == (RunStatus.IN_PROGRESS, 0, "in_progress")
    assert (second.state.status, second.state.turn, step_status(called)) == (RunStatus.IN_PROGRESS, 1, "completed")
    assert [event.name for event in second.events.events] == ["thread.run.step.completed"]
    with writing(database) as connection:
        assert isinstance(turns.begin(connection, TurnInput(called.run.id, 1), EXECUTION, 1), Begun)


def test_next_turn_waits_for_the_last_result(database: Database) -> None:
    called = CalledTools.of(database, "file_search", "file_search")
    called.store(0)

    with writing(database) as connection:
        assert turns.begin(connection, TurnInput(called.run.id, 1), EXECUTION, 2) is None


@pytest.mark.parametrize("functions", [[], ["weather"]])
def test_calls_beyond_the_limit_of_an_answer_are_not_run(database: Database, functions: list[str]) -> None:
    turn = BegunTurn.of(database, *functions, *["file_search"] * (MAX_RUN_CALLS + 2))
    committed = turn.commit()
    called = CalledTools(database, turn.run)
    with writing(database) as connection:
        again = turns.begin(connection, TurnInput(turn.run.id, 0), EXECUTION, 2)

    *_, last = [called.store(len(functions) + position) for position in range(MAX_RUN_CALLS)]

    assert committed is not None
    assert len(committed.outcome.server_calls) == MAX_RUN_CALLS
    assert again == committed.outcome
    assert last.state.status is (RunStatus.REQUIRES_ACTION if functions else RunStatus.IN_PROGRESS)
    results = [call.result for call in called.calls[len(functions) :]]
    assert results == [HITS] * MAX_RUN_CALLS + [ToolFailure(TOO_MANY_CALLS)] * 2


def test_functions_are_asked_for_after_the_last_result(database: Database) -> None:
    called = CalledTools.of(database, "weather", "file_search", "weather")
    function, search, other = called.calls

    stored = called.store(1)

    assert (stored.state.status, stored.state.turn, step_status(called)) == (
        RunStatus.REQUIRES_ACTION,
        0,
        "in_progress",
    )
    [asked] = stored.events.events
    assert asked.name == "thread.run.requires_action"
    required = json.loads(asked.data)["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert [call["id"] for call in required] == [function.id, other.id]
    thread_id, run_id = called.run.thread_id, called.run.id
    with writing(database) as connection, pytest.raises(ToolOutputsMismatch):
        runs.accept_outputs(connection, PROJECT, thread_id, run_id, [ToolOutput(tool_call_id=search.id)])
    outputs = [ToolOutput(tool_call_id=call.id, output="sunny") for call in (function, other)]
    with writing(database) as connection:
        answered = runs.accept_outputs(connection, PROJECT, thread_id, run_id, outputs)
    assert answered.run.status is RunStatus.QUEUED
    assert called.calls[1].result == HITS


def test_first_result_of_a_call_counts(database: Database) -> None:
    called = CalledTools.of(database, "file_search", "file_search")
    called.store(0)

    again = called.store(0, SearchHits(()))

    assert again.events == NO_EVENTS
    assert called.calls[0].result == HITS
    with reading(database) as connection:
        assert isinstance(tool_results.find_to_run(connection, called.input(0)), RunState)
        assert isinstance(tool_results.find_to_run(connection, called.input(1)), CallToRun)


def test_failure_is_a_result(database: Database) -> None:
    called = CalledTools.of(database, "file_search")

    called.store(0, ToolFailure("No."))

    assert called.calls[0].result == ToolFailure("No.")
    assert step_status(called) == "completed"


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (RunStatus.CANCELLED, "cancelled"),
        (RunStatus.FAILED, "failed"),
        (RunStatus.EXPIRED, "expired"),
    ],
)
def test_result_of_an_ended_run_is_not_stored(database: Database, status: RunStatus, step: str) -> None:
    called = CalledTools.of(database, "file_search", "file_search")
    called.store(0)
    end(called, status)

    late = called.store(1)

    assert (late.state.status, late.events) == (status, NO_EVENTS)
    assert called.calls[1].result is None
    assert step_status(called) == step


def test_result_during_a_cancel_is_not_stored(database: Database) -> None:
    called = CalledTools.of(database, "file_search")
    with writing(database) as connection:
        runs.begin_cancelling(connection, PROJECT, called.run.thread_id, called.run.id)

    late = called.store(0)

    assert (late.state.status, called.calls[0].result) == (RunStatus.CANCELLING, None)


def test_late_answer_does_not_revive_a_failed_run(database: Database) -> None:
    turn = BegunTurn.of(database, "file_search")
    end(CalledTools(database, turn.run), RunStatus.FAILED)

    committed = turn.commit()

    assert committed is None
    with reading(database) as connection:
        assert runs.state_of(connection, turn.run.id).status is RunStatus.FAILED


def test_failed_run_ends_in_the_execution_that_failed_it(database: Database) -> None:
    called = CalledTools.of(database, "file_search")
    end(called, RunStatus.FAILED)

    with writing(database) as connection:
        outcome = turns.begin(connection, TurnInput(called.run.id, 0), EXECUTION, 2)

    assert isinstance(outcome, TurnOutcome)
    assert (outcome.next_step, outcome.status) == (NextStep.FINISH, RunStatus.FAILED)


@pytest.mark.parametrize("by_reset", [False, True])
def test_run_that_failed_while_calls_ran_continues_with_the_others(database: Database, by_reset: bool) -> None:
    called = CalledTools.of(database, "file_search", "file_search")
    called.store(0)
    end(called, RunStatus.FAILED)
    if not by_reset:
        with writing(database) as connection:
            run_retries.request(connection, PROJECT, called.run.id, "ada")

    with writing(database) as connection:
        resumed = turns.begin(connection, TurnInput(called.run.id, 0), "another execution", 2)
    status, second = step_status(called), called.store(1)

    assert isinstance(resumed, Resumed)
    assert [call.id for call in resumed.outcome.server_calls] == [call.id for call in called.calls]
    assert resumed.outcome.expires_at == resumed.begun.run.expires_at is not None
    assert [event.name for event in resumed.begun.events.events] == ["thread.run.in_progress"]
    assert (status, step_status(called)) == ("in_progress", "completed")
    assert (second.state.status, second.state.turn) == (RunStatus.IN_PROGRESS, 1)
    with reading(database) as connection:
        replayed = run_events.replay_after(connection, called.run.id, -1)
    assert replayed is not None
    last = replayed.events[-1]
    assert (last.number, last.event) == (second.events.first, second.events.events[-1])


def test_run_that_failed_while_it_waited_for_outputs_cannot_continue(database: Database) -> None:
    called = CalledTools.of(database, "weather", "file_search")
    called.store(1)
    end(called, RunStatus.FAILED)

    with writing(database) as connection:
        outcome = turns.begin(connection, TurnInput(called.run.id, 0), "another execution", 2)

    assert isinstance(outcome, TurnOutcome)
    assert (outcome.next_step, step_status(called)) == (NextStep.FINISH, "failed")
