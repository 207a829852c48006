import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from infra.temporal import DATA_CONVERTER


@pytest.mark.parametrize(("error", "has_frames"), [(ApplicationError("Refused."), False), (ValueError("A bug."), True)])
def test_only_failures_that_nobody_expected_have_frames(error: Exception, has_frames: bool) -> None:
    failure = Failure()
    try:
        raise error
    except Exception as raised:  # noqa: BLE001 - either
        DATA_CONVERTER.failure_converter.to_failure(raised, DATA_CONVERTER.payload_converter, failure)

    assert (failure.message, bool(failure.stack_trace)) == (str(error), has_frames)
