"""Finds runs whose next command did not reach their workflow, and repeats the command."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity
from temporalio.service import RPCError

from activities.heartbeat import heartbeating
from activities.workflow_reconciler import close
from infra.clock import MS_PER_SECOND, now_ms, now_seconds
from infra.database import run_retries, sweeps
from infra.database.columns import AnyRow
from infra.database.engine import Database
from infra.database.outages import DatabaseUnavailable
from infra.database.runs import to_run
from infra.ports import EventStream
from infra.run_workflows import Delivery, RunWorkflows
from models.runs import RunStatus
from models.turns import RunInput

OVERDUE_AFTER = timedelta(seconds=5)
"""A command without effect after this time may be lost. Repeating a command that was not lost is harmless."""

EXPIRED_FOR = timedelta(seconds=30)
"""A run this long past its deadline has no workflow that watches its deadline."""

STUCK_AFTER = timedelta(minutes=5)
"""A working workflow ends its run long before this."""

PAGE_SIZE = 100
MAX_PAGES = 10
"""The limit of one sweep; the next one continues behind it. Under load thousands of runs wait without a loss."""

MAX_AT_ONCE = 10
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepReport:
    """The numbers of runs whose command was repeated, of runs that were closed because they have no workflow, and of
    failed repairs.

    The next sweep continues at `overdue_from` (milliseconds) in the overdue runs, and at `looked_until` (seconds) in
    Temporal's list of ended workflows.
    """

    repeated: int = 0
    closed: int = 0
    failed: int = 0
    looked_until: int = 0
    overdue_from: int = 0


class CommandReconciler:
    """Repairs stalled runs: the API died between its commit and its command, or Temporal did not answer."""

    def __init__(self, database: Database, workflows: RunWorkflows, event_stream: EventStream) -> None:
        self._database = database
        self._workflows = workflows
        self._event_stream = event_stream

    @activity.defn(name="LostCommands.repeat")
    async def repeat(self, overdue_from: int = 0) -> SweepReport:
        """Repeat the commands of overdue runs, and close runs that no workflow will close.

        Reads runs that are overdue since `overdue_from` (milliseconds) or later, up to `MAX_PAGES` of them. A run
        whose repair fails is logged and counted, and does not stop the others. Raises `DatabaseUnavailable`.
        """
        async with heartbeating():
            return await self._repeat(overdue_from)

    async def _repeat(self, overdue_from: int) -> SweepReport:
        past = now_seconds() - int(EXPIRED_FOR.total_seconds())
        expired = await self._database.read(sweeps.past_deadline, past, PAGE_SIZE)
        deliveries = await self._repair_all(expired)
        before = now_ms() - OVERDUE_AFTER // timedelta(milliseconds=1)
        for _ in range(MAX_PAGES):
            overdue = await self._database.read(sweeps.overdue, overdue_from, before, PAGE_SIZE)
            deliveries += await self._repair_all(overdue)
            if len(overdue) < PAGE_SIZE:
                overdue_from = 0
                break
            # Both pages may have runs of the same millisecond; to repeat a command twice is harmless.
            overdue_from = max(overdue_from + 1, overdue[-1].status_changed_at)
        return SweepReport(
            repeated=deliveries.count(Delivery.DELIVERED),
            closed=deliveries.count(Delivery.NO_WORKFLOW),
            failed=deliveries.count(None),
            overdue_from=overdue_from,
        )

    async def _repair_all(self, found: Sequence[AnyRow]) -> list[Delivery | None]:
        """Repair these runs, `MAX_AT_ONCE` at a time. None stands for a failed repair. All have ended on return."""
        room = asyncio.Semaphore(MAX_AT_ONCE)

        async def repair(run: AnyRow) -> Delivery | None:
            async with room:
                return await self._repair_or_log(run)

        try:
            async with asyncio.TaskGroup() as group:
                repairs = [group.create_task(repair(run)) for run in found]
        except* DatabaseUnavailable as outages:
            outage = outages.exceptions[0]
        else:
            return [done.result() for done in repairs]
        # Raised outside of its group, so that `Outages` recognizes it.
        raise outage

    async def _repair_or_log(self, run: AnyRow) -> Delivery | None:
        try:
            return await self._repair(run)
        except DatabaseUnavailable:
            raise
        except Exception:
            # An error of one run must not prevent the repair of the others. The report counts it.
            log.exception("run.repair_failed", extra={"run_id": run.id, "thread_id": run.thread_id})
            return None

    async def _repair(self, run: AnyRow) -> Delivery:
        try:
            delivery = await self._command(run)
        except RPCError as error:
            # A run whose command Temporal refuses must not delay the others; past its deadline it is closed.
            log.exception(
                "run.command_refused", extra={"run_id": run.id, "thread_id": run.thread_id, "reason": error.message}
            )
            is_over = (run.expires_at or 0) <= now_seconds()
            delivery = Delivery.NO_WORKFLOW if is_over else Delivery.REFUSED
        if delivery is Delivery.NO_WORKFLOW or _is_stuck(run):
            delivery = Delivery.NO_WORKFLOW
            await close(self._database, self._workflows, self._event_stream, run)
        return delivery

    async def _command(self, run: AnyRow) -> Delivery:
        match RunStatus(run.status):
            case RunStatus.QUEUED if run.waiting:
                return Delivery.NO_WORKFLOW
            case RunStatus.QUEUED if run.turn == run.retried_turn:
                return await self._retry(run)
            case RunStatus.QUEUED if run.turn == 0:
                return await self._workflows.start(RunInput.of(to_run(run)))
            case RunStatus.QUEUED:
                return await self._submit(run)
            case RunStatus.CANCELLING:
                await self._workflows.cancel(run.id)
        # Temporal accepts a cancel of a closed workflow without an error.
        return Delivery.DELIVERED if await self._workflows.is_running(run.id) else Delivery.NO_WORKFLOW

    async def _retry(self, run: AnyRow) -> Delivery:
        command = await self._database.read(run_retries.command_of, run)
        return await self._workflows.retry(command)

    async def _submit(self, run: AnyRow) -> Delivery:
        delivery = await self._workflows.submit(run.id, run.turn - 1)
        if delivery is Delivery.NO_WORKFLOW:
            # Temporal lost it (its database was replaced): a new workflow finds the committed turns and continues.
            delivery = await self._workflows.start(RunInput.of(to_run(run)))
        return delivery


def _is_stuck(run: AnyRow) -> bool:
    """Whether the workflow runs but will not end its run: its tasks fail, and so does every retry of them."""
    is_cancelling = run.status == RunStatus.CANCELLING or run.expires_at is None
    due_ms = run.status_changed_at if is_cancelling else (run.expires_at or 0) * MS_PER_SECOND
    return now_ms() - due_ms > STUCK_AFTER // timedelta(milliseconds=1)
