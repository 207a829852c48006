"""The minimal cost of a durable run: a workflow with one activity, which calls the model once.

A process with worker and clients: `python -m tests.bench.floor TEMPORAL MODEL`. It takes loads on its standard input,
one a line, and answers each with its observations. The worker is set up as the SDK sets it up, with its sandbox; the
other settings are Holdfast's.
"""

import asyncio
import sys
import time
import uuid
from datetime import timedelta

import httpx
import uvloop
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from tests.bench.loads import POLL_SECONDS, Load, Observed

TASK_QUEUE = "floor"
TIMEOUT = timedelta(seconds=60)
SANDBOXED = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("httpx", "uvloop", "tests")
)


class Model:
    """Records the ended runs, so that a poll costs nothing."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.answered: set[str] = set()

    @activity.defn
    async def ask(self, model: str) -> str:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello there"}]}
        answer = (await self._http.post("/chat/completions", json=body)).raise_for_status().json()
        self.answered.add(activity.info().workflow_id or "")
        return str(answer["choices"][0]["message"]["content"])


@workflow.defn
class Floor:
    @workflow.run
    async def run(self, model: str) -> str:
        return await workflow.execute_activity_method(Model.ask, model, start_to_close_timeout=TIMEOUT)


async def observe(client: Client, model: Model, load: Load) -> Observed:
    runs: list[float] = []

    async def one() -> None:
        began = time.monotonic()
        workflow_id = uuid.uuid4().hex
        await client.start_workflow(
            Floor.run, load.model, id=workflow_id, task_queue=TASK_QUEUE, request_eager_start=True
        )
        while workflow_id not in model.answered:
            await asyncio.sleep(POLL_SECONDS)
        runs.append(time.monotonic() - began)

    async def work(until: float) -> None:
        while time.monotonic() < until:
            await one()

    await asyncio.gather(*(one() for _ in range(load.warm_up_runs)))
    runs.clear()
    began = time.monotonic()
    await asyncio.gather(*(work(began + load.seconds) for _ in range(load.clients)))
    return Observed(runs, [], time.monotonic() - began)


async def main(temporal: str, model_url: str) -> None:
    client = await Client.connect(temporal)
    async with httpx.AsyncClient(base_url=model_url, timeout=TIMEOUT.total_seconds(), trust_env=False) as http:
        model = Model(http)
        async with Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[Floor],
            activities=[model.ask],
            workflow_runner=SANDBOXED,
            max_cached_workflows=500,
            max_concurrent_activities=200,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        ):
            while line := await asyncio.to_thread(sys.stdin.readline):
                print((await observe(client, model, Load.from_json(line))).to_json(), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:3]))
