from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, update

from infra.database import assistants, ops_runs, runs, threads
from infra.database.engine import Database
from infra.database.ops_runs import CallMade, RunFilter
from infra.database.run_tables import RUNS, TOOL_CALLS
from models.lists import Order, PageRequest
from models.run_specs import RunSpec
from models.runs import CreateRunRequest, RunStatus
from models.threads import CreateThreadRequest
from models.tool_calls import ToolKind
from tests.database import reading, writing
from tests.infra.database.conftest import PROJECT, Stored, recorded


def add_run(database: Database, stored: Stored, project_id: str, **columns: Any) -> str:
    """Add a run to a project. Returns its id."""
    with writing(database) as connection:
        assistant = assistants.load(connection, PROJECT, stored.assistant_id)
        thread = threads.create(connection, project_id, CreateThreadRequest())
        spec = RunSpec.of(assistant, CreateRunRequest(assistant_id=assistant.id), 600)
        run = runs.create(connection, project_id, thread.id, spec)
        connection.execute(update(RUNS).where(RUNS.c.id == run.id).values(**columns))
    return run.id


@pytest.mark.parametrize("few", [0, 1, 2, 1000])
@pytest.mark.parametrize(
    ("wanted", "columns"),
    [
        (RunFilter(since=10), [{"created_at": time} for time in (9, 12, 8, 10, 9)]),
        (
            RunFilter(RunStatus.FAILED, since=10),
            [{"status": RunStatus.FAILED, "failed_at": time} for time in (9, 12, 8, 10, 9)],
        ),
    ],
    ids=["created", "failed"],
)
def test_runs_since_a_time_are_found_in_any_order_of_times(
    database: Database,
    stored: Stored,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    wanted: RunFilter,
    columns: list[dict[str, Any]],
) -> None:
    """Clocks go back, and runs fail in another order than they were created in."""
    monkeypatch.setattr(ops_runs, "FEW", few)
    project_id = uuid4().hex
    oldest, second, _, fourth, newest = [add_run(database, stored, project_id, **each) for each in columns]

    def listed(since: RunFilter = wanted, **page: Any) -> list[str]:
        with reading(database) as connection:
            found, _ = ops_runs.list_page(connection, project_id, PageRequest(**page), since)
        return [each.run.id for each in found]

    assert listed() == [fourth, second]
    assert listed(order=Order.ASC, limit=1) == [second]
    assert listed(after=fourth) == [second]
    assert listed(after=second) == []
    assert listed(before=oldest) == [fourth, second]
    assert listed(after=newest, before=second) == [fourth]
    assert listed(replace(wanted, since=13)) == []


def call(stored: Stored, turn: int, position: int, output: str | None) -> dict[str, Any]:
    return {
        "id": f"call_{turn}_{position}",
        "project_id": PROJECT,
        "run_id": stored.run_id,
        "step_id": f"step_{turn}",
        "turn": turn,
        "position": position,
        "type": "function",
        "name": "weather",
        "arguments": "{}",
        "output": output,
    }


def test_a_record_has_the_calls_by_turn_without_their_arguments(database: Database, stored: Stored) -> None:
    with writing(database) as connection:
        calls = [call(stored, 1, 0, None), call(stored, 0, 1, ""), call(stored, 0, 0, "Sunny")]
        connection.execute(insert(TOOL_CALLS), calls)

    with reading(database) as connection, recorded(database) as statements:
        record = ops_runs.record(connection, PROJECT, stored.run_id)

    assert record.calls == {
        0: [CallMade(f"call_0_{number}", "weather", ToolKind.FUNCTION, True) for number in range(2)],
        1: [CallMade("call_1_0", "weather", ToolKind.FUNCTION, False)],
    }
    assert not any("tool_calls.arguments" in statement for statement, _ in statements)
