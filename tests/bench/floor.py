"""The minimal cost of a durable run: a workflow with one activity, which calls the model once.

A function call is a second such activity, after a signal of the client; a first delta is the model's first piece in the
activity.

A process with worker and clients: `python -m tests.bench.floor TEMPORAL MODEL`. It takes loads on its standard input,
one a line, and answers each with its observations. The worker is set up as the SDK sets it up, with its sandbox; the
other settings are Holdfast's.
"""

import asyncio
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import uvloop
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, PollerBehaviorSimpleMaximum, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from tests.bench.driver import FIRST_DELTA
from tests.bench.loads import POLL_SECONDS, Flow, Load, Observed

TASK_QUEUE = "floor"
TIMEOUT = timedelta(seconds=60)
SANDBOXED = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("httpx", "uvloop", "tests")
)


class Model:
    """Records what it has answered, and when its answers began, so that a poll costs nothing."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.answers: Counter[str] = Counter()
        self.first_deltas: dict[str, float] = {}

    @activity.defn
    async def ask(self, model: str) -> str:
        answer = (await self._http.post("/chat/completions", json=_body(model))).raise_for_status().json()
        self.answers[activity.info().workflow_id or ""] += 1
        return str(answer["choices"][0]["message"]["content"])

    @activity.defn
    async def stream(self, model: str) -> None:
        workflow_id = activity.info().workflow_id or ""
        async with self._http.stream("POST", "/chat/completions", json={**_body(model), "stream": True}) as response:
            received = b""
            async for data in response.aiter_raw():
                received += data
                if FIRST_DELTA[Flow.MODEL_STREAM] in received:
                    self.first_deltas.setdefault(workflow_id, time.monotonic())
        self.answers[workflow_id] += 1


def _body(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello there"}]}


@workflow.defn
class Floor:
    def __init__(self) -> None:
        self._has_outputs = False

    @workflow.signal
    def submit(self) -> None:
        self._has_outputs = True

    @workflow.run
    async def run(self, flow: Flow, model: str) -> None:
        ask = Model.stream if flow is Flow.STREAM else Model.ask
        await workflow.execute_activity_method(ask, model, start_to_close_timeout=TIMEOUT)
        if flow is Flow.TOOL_CALL:
            await workflow.wait_condition(lambda: self._has_outputs)
            await workflow.execute_activity_method(ask, model, start_to_close_timeout=TIMEOUT)


@dataclass
class Clients:
    temporal: Client
    model: Model
    load: Load
    runs: list[float] = field(default_factory=list)
    first_deltas: list[float] = field(default_factory=list)

    async def observe(self) -> Observed:
        await asyncio.gather(*(self._one() for _ in range(self.load.warm_up_runs)))
        self.runs.clear()
        self.first_deltas.clear()
        began = time.monotonic()
        await asyncio.gather(*(self._work(began + self.load.seconds) for _ in range(self.load.clients)))
        return Observed(self.runs, self.first_deltas, time.monotonic() - began)

    async def _work(self, until: float) -> None:
        while time.monotonic() < until:
            await self._one()

    async def _one(self) -> None:
        began = time.monotonic()
        handle = await self.temporal.start_workflow(
            Floor.run,
            args=[self.load.flow, self.load.model],
            id=uuid.uuid4().hex,
            task_queue=TASK_QUEUE,
            request_eager_start=True,
        )
        await self._until_answered(handle.id, 1)
        if self.load.flow is Flow.TOOL_CALL:
            await handle.signal(Floor.submit)
            await self._until_answered(handle.id, 2)
        if self.load.flow is Flow.STREAM:
            self.first_deltas.append(self.model.first_deltas[handle.id] - began)
        self.runs.append(time.monotonic() - began)

    async def _until_answered(self, workflow_id: str, times: int) -> None:
        while self.model.answers[workflow_id] < times:
            await asyncio.sleep(POLL_SECONDS)


async def main(temporal: str, model_url: str) -> None:
    client = await Client.connect(temporal)
    async with httpx.AsyncClient(base_url=model_url, timeout=TIMEOUT.total_seconds(), trust_env=False) as http:
        model = Model(http)
        async with Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[Floor],
            activities=[model.ask, model.stream],
            workflow_runner=SANDBOXED,
            max_cached_workflows=500,
            max_concurrent_activities=200,
            workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(20),
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        ):
            while line := await asyncio.to_thread(sys.stdin.readline):
                print((await Clients(client, model, Load.from_json(line)).observe()).to_json(), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:3]))
