"""Finalization of runs outside their turns."""

import pytest
from temporalio.testing import ActivityEnvironment

from activities.run_finalization import RunFinalization
from infra.run_workflows import RunWorkflows
from models.finalization import GENERIC_FAILURE, Finalization
from models.runs import RunStatus
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.any_database


async def test_failure_without_known_reason_has_generic_error(own_holdfast: RunningHoldfast) -> None:
    run = await own_holdfast.run(await own_holdfast.assistant("holdfast/scripted"))
    resources = own_holdfast.resources
    workflows = RunWorkflows(resources.temporal, resources.settings)
    finalization = RunFinalization(resources.database, workflows, resources.event_stream)

    await ActivityEnvironment().run(finalization.finalize, Finalization(run.id, RunStatus.FAILED))

    failed = await own_holdfast.until(run, "failed")
    assert failed.last_error is not None
    assert (failed.last_error.code, failed.last_error.message) == ("server_error", GENERIC_FAILURE)
