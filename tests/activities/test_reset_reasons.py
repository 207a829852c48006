"""The recorded reason of a reset that has none, or whose reason Temporal does not return."""

import dataclasses
import uuid

import pytest
from temporalio.testing import ActivityEnvironment

from activities.reset_reasons import ResetReasons
from infra.database import run_retries
from infra.run_workflows import RunWorkflows
from tests.database import reading, writing
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Fails, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.resets import reset, workflow_tasks

pytestmark = pytest.mark.any_database


async def test_reason_that_cannot_be_read_is_recorded_by_next_turn(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("reason-unknown", Fails(401))
    await own_holdfast.start_worker()
    run = await own_holdfast.until(await own_holdfast.run(await own_holdfast.assistant("reason-unknown")), "failed")
    resources = own_holdfast.resources
    with writing(resources.database) as connection:
        assert run_retries.reopen(connection, run.id, "a reset") is not None
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, workflow_run_id=str(uuid.uuid4()))
    reasons = ResetReasons(resources.database, RunWorkflows(resources.temporal, resources.settings))

    await environment.run(reasons.record, run.id, 1)

    with reading(resources.database) as connection:
        assert run_retries.is_unexplained(connection, run.id, 1)


async def test_reset_without_reason_is_recorded(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("reason-none", Fails(401), Says("Hi."))
    await own_holdfast.start_worker()
    run = await own_holdfast.until(await own_holdfast.run(await own_holdfast.assistant("reason-none")), "failed")

    await reset(own_holdfast, run, (await workflow_tasks(own_holdfast, run))[0], reason="")
    await own_holdfast.until(run, "completed")

    timeline = await own_holdfast.client.get(f"/ops/runs/{run.id}", cast_to=object)
    assert timeline["retried_by"] == "reset in Temporal"  # type: ignore[index]
