"""Records one history for each path a run can take: `make histories`.

Record a path again only if a change is meant to break it: the old files prove that runs started before a change
continue after it. `scheduled_sweep` is from a version whose sweeps a Temporal Schedule started; later versions cannot
record it.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from openai.types.beta.threads import Run
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from infra.database import vector_store_additions, vector_stores
from infra.ingest_workflows import IngestWorkflows
from models.ingestion import IngestBatchInput, IngestInput
from models.vector_stores import Attachment, ChunkSizes
from models.web_hosts import PrivateHosts
from tests.conftest import settings_for, temporal_program
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Calls, Fails, Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider, running_provider
from tests.resets import closed, reset, workflow_tasks
from tests.searched_stores import searched_thread, searching, store_in_preparation
from tests.stored_files import DEFAULT_PROJECT, store_file
from tests.web_site import running_web_site
from tests.workflows.swept_queue import swept_queue
from workflows.sweep import start_sweep

HISTORIES = Path(__file__).parent / "histories"
CALL = Calls(("weather", '{"city": "Rome"}'))
SWEEP = "sweep_continued_as_new"
HALF_AN_HOUR = 1800
SEARCH = Calls(("file_search", '{"queries": ["vacation"]}'))
SEARCHES_AND_CALL = Calls(
    ("file_search", '{"queries": ["vacation"]}'), ("weather", '{"city": "Rome"}'), ("file_search", '{"queries": ["a"]}')
)
SOON = {"expires_after": {"anchor": "created_at", "seconds": 3}}


class Scenarios:
    """Each method takes a run along one path and returns it; its name is that of the history."""

    def __init__(self, holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
        self._holdfast = holdfast
        self._provider = provider

    async def completed(self) -> Run:
        self._provider.script("completed", Says("Hi."))
        return await self._holdfast.until(await self._started("completed"))

    async def completed_after_tool_outputs(self) -> Run:
        self._provider.script("tools", CALL, CALL, Says("Done."))
        run = await self._holdfast.until(await self._started("tools"))
        run = await self._holdfast.until(await self._holdfast.submit(run, "sunny"))
        return await self._holdfast.until(await self._holdfast.submit(run, "rainy"))

    async def failed(self) -> Run:
        self._provider.script("failed", Fails(401))
        return await self._holdfast.until(await self._started("failed"))

    async def completed_after_reset(self) -> Run:
        # To the first task: after a reset to the last one, the Replayer knows only the original run id and does not
        # see a reset. `tests/end_to_end/test_reset.py` replays that case in a worker.
        self._provider.script("reset", CALL, Fails(401), Says("Done."))
        run = await self._holdfast.until(await self._started("reset"))
        run = await self._holdfast.until(await self._holdfast.submit(run, "sunny"))
        await reset(self._holdfast, run, (await workflow_tasks(self._holdfast, run))[0])
        return await self._holdfast.until(run, "completed")

    async def cancelled_while_the_model_spoke(self) -> Run:
        self._provider.script("cancel-model", Hangs(after="Well"))
        run = await self._started("cancel-model")
        await self._provider.requested("cancel-model")
        return await self._cancelled(run)

    async def cancelled_while_waiting_for_outputs(self) -> Run:
        self._provider.script("cancel-waiting", CALL)
        return await self._cancelled(await self._holdfast.until(await self._started("cancel-waiting")))

    async def expired_while_the_model_spoke(self) -> Run:
        self._provider.script("expire-model", Hangs(after="Well"))
        return await self._holdfast.until(await self._started("expire-model", extra_body=SOON), "expired")

    async def expired_while_waiting_for_outputs(self) -> Run:
        self._provider.script("expire-waiting", CALL)
        return await self._holdfast.until(await self._started("expire-waiting", extra_body=SOON), "expired")

    async def completed_after_server_tools(self) -> Run:
        self._provider.script("searches", SEARCH, SEARCH, Says("Done."))
        return await self._holdfast.until(await self._searching("searches"))

    async def completed_after_mixed_tools(self) -> Run:
        self._provider.script("mixed", SEARCHES_AND_CALL, Says("Done."))
        run = await self._holdfast.until(await self._searching("mixed"))
        return await self._holdfast.until(await self._holdfast.submit(run, "sunny"))

    async def cancelled_while_a_tool_ran(self) -> Run:
        self._provider.script("cancel-tool", SEARCHES_AND_CALL)
        return await self._cancelled(await self._waiting_for_a_search("cancel-tool"))

    async def expired_while_a_tool_ran(self) -> Run:
        self._provider.script("expire-tool", SEARCH)
        return await self._holdfast.until(await self._waiting_for_a_search("expire-tool", extra_body=SOON), "expired")

    async def _searching(self, model: str, **fields: Any) -> Run:
        return await self._holdfast.run(await searching(self._holdfast, model, None, "weather"), **fields)

    async def _waiting_for_a_search(self, model: str, **fields: Any) -> Run:
        store_id = await store_in_preparation(self._holdfast)
        run = await self._searching(model, thread=searched_thread(store_id), **fields)
        async with asyncio.timeout(10):
            while not (await self._holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)).data:
                await asyncio.sleep(0.05)
        return run

    async def _started(self, model: str, **fields: object) -> Run:
        return await self._holdfast.run(await self._holdfast.assistant(model, "weather"), **fields)

    async def _cancelled(self, run: Run) -> Run:
        await self._holdfast.client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
        return await self._holdfast.until(run, "cancelled")


class Ingestions:
    """Each has files ingested along one path and returns the id of the workflow; the method's name is the history's."""

    def __init__(self, holdfast: RunningHoldfast) -> None:
        self._holdfast = holdfast

    async def ingested(self) -> str:
        return (await self._added("Hello.")).workflow_id

    async def ingestion_failed(self) -> str:
        return (await self._added("")).workflow_id

    async def ingestion_cancelled(self) -> str:
        file = await self._added("Hello.", is_commanded=False)
        await self._holdfast.stop_worker()
        await self._workflows().start(file)
        await self._holdfast.resources.temporal.get_workflow_handle(file.workflow_id).cancel()
        await self._holdfast.start_worker()
        return file.workflow_id

    async def batch_ingested(self) -> str:
        ids = [await store_file(self._holdfast.resources, text) for text in ("One.", "", "Three.")]
        stores = self._holdfast.client.vector_stores
        store = await stores.create()
        batch = await stores.file_batches.create_and_poll(store.id, file_ids=ids)
        return IngestBatchInput(batch.id).workflow_id

    async def crawled(self) -> str:
        with running_web_site() as site, pytest.MonkeyPatch.context() as patch:
            # The API and its worker were opened before the site was.
            patch.setattr(PrivateHosts, "names_host", lambda self, host, port: True)
            return await self._crawled(f"{site.url}/page/1")

    async def crawl_failed(self) -> str:
        return await self._crawled("http://10.0.0.1/")

    async def _crawled(self, url: str) -> str:
        body = {"root_urls": [url], "max_depth": 0}
        answer: Any = await self._holdfast.client.post("/ops/web_retrieval", body=body, cast_to=object)
        return str(answer["crawl_id"])

    def _workflows(self) -> IngestWorkflows:
        return IngestWorkflows(self._holdfast.resources.temporal, self._holdfast.resources.settings)

    async def _added(self, text: str, is_commanded: bool = True) -> IngestInput:
        resources = self._holdfast.resources
        store = await self._holdfast.client.vector_stores.create()
        file_id = await store_file(resources, text)
        (file,) = await resources.database.write(
            lambda connection: (
                vector_store_additions.add(
                    connection,
                    vector_stores.lock_open(connection, DEFAULT_PROJECT, store.id),
                    [Attachment(file_id, None, ChunkSizes())],
                ).to_ingest
            )
        )
        if is_commanded:
            await self._workflows().start(file)
        return file


def paths() -> list[str]:
    of_runs, of_files = ([name for name in vars(kind) if not name.startswith("_")] for kind in (Scenarios, Ingestions))
    return [*of_runs, *of_files, SWEEP]


async def record(names: list[str]) -> None:
    if SWEEP in names:
        await _record_sweep()
    if runs := [name for name in names if name != SWEEP]:
        await _record_runs(runs)


async def _record_sweep() -> None:
    """An hour of sweeps, of which the second fails, until the workflow continues as new."""
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=temporal_program(),
        dev_server_extra_args=["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"],
        data_converter=pydantic_data_converter,
    )
    async with environment, swept_queue(environment, closes_fail={2}) as queue:
        await start_sweep(queue.client, queue.task_queue, HALF_AN_HOUR)
        await queue.swept(3)
        handle = environment.client.get_workflow_handle(queue.sweep.id, run_id=queue.workflow_runs[0])
        (HISTORIES / f"{SWEEP}.json").write_text(_without_traces((await handle.fetch_history()).to_json()))


async def _record_runs(names: list[str]) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        provider = stack.enter_context(running_provider())
        environment = await stack.enter_async_context(
            await WorkflowEnvironment.start_local(
                dev_server_existing_path=temporal_program(), data_converter=pydantic_data_converter
            )
        )
        port = int(environment.client.service_client.config.target_host.rpartition(":")[2])
        holdfast = await stack.enter_async_context(running_holdfast(settings_for(folder, port, provider)))
        scenarios, ingestions = Scenarios(holdfast, provider), Ingestions(holdfast)
        for name in names:
            handle = environment.client.get_workflow_handle(await _workflow_of(name, scenarios, ingestions))
            await closed(handle)
            (HISTORIES / f"{name}.json").write_text(_without_traces((await handle.fetch_history()).to_json()))


async def _workflow_of(name: str, scenarios: Scenarios, ingestions: Ingestions) -> str:
    if hasattr(ingestions, name):
        ingestion: Callable[[], Awaitable[str]] = getattr(ingestions, name)
        return await ingestion()
    scenario: Callable[[], Awaitable[Run]] = getattr(scenarios, name)
    return (await scenario()).id


def _without_traces(history: str) -> str:
    """Stack traces contain paths of the recording machine; replay ignores them."""
    return re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', history)


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:] or paths()))
