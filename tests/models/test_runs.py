import pytest

from models.runs import ACTIVE_STATUSES, ALLOWED_FROM, RunStatus

TERMINAL = {"cancelled", "failed", "completed", "incomplete", "expired"}


def test_terminal_statuses_are_those_of_the_protocol() -> None:
    assert {str(status) for status in RunStatus if status.is_terminal} == TERMINAL
    assert {str(status) for status in ACTIVE_STATUSES} == {str(status) for status in RunStatus} - TERMINAL


def test_every_status_has_its_way_in() -> None:
    assert set(ALLOWED_FROM) == set(RunStatus)
    assert all(ALLOWED_FROM.values())


@pytest.mark.parametrize("status", [status for status in RunStatus if status.is_terminal])
def test_what_has_ended_stays_so_unless_it_failed_and_is_taken_up_again(status: RunStatus) -> None:
    following = {to for to, allowed in ALLOWED_FROM.items() if status in allowed}

    assert following == ({RunStatus.QUEUED, RunStatus.IN_PROGRESS} if status is RunStatus.FAILED else set())


def test_an_operator_may_cancel_any_active_run() -> None:
    assert ALLOWED_FROM[RunStatus.CANCELLED] == ACTIVE_STATUSES


def test_a_run_that_is_being_cancelled_becomes_nothing_else() -> None:
    assert {to for to, allowed in ALLOWED_FROM.items() if RunStatus.CANCELLING in allowed} == {RunStatus.CANCELLED}
