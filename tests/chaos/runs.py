"""One run and the program that lives with it: it creates the run, answers its calls, cancels it, sees it end."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx

from models.runs import RunStatus
from tests.chaos.clients import PatientClient, Refused
from tests.chaos.ledgers import Ledger, is_paused
from tests.chaos.scripts import Script
from tests.sse import Sent

POLL_SECONDS = (0.3, 1.5)
CANCEL_CAME_LATE = 400

Events = AbstractAsyncContextManager[AsyncIterator[Sent]]
Opened = Callable[[], Events]


@dataclass(frozen=True)
class Plan:
    """The program's actions. Delays in seconds; `cancel_after` None: it does not cancel."""

    kind: str
    streams: bool = False
    makes_thread_first: bool = False
    cancel_after: float | None = None
    answer_after: float = 0.0
    searched_store: str = ""
    """The vector store of its thread."""


class ChaosRun:
    """`may_answer` and `may_cancel` hold the program back where they are cleared; they are set from the beginning."""

    def __init__(self, client: PatientClient, assistant_id: str, script: Script, plan: Plan) -> None:
        self.script = script
        self.plan = plan
        self.name = script.model
        self.thread_id = self.run_id = ""
        self.is_cancelled = False
        self.asked: list[dict[str, str]] = []
        self.faults: list[str] = []
        self.ledger = Ledger()
        self.knows_id, self.may_answer, self.may_cancel = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.may_answer.set()
        self.may_cancel.set()
        self._client = client
        self._assistant_id = assistant_id
        self._random = random.Random(self.name)
        self._is_due = False
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def question(self) -> str:
        return f"{self.name} asks"

    @property
    def path(self) -> str:
        return f"/threads/{self.thread_id}/runs/{self.run_id}"

    async def live(self) -> None:
        """Return once the client has seen the run end."""
        async with asyncio.TaskGroup() as tasks:
            if self.plan.cancel_after is not None:
                tasks.create_task(self._cancel(self.plan.cancel_after))
            tasks.create_task(self._follow() if self.plan.streams else self._poll())

    async def _poll(self) -> None:
        path, body = await self._creation()
        self._know(await self._client.post(path, body, f"{self.name}-create"))
        while True:
            run = await self._client.get(self.path)
            if RunStatus(run["status"]).is_terminal:
                return
            if run["status"] == RunStatus.REQUIRES_ACTION and self._ask(run):
                await self._answer()
            await asyncio.sleep(self._random.uniform(*POLL_SECONDS))

    async def _follow(self) -> None:
        """Read the run's streams: the SDKs' while they last, and after a break the one that can be come back to."""
        opened, tries = await self._creating(), 0
        while not self.ledger.ended_as:
            before, is_whole = self.ledger.last, False
            try:
                async with opened() as events:
                    is_whole = await self._take_all(events)
            except httpx.TransportError:
                self._client.tally["stream broken"] += 1
            except Refused as refusal:
                self._refused(refusal)
                opened = self._coming_back
                continue
            tries = 0 if self.ledger.last > before else tries + 1
            if is_whole and self._is_due:
                opened = await self._submitting()
            elif not tries and self.run_id:
                opened = self._coming_back
                self._answer_beside()
            if not is_whole:
                await self._client.wait(tries)
        for task in self._answering:
            await task

    async def _creating(self) -> Opened:
        path, body = await self._creation()

        def create() -> Events:
            self.ledger = Ledger()
            return self._client.stream(path, {**body, "stream": True}, f"{self.name}-create")

        return create

    async def _submitting(self) -> Opened:
        body, key = await self._outputs()
        return lambda: self._client.stream(f"{self.path}/submit_tool_outputs", {**body, "stream": True}, key)

    def _coming_back(self) -> Events:
        after = f"?after={self.ledger.last}" if self.ledger.last >= 0 else ""
        return self._client.stream(f"{self.path}/events{after}")

    async def _take_all(self, events: AsyncIterator[Sent]) -> bool:
        """Whether the stream came to its end."""
        async for event in events:
            if event.name in ("done", "error"):
                return event.name == "done"
            if event.name == "keepalive":
                continue
            if self.ledger.take(event):
                self._note(event)
            if event.number is not None:
                self._answer_beside()
        return False

    def _note(self, event: Sent) -> None:
        if event.name == "thread.run.created":
            self._know(event.json)
        elif is_paused(event):
            self._ask(event.json)

    def _know(self, run: Any) -> None:
        if self.run_id and self.run_id != run["id"]:
            self.faults.append(f"created twice: {self.run_id} and {run['id']}")
        self.thread_id, self.run_id = run["thread_id"], run["id"]
        self.knows_id.set()

    async def _creation(self) -> tuple[str, Any]:
        messages = [{"role": "user", "content": self.question}]
        body = {"assistant_id": self._assistant_id, "model": self.name}
        if not self.plan.makes_thread_first and not self.thread_id:
            searched = self.plan.searched_store
            resources = {"file_search": {"vector_store_ids": [searched]}} if searched else {}
            return "/threads/runs", {**body, "thread": {"messages": messages, "tool_resources": resources}}
        if not self.thread_id:
            self.thread_id = (await self._client.post("/threads", {}, f"{self.name}-thread"))["id"]
        await self._client.post(f"/threads/{self.thread_id}/messages", messages[0], f"{self.name}-message")
        return f"/threads/{self.thread_id}/runs", body

    def _ask(self, run: Any) -> bool:
        """Note the calls that the run waits for. False where their answer is on its way already."""
        calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        asked = {call["id"]: call["function"]["arguments"] for call in calls}
        if self.asked and self.asked[-1] == asked:
            # A stream also emits calls that a poll has seen: do not answer twice.
            return self._is_due
        for known in self.asked:
            if repeated := known.keys() & asked.keys():
                self.faults.append(f"asked again for {repeated}")
        self.asked.append(asked)
        self._is_due = True
        return True

    async def _answer(self) -> None:
        body, key = await self._outputs()
        try:
            await self._client.post(f"{self.path}/submit_tool_outputs", body, key)
        except Refused as refusal:
            self._refused(refusal)

    def _answer_beside(self) -> None:
        if self._is_due:
            self._is_due = False
            self._answering.add(asyncio.create_task(self._answer()))

    async def _outputs(self) -> tuple[Any, str]:
        self._is_due = False
        turn, asked = len(self.asked) - 1, self.asked[-1]
        await asyncio.sleep(self.plan.answer_after)
        await self.may_answer.wait()
        outputs = [{"tool_call_id": call, "output": output_of(arguments)} for call, arguments in asked.items()]
        return {"tool_outputs": outputs}, f"{self.name}-submit-{turn}"

    async def _cancel(self, after: float) -> None:
        await self.knows_id.wait()
        await asyncio.sleep(after)
        await self.may_cancel.wait()
        try:
            await self._client.post(f"{self.path}/cancel", {}, f"{self.name}-cancel")
            self.is_cancelled = True
        except Refused as refusal:
            if refusal.status != CANCEL_CAME_LATE:
                self.faults.append(str(refusal))

    def _refused(self, refusal: Refused) -> None:
        # A cancel may come before the outputs.
        if self.plan.cancel_after is None:
            self.faults.append(str(refusal))


def output_of(arguments: str) -> str:
    return f"output of {arguments}"
