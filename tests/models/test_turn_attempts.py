"""The ids of an attempt's rows."""

from dataclasses import replace

from models.ids import Prefix
from models.run_steps import StepType
from models.turn_attempts import TurnAttempt

ATTEMPT = TurnAttempt("an-execution", turn=1, attempt=1, fencing_token=5, started_at_ms=0)


def ids(attempt: TurnAttempt) -> list[str]:
    calls = [attempt.id_of(Prefix.CALL, position) for position in range(2)]
    steps = [attempt.id_of(Prefix.STEP, type) for type in StepType]
    return [attempt.id_of(Prefix.MESSAGE), *calls, *steps]


def test_an_attempt_has_an_id_for_each_row_and_the_same_one_each_time() -> None:
    assert len(set(ids(ATTEMPT))) == len(ids(ATTEMPT))
    assert ids(ATTEMPT) == ids(ATTEMPT) == ids(replace(ATTEMPT, started_at_ms=1))


def test_no_two_attempts_share_an_id() -> None:
    others = [replace(ATTEMPT, fencing_token=6), replace(ATTEMPT, turn=2), replace(ATTEMPT, workflow_run_id="another")]

    assert all(set(ids(ATTEMPT)).isdisjoint(ids(other)) for other in others)
