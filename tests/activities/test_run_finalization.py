"""How runs end outside their turns."""

import pytest
from temporalio.testing import ActivityEnvironment

from activities.run_finalization import GENERIC_FAILURE, RunFinalization
from infra.run_workflows import RunWorkflows
from models.runs import RunStatus
from models.turns import Finalization
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.any_database


async def test_a_run_that_fails_for_no_known_reason_says_no_more_than_that(own_holdfast: RunningHoldfast) -> None:
    run = await own_holdfast.run(await own_holdfast.assistant("holdfast/scripted"))
    resources = own_holdfast.resources
    workflows = RunWorkflows(resources.temporal, resources.settings)
    endings = RunFinalization(resources.database, workflows, resources.event_stream)

    await ActivityEnvironment().run(endings.finalize, Finalization(run.id, RunStatus.FAILED))

    failed = await own_holdfast.until(run, "failed")
    assert failed.last_error is not None
    assert (failed.last_error.code, failed.last_error.message) == ("server_error", GENERIC_FAILURE)
