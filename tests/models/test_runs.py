import pytest

from models.runs import ACTIVE_STATUSES, ALLOWED_FROM, RunStatus

TERMINAL = {"cancelled", "failed", "completed", "incomplete", "expired"}


def test_terminal_statuses_match_protocol() -> None:
    assert {str(status) for status in RunStatus if status.is_terminal} == TERMINAL
    assert {str(status) for status in ACTIVE_STATUSES} == {str(status) for status in RunStatus} - TERMINAL


def test_every_status_is_reachable() -> None:
    assert set(ALLOWED_FROM) == set(RunStatus)
    assert all(ALLOWED_FROM.values())


@pytest.mark.parametrize("status", [status for status in RunStatus if status.is_terminal])
def test_only_failed_runs_leave_a_terminal_status(status: RunStatus) -> None:
    following = {to for to, allowed in ALLOWED_FROM.items() if status in allowed}

    assert following == ({RunStatus.QUEUED, RunStatus.IN_PROGRESS} if status is RunStatus.FAILED else set())


def test_every_active_run_may_be_cancelled() -> None:
    assert ALLOWED_FROM[RunStatus.CANCELLED] == ACTIVE_STATUSES


def test_cancelling_run_may_only_become_cancelled() -> None:
    assert {to for to, allowed in ALLOWED_FROM.items() if RunStatus.CANCELLING in allowed} == {RunStatus.CANCELLED}
