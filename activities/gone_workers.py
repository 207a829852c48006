"""Takes over what gone workers hold: their attempts are ended, so that Temporal gives the activities to others."""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from activities.failures import WorkerGone
from activities.takeovers import LOOK_INTERVAL, SILENT_FOR, Heard, Takeover
from infra import held_activities
from infra.background import together
from infra.database import workers, workflows_at_work
from infra.database.engine import Database
from infra.database.outages import DatabaseUnavailable
from infra.database.workers import SeenWorker
from infra.held_activities import HeldActivity

SUSPECTED_AFTER = SILENT_FOR / 2
"""After this long without a life sign, one other watches what a worker elsewhere holds: silent so long is none that
lives, but where the database is slow."""

PASSES = 7
"""Temporal may give the last polls of a gone worker more tasks, until it misses their connections: so what the worker
holds is looked for again after 1, 2, 4, … seconds, a little more than a minute in all, which is how long polls live."""

MAX_AT_ONCE = 20
MAX_REFUSED = 20
"""Workflows of which Temporal may tell nothing before a pass is given up: then it answers nobody."""

log = logging.getLogger(__name__)


class GoneWorkers:
    """Looks for workers that have ended without a word.

    A worker of the same machine is gone if its process has ended, and not before: one that is frozen is left alone. A
    worker elsewhere is suspected if it was silent for `SUSPECTED_AFTER`, and loses the attempts of which Temporal then
    hears nothing for `SILENT_FOR`; where it was only frozen, they are superseded: it can commit and emit nothing more.
    """

    def __init__(self, database: Database, temporal: Client, worker: str, other_workflows: Sequence[str] = ()) -> None:
        """`worker` is the identity of the worker that looks; `other_workflows` are in no table."""
        self._database = database
        self._temporal = temporal
        self._worker = worker
        self._other_workflows = other_workflows
        # Looks since the last life sign. The time that a look was late does not count: then this worker stood still.
        self._silent_looks: Counter[tuple[str, int]] = Counter()
        self._takeovers: dict[str, Takeover] = {}

    async def watch(self) -> None:
        """Look for gone workers, now and at an interval. Never returns."""
        while True:
            try:
                await self.look()
            except DatabaseUnavailable:
                # The others cannot give life signs either. The first log line is that of our own.
                self._silent_looks.clear()
            except RPCError as error:
                log.warning("worker.takeover_delayed", extra={"reason": error.message})
            await asyncio.sleep(LOOK_INTERVAL.total_seconds())

    async def look(self) -> None:
        """Look once, and take over what the gone workers hold. Raises `DatabaseUnavailable`, `RPCError`."""
        others = await self._database.read(workers.others, self._worker)
        looks = Counter({(other.id, other.life_signs): 1 for other in others})
        for seen in looks:
            looks[seen] += self._silent_looks[seen]
        self._silent_looks = looks
        suspects = [other for other in others if self._is_suspect(other)]
        self._takeovers = {each.id: self._takeovers.get(each.id) or _takeover_of(each) for each in suspects}
        due = [self._takeovers[each.id] for each in suspects if self._takeovers[each.id].look(each, _is_gone(each))]
        gone = [worker for worker, takeover in self._takeovers.items() if takeover.is_settled]
        claims = [await self._database.write(workers.claim, each.worker, self._worker, gone) for each in due]
        if any(claims):
            await self._take_over([each for each, is_claimed in zip(due, claims, strict=True) if is_claimed])

    def _is_suspect(self, other: SeenWorker) -> bool:
        is_proved = _is_proved_gone(other)
        if is_proved is not None:
            return is_proved
        silence: timedelta = (self._silent_looks[other.id, other.life_signs] - 1) * LOOK_INTERVAL
        return silence >= SUSPECTED_AFTER

    async def _take_over(self, takeovers: Sequence[Takeover]) -> None:
        """Look into each workflow once for all of them."""
        heard = {each.worker.id: Counter[Heard]() for each in takeovers}
        refused: list[str] = []

        async def look_into(workflow_id: str) -> None:
            try:
                await self._look_into(workflow_id, takeovers, heard)
            except RPCError as error:
                refused.append(workflow_id)
                if len(refused) > MAX_REFUSED:
                    raise
                facts = {"workflow_id": workflow_id, "reason": error.message}
                log.warning("worker.takeover_delayed", extra=facts)

        await _some_at_a_time([look_into(workflow_id) for workflow_id in await self._workflows()])
        for each in takeovers:
            heard[each.worker.id][Heard.UNKNOWN] = len(refused)
            await self._settle(each, heard[each.worker.id])

    async def _look_into(
        self, workflow_id: str, takeovers: Sequence[Takeover], heard: Mapping[str, Counter[Heard]]
    ) -> None:
        """Release what the workers have lost at once: the attempt that is ended is the one that was seen."""
        by_worker = {each.worker.id: each for each in takeovers}
        for held in await held_activities.held_by(self._temporal, workflow_id, list(by_worker)):
            takeover = by_worker[held.worker]
            said = takeover.heard_of(held)
            heard[held.worker][said] += 1
            if said is Heard.NOTHING:
                await self._release(takeover.worker, held)

    async def _settle(self, takeover: Takeover, heard: Counter[Heard]) -> None:
        gone = takeover.worker
        reason = "process ended" if takeover.is_proved else "silent"
        facts = {"worker": gone.id, "reason": reason, "activities": heard[Heard.NOTHING]}
        is_watched = takeover.is_settled and not heard[Heard.TOO_SHORT]
        if heard[Heard.SOMETHING]:
            log.warning("worker.without_database", extra=facts | {"still_heard": heard[Heard.SOMETHING]})
            # Temporal hears of it. Its silence is counted anew.
            del self._silent_looks[gone.id, gone.life_signs]
        elif takeover.passes == 0 and is_watched and not heard[Heard.UNKNOWN]:
            log.warning("worker.gone", extra=facts)
        if heard[Heard.UNKNOWN]:
            # Not a pass: the next look repeats it.
            return
        if not is_watched:
            takeover.watch()
            return
        takeover.passed()
        if takeover.passes == PASSES:
            await self._database.write(workers.forget, gone, self._worker)

    async def _workflows(self) -> Sequence[str]:
        return [*await self._database.read(workflows_at_work.ids), *self._other_workflows]

    async def _release(self, gone: SeenWorker, held: HeldActivity) -> None:
        if await held_activities.fail(self._temporal, held, WorkerGone(gone.id)):
            facts = {"workflow_id": held.workflow_id, "activity": held.name, "attempt": held.attempt}
            log.warning("activity.taken_over", extra=facts | {"worker": gone.id})


def _takeover_of(worker: SeenWorker) -> Takeover:
    return Takeover(worker, _is_gone(worker))


def _is_gone(other: SeenWorker) -> bool:
    return bool(_is_proved_gone(other))


def _is_proved_gone(other: SeenWorker) -> bool | None:
    """None where nothing proves that it lives or has ended."""
    has_ended = other.process.has_ended()
    return (other.is_gone or None) if has_ended is None else has_ended


async def _some_at_a_time(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do all of `work`, `MAX_AT_ONCE` at a time. Where one fails, its error is raised and the rest is not done."""
    room = asyncio.Semaphore(MAX_AT_ONCE)

    async def in_turn(each: Coroutine[Any, Any, None]) -> None:
        async with room:
            await each

    await together(*(in_turn(each) for each in work))
