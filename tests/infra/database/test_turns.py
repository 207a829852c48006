"""Which attempts at a turn may begin."""

from infra.database import runs, turns
from infra.database.engine import Database
from infra.database.turns import Begun
from models.answers import Answer
from models.language_model import CallDelta
from models.runs import ToolOutput
from models.step_events import StreamPosition
from models.turn_attempts import TurnAttempt
from models.turns import NextStep, TurnInput, TurnOutcome
from tests.database import writing
from tests.infra.database.conftest import PROJECT, Stored


def test_a_turn_begins_though_temporals_clock_was_set_back_since_the_last_one(
    database: Database, stored: Stored
) -> None:
    answer_with_call(database, stored)
    with writing(database) as connection:
        run = runs.load(connection, PROJECT, stored.thread_id, stored.run_id)
        assert run.required_action is not None
        [call] = run.required_action.submit_tool_outputs.tool_calls
        output = ToolOutput(tool_call_id=call.id, output="sunny")
        runs.accept_outputs(connection, PROJECT, stored.thread_id, stored.run_id, [output])

    with writing(database) as connection:
        begun = turns.begin(connection, TurnInput(stored.run_id, 1), stored.run_id, fencing_token=1)

    assert isinstance(begun, Begun)


def test_a_turn_that_was_committed_is_not_begun_again(database: Database, stored: Stored) -> None:
    answer_with_call(database, stored)

    with writing(database) as connection:
        begun = turns.begin(connection, TurnInput(stored.run_id, 0), stored.run_id, fencing_token=2_000)

    assert isinstance(begun, TurnOutcome)
    assert begun.next_step is NextStep.AWAIT_TOOL_OUTPUTS


def answer_with_call(database: Database, stored: Stored) -> None:
    """Have the first turn end with a call."""
    # Ids derive from the execution: each run has one of its own, here under the run's id.
    first = TurnAttempt(stored.run_id, turn=0, attempt=1, fencing_token=1_000, started_at_ms=0)
    answer = Answer()
    answer.add(CallDelta(0, "weather", "{}"))
    with writing(database) as connection:
        begun = turns.begin(connection, TurnInput(stored.run_id, 0), stored.run_id, first.fencing_token)
        assert isinstance(begun, Begun)
        assert turns.commit(connection, begun, first, answer, StreamPosition(begun.next_event)) is not None
