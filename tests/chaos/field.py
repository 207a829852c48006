"""The objects of the suite: a set-up, its runs, and every fault that was injected."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from openai import AsyncOpenAI

from tests.chaos.clients import PatientClient
from tests.chaos.crawls import ChaosCrawl, begin_crawl, ended
from tests.chaos.parts import Part
from tests.chaos.patience import until
from tests.chaos.runs import ChaosRun, Plan
from tests.chaos.scripts import CODE, FUNCTIONS, HANDBOOK, PASSAGE, SEARCH, Script, Turn
from tests.chaos.setups import Role, Setup
from tests.chaos.stored import Stored
from tests.holdfast import function_tool
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.signals import Signal

MOST_CALLS_OF_A_RUN = 100


class Field:
    """`points` counts the hits of each named point of a run, `faults` the parts killed, stopped or frozen.

    `missed` says which strike did not get where it wanted to. `taken_up` has, for each answer that was cut off by the
    kill of a worker, the seconds until its model was called again. `thawed` are the times at which a frozen worker
    went on.
    """

    def __init__(self, setup: Setup, stored: Stored, provider: ScriptedProvider, seed: int) -> None:
        self.setup = setup
        self.stored = stored
        self.random = random.Random(f"{setup.name}-{seed}")
        self.client = PatientClient(setup.urls, seed)
        self.runs: list[ChaosRun] = []
        self.crawls: list[ChaosCrawl] = []
        self.points: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.missed: list[str] = []
        self.taken_up: list[float] = []
        self.thawed: list[float] = []
        self.living: list[asyncio.Task[None]] = []
        self._provider = provider
        self._assistant_id = ""
        self._file_id = ""

    async def prepare(self) -> None:
        store_id = await self._searched_store()
        tools = [{"type": "file_search"}, {"type": "code_interpreter"}, *(function_tool(name) for name in FUNCTIONS)]
        resources = {"file_search": {"vector_store_ids": [store_id]}}
        body = {"model": "none", "tools": tools, "tool_resources": resources}
        self._assistant_id = (await self.client.post("/assistants", body, f"{self.setup.name}-assistant"))["id"]

    async def _searched_store(self) -> str:
        async with AsyncOpenAI(base_url=f"{self.setup.urls[0]}/v1", api_key="any") as client:
            store = await client.vector_stores.create()
            file = await client.vector_stores.files.upload_and_poll(
                vector_store_id=store.id, file=(HANDBOOK, PASSAGE.encode())
            )
        self._file_id = file.id
        return store.id

    async def held_store(self, name: str) -> str:
        """A store with a file that nothing ingests: the searches of a thread wait for it until it is released."""
        store_id = str((await self.client.post("/vector_stores", {}, f"{self.setup.name}-store-{name}"))["id"])
        await self.stored.hold(store_id, self._file_id)
        return store_id

    def add(self, plan: Plan, *turns: Turn) -> ChaosRun:
        """A run that is not created yet. It has a model name of its own, which identifies its calls."""
        script = Script(f"{self.setup.name}-{plan.kind.replace(' ', '-')}-{len(self.runs)}", turns)
        self._provider.script(script.model, *[script] * MOST_CALLS_OF_A_RUN)
        run = ChaosRun(self.client, self._assistant_id, script, plan)
        self.runs.append(run)
        return run

    def begin(self, run: ChaosRun, after: float = 0.0) -> ChaosRun:
        async def live() -> None:
            await asyncio.sleep(after)
            await run.live()

        self.living.append(asyncio.create_task(live(), name=run.name))
        return run

    async def crawl(self) -> None:
        """Begin a crawl, and return when it waits for a page. The one before has ended: they share a site."""
        for earlier in self.crawls[-1:]:
            await ended(self.client, earlier)
        key = f"{self.setup.name}-crawl-{len(self.crawls)}"
        self.crawls.append(await begin_crawl(self.client, self.setup.site, key))

    def let_go(self) -> None:
        """Let every run and crawl continue that a strike holds back."""
        self.setup.embeddings.release()
        self.setup.site.may_answer.set()
        for run in self.runs:
            run.may_answer.set()
            run.may_cancel.set()
            for gate in (turn.gate for turn in run.script.turns if turn.gate):
                gate.set()

    def kill(self, *roles: Role) -> None:
        for part in self.setup.of(*roles):
            self.kill_part(part)

    def kill_part(self, part: Part) -> None:
        self.faults[f"{part.name} killed"] += 1
        part.kill()

    async def stop_part(self, part: Part) -> None:
        self.faults[f"{part.name} stopped"] += 1
        await part.stop()

    def freeze(self, role: Role) -> None:
        """Where nothing plays this role by itself, nothing is frozen."""
        if part := self.setup.freezable.get(role):
            self.faults[f"{part.name} frozen"] += 1
            part.freeze()

    async def until_status(self, run: ChaosRun, *statuses: str) -> None:
        async def has_status() -> bool:
            return await self.stored.status(run.name) in statuses

        await until(has_status, f"{run.name} is not {statuses}")

    async def until_turn(self, run: ChaosRun, turn: int = 0) -> None:
        await until(lambda: self.stored.has_turn(run.name, turn), f"{run.name} has no turn {turn}")

    async def until_running(self, run: ChaosRun) -> None:
        """Wait until a worker runs the server calls of the run's first turn."""

        async def is_running() -> bool:
            timeline = await self.client.get(f"/ops/runs/{run.run_id}")
            calls = timeline["turns"][0]["tool_calls"] if timeline["turns"] else []
            return any(call["attempts"] for call in calls)

        await run.knows_id.wait()
        for _ in range(2):
            # Once scheduled, a call is taken at once: the second answer is later than that.
            await until(is_running, f"no call of {run.name} runs")

    async def until_code(self, run: ChaosRun) -> None:
        """Wait until code of the run has written something."""
        await until(lambda: self.stored.has_logs(run.name), f"no code of {run.name} runs")

    async def until_result(self, run: ChaosRun) -> None:
        await until(lambda: self.stored.has_result(run.name), f"{run.name} has no result")


async def holds(condition: Callable[[], bool], otherwise: str) -> None:
    async def is_so() -> bool:
        return condition()

    await until(is_so, otherwise)


Strike = Callable[[Field], Awaitable[None]]


def gated() -> tuple[Turn, Signal]:
    """A text whose last word comes when the signal is set."""
    gate = Signal()
    return Turn(gate=gate), gate


CALLS = Turn(functions=FUNCTIONS[:2])
CODES = Turn(functions=[CODE] * 2)
SEARCHES = Turn(functions=[SEARCH] * 2)
TEXT = Turn()
