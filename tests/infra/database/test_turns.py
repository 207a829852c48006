"""Which attempts at a turn are let begin."""

from infra.database.answers import TurnAttempt

from infra.database import runs, turns
from infra.database.engine import Database
from models.answers import Answer
from models.language_model import CallDelta
from models.runs import ToolOutput
from models.step_events import STREAM_START
from models.turns import TurnInput
from tests.database import writing
from tests.infra.database.conftest import PROJECT, Stored

EXECUTION = "an-execution"


async def test_a_turn_begins_though_temporals_clock_was_set_back_since_the_last_one(
    database: Database, stored: Stored
) -> None:
    asks = Answer()
    asks.add(CallDelta(0, "weather", "{}"))
    first = TurnAttempt(EXECUTION, turn=0, attempt=1, fencing_token=1_000, started_at_ms=0)
    with writing(database) as connection:
        begun = turns.begin(connection, TurnInput(stored.run_id, 0), EXECUTION, first.fencing_token)
        assert begun is not None
        assert turns.commit(connection, begun.run, first, asks, STREAM_START) is not None
    with writing(database) as connection:
        [call] = (begun.run.required_action or {})["submit_tool_outputs"]["tool_calls"]
        output = ToolOutput(tool_call_id=call["id"], output="sunny")
        runs.accept_outputs(connection, PROJECT, stored.thread_id, stored.run_id, [output])

    with writing(database) as connection:
        assert turns.begin(connection, TurnInput(stored.run_id, 1), EXECUTION, fencing_token=1) is not None
