"""Who may end a run."""

import pytest
from infra.database.answers import TurnAttempt
from sqlalchemy import update

from infra.database import run_finalization
from infra.database.engine import Database
from infra.database.run_finalization import Partial, RunEnd
from infra.database.tables import RUNS
from models.answers import Answer
from models.runs import RunStatus
from tests.database import writing
from tests.infra.database.conftest import Stored


@pytest.mark.parametrize(("turn", "status"), [(0, RunStatus.IN_PROGRESS), (1, RunStatus.FAILED)])
async def test_an_attempt_ends_its_run_only_while_its_turn_is_due(
    database: Database, stored: Stored, turn: int, status: RunStatus
) -> None:
    attempt = TurnAttempt("an-execution", turn, attempt=1, fencing_token=0, started_at_ms=0)
    ending = RunEnd(RunStatus.FAILED, "an-execution")
    with writing(database) as connection:
        this = RUNS.c.id == stored.run_id
        connection.execute(update(RUNS).where(this).values(status=RunStatus.IN_PROGRESS, turn=1))

    with writing(database) as connection:
        ended = run_finalization.finalize(connection, stored.run_id, ending, partial=Partial(attempt, Answer()))

    assert ended.state.status is status
