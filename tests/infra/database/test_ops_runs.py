from infra.database import ops_runs
from infra.database.engine import Database
from infra.database.ops_runs import CallMade
from infra.database.tables import ToolCallRow
from tests.infra.database.conftest import PROJECT, Stored, recorded


def call(stored: Stored, turn: int, position: int, output: str | None) -> ToolCallRow:
    return ToolCallRow(
        id=f"call_{turn}_{position}",
        project_id=PROJECT,
        run_id=stored.run_id,
        step_id=f"step_{turn}",
        turn=turn,
        position=position,
        type="function",
        name="weather",
        arguments="{}",
        output=output,
    )


async def test_a_record_has_the_calls_by_turn_without_what_was_said_in_them(database: Database, stored: Stored) -> None:
    async with database.transaction() as session:
        session.add_all([call(stored, 1, 0, None), call(stored, 0, 1, ""), call(stored, 0, 0, "Sunny")])

    async with database.reading() as session:
        with recorded(database) as statements:
            record = await ops_runs.record(session, PROJECT, stored.run_id)

    assert record.calls == {
        0: [CallMade("call_0_0", "weather", True), CallMade("call_0_1", "weather", True)],
        1: [CallMade("call_1_0", "weather", False)],
    }
    assert not any("tool_calls.arguments" in statement for statement, _ in statements)
