"""Which attempts at a turn are let begin."""

from infra.database import runs, turns
from infra.database.answers import TurnAttempt
from infra.database.engine import Database
from models.answers import Answer
from models.language_model import CallDelta
from models.runs import ToolOutput
from models.step_events import STREAM_START
from models.turns import TurnInput
from tests.infra.database.conftest import PROJECT, Stored

EXECUTION = "an-execution"


async def test_a_turn_begins_though_temporals_clock_was_set_back_since_the_last_one(
    database: Database, stored: Stored
) -> None:
    asks = Answer()
    asks.add(CallDelta(0, "weather", "{}"))
    first = TurnAttempt(EXECUTION, turn=0, attempt=1, fencing_token=1_000, started_at_ms=0)
    async with database.transaction() as session:
        begun = await turns.begin(session, TurnInput(stored.run_id, 0), EXECUTION, first.fencing_token)
        assert begun is not None
        assert await turns.commit(session, begun.run, first, asks, STREAM_START) is not None
    async with database.transaction() as session:
        [call] = (begun.run.required_action or {})["submit_tool_outputs"]["tool_calls"]
        output = ToolOutput(tool_call_id=call["id"], output="sunny")
        await runs.accept_outputs(session, PROJECT, stored.thread_id, stored.run_id, [output])

    async with database.transaction() as session:
        assert await turns.begin(session, TurnInput(stored.run_id, 1), EXECUTION, fencing_token=1) is not None
