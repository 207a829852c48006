"""Workers of two versions side by side: the current one gets new runs and those that the old one began."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from openai.types.beta.threads import Run
from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from infra.temporal import connect_temporal
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Calls, Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sandbox import SANDBOXED
from workflows.worker import open_worker

pytestmark = [pytest.mark.any_database, pytest.mark.slow]

CALL = Calls(("weather", "{}"))
NOT_YET = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION)
"""Temporal has not heard of the version, or of one of its two task queues."""


@asynccontextmanager
async def _worker(holdfast: RunningHoldfast, build_id: str) -> AsyncIterator[None]:
    settings = holdfast.resources.settings.model_copy(update={"build_id": build_id})
    # A separate connection, as in another process.
    temporal = await connect_temporal(settings)
    async with open_worker(replace(holdfast.resources, settings=settings, temporal=temporal), SANDBOXED):
        yield


async def _make_current(holdfast: RunningHoldfast, build_id: str) -> None:
    """Set the current version, as `temporal worker deployment set-current-version` does, once Temporal knows it.

    Temporal answers before all partitions of the task queues have the new version: until then they can give a task to
    the old one.
    """
    client = holdfast.resources.temporal
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=holdfast.resources.settings.task_queue, build_id=build_id
    )
    async with asyncio.timeout(30):
        while True:
            try:
                await client.workflow_service.set_worker_deployment_current_version(request)
            except RPCError as error:
                if error.status not in NOT_YET:
                    raise
                await asyncio.sleep(0.1)
            else:
                break
        while not await _has_routed(client, request.deployment_name):
            await asyncio.sleep(0.05)


async def _has_routed(client: Client, deployment_name: str) -> bool:
    """Whether every partition of the deployment's task queues has its current version."""
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=deployment_name)
    answer = await client.workflow_service.describe_worker_deployment(request)
    state = answer.worker_deployment_info.routing_config_update_state
    return state == RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED


async def _parked(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str) -> Run:
    provider.script(model, CALL)
    return await holdfast.until(await holdfast.run(await holdfast.assistant(model, "weather")), "requires_action")


async def _completed(holdfast: RunningHoldfast, provider: ScriptedProvider, run: Run) -> Run:
    provider.script(run.model, Says("Thanks."))
    return await holdfast.until(await holdfast.submit(run, "sunny"), "completed")


async def _stepped_until_version(holdfast: RunningHoldfast, provider: ScriptedProvider, run: Run, build_id: str) -> Run:
    """The run after steps until one was the version's.

    The queue of a worker's cached runs gets the routing after the partitions, so a first step can be the old version's.
    """
    async with asyncio.timeout(30):
        while await _version_of(holdfast, run) != build_id:
            provider.script(run.model, CALL)
            run = await holdfast.until(await holdfast.submit(run, "sunny"), "requires_action")
    return run


async def _version_of(holdfast: RunningHoldfast, run: Run) -> str:
    """The version of the worker that ran the last workflow task. Empty for a worker without one."""
    description = await holdfast.resources.temporal.get_workflow_handle(run.id).describe()
    info = description.raw_description.workflow_execution_info.versioning_info
    return info.deployment_version.build_id


async def test_runs_of_old_version_end_on_new_version(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    held = Held(Says("Spoken."))
    provider.script("speaking-at-deploy", held)
    async with _worker(own_holdfast, "1.0.3"):
        async with _worker(own_holdfast, "1.0.2"):
            await _make_current(own_holdfast, "1.0.2")
            before = [await _parked(own_holdfast, provider, f"before-{number}") for number in range(2)]
            speaking = await own_holdfast.run(await own_holdfast.assistant("speaking-at-deploy"))
            await held.arrived()
            versions_before = {await _version_of(own_holdfast, run) for run in before}

            await _make_current(own_holdfast, "1.0.3")
            after = await _parked(own_holdfast, provider, "after")
            held.release()
            await own_holdfast.until(speaking, "completed")
            moved = await _stepped_until_version(own_holdfast, provider, before[0], "1.0.3")
        # The old worker has stopped.
        for run in (moved, before[1], after):
            await _completed(own_holdfast, provider, run)

        assert versions_before == {"1.0.2"}
        assert await _version_of(own_holdfast, after) == "1.0.3"
        assert [await own_holdfast.texts(run) for run in before] == [["Hello", "Thanks."]] * 2
        assert [await _version_of(own_holdfast, run) for run in before] == ["1.0.3"] * 2


async def test_runs_of_unversioned_worker_end_on_first_version(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    async with _worker(own_holdfast, ""):
        before = await _parked(own_holdfast, provider, "without-version")
    async with _worker(own_holdfast, "first"):
        await _make_current(own_holdfast, "first")

        done = await _completed(own_holdfast, provider, before)

        assert await own_holdfast.texts(done) == ["Hello", "Thanks."]
        assert await _version_of(own_holdfast, before) == "first"


async def test_version_that_is_not_current_gets_no_run_of_its_own_process(
    provider: ScriptedProvider, temporal_port: int, tmp_path: Path
) -> None:
    provider.script("created-by-old", *[Says("Done.")] * 5)
    settings = settings_for(tmp_path, temporal_port, provider).model_copy(update={"build_id": "old"})
    async with running_holdfast(settings) as holdfast, _worker(holdfast, "new"):
        await _make_current(holdfast, "new")
        assistant = await holdfast.assistant("created-by-old")

        runs = [await holdfast.until(await holdfast.run(assistant), "completed") for _ in range(5)]

        assert {await _version_of(holdfast, run) for run in runs} == {"new"}
