"""Looks for lost commands and lost workflows at an interval, as long as there is a worker."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.command_reconciler import CommandReconciler
from activities.ingest_reconciler import IngestReconciler
from activities.object_reconciler import ObjectReconciler, ObjectSweep
from activities.workflow_reconciler import WorkflowReconciler
from workflows import activity_options

SWEEP_WORKFLOW = "ContinuousSweep"
SWEEP_EVERY_SIGNAL = "sweep_every"
SWEEPS_FILES = "sweeps-files"
PURPOSE = "Finds runs and files whose command or workflow was lost, and removes bytes without a row."


@dataclass(frozen=True)
class Sweep:
    """The interval in seconds, and the places at which the next sweep continues.

    These are `overdue_from` (milliseconds) in the overdue runs, and `looked_until` (seconds) in Temporal's list of
    ended workflows; 0 stands for "not looked yet".
    """

    interval_seconds: int
    overdue_from: int = 0
    looked_until: int = 0
    objects: ObjectSweep | None = None


@workflow.defn(name=SWEEP_WORKFLOW)
class SweepWorkflow:
    """One per task queue. Runs until it is terminated, and is started again by any worker (`workflows/sweep.py`).

    A failed sweep does not end the workflow: the next one looks as far back.
    """

    @workflow.init
    def __init__(self, sweep: Sweep) -> None:
        self._interval_seconds = sweep.interval_seconds
        self._overdue_from = sweep.overdue_from
        self._looked_until = sweep.looked_until
        self._objects = sweep.objects
        self._is_asked_for = False

    @workflow.signal(name=SWEEP_EVERY_SIGNAL)
    def sweep_every(self, *interval_seconds: Any) -> None:
        """Sweep now, and then at this interval in seconds; without a number at the present interval."""
        # Any user of the Temporal UI can send a signal: an invalid one must not fail every later task.
        for seconds_apart in interval_seconds:
            if type(seconds_apart) is int and seconds_apart > 0:
                self._interval_seconds = seconds_apart
        self._is_asked_for = True

    @workflow.run
    async def run(self, sweep: Sweep) -> None:
        while True:
            self._is_asked_for = False
            began = workflow.now()
            done = [await self._repeat_lost_commands(), await self._close_lost_workflows(began)]
            # A sweep that began with an earlier version continues as it began.
            if workflow.patched(SWEEPS_FILES):
                done += [await self._reconcile_ingestion(), await self._reconcile_objects()]
            # The Temporal UI shows it. It costs no history; a summary would be lost with each continuation.
            steps = "\n- ".join(done)
            workflow.set_current_details(f"{PURPOSE} Last round, {began:%Y-%m-%d %H:%M:%S} UTC:\n\n- {steps}")
            await self._wait()
            if _is_long():
                # A sweep that was requested meanwhile is not lost: the next execution begins with one.
                workflow.continue_as_new(
                    Sweep(self._interval_seconds, self._overdue_from, self._looked_until, self._objects)
                )

    async def _repeat_lost_commands(self) -> str:
        try:
            report = await workflow.execute_activity_method(
                CommandReconciler.repeat, self._overdue_from, **_options("lost commands")
            )
        except ActivityError as error:
            return _failed("lost commands", error)
        self._overdue_from = report.overdue_from
        return f"lost commands: {report.repeated} repeated, {report.closed} runs closed, {report.failed} failed"

    async def _close_lost_workflows(self, began: datetime) -> str:
        # Stored even if this look fails: the next one must go back as far.
        self._looked_until = self._looked_until or _seconds(began - activity_options.SWEEP_FIRST_LOOK_BACK)
        try:
            closed = await workflow.execute_activity_method(
                WorkflowReconciler.close_runs, self._looked_until, **_options("lost workflows")
            )
        except ActivityError as error:
            return _failed("lost workflows", error)
        self._looked_until = _seconds(began - activity_options.SWEEP_LIST_DELAY)
        return f"lost workflows: {closed} runs closed"

    async def _reconcile_ingestion(self) -> str:
        try:
            report = await workflow.execute_activity_method(IngestReconciler.reconcile, **_options("ingestion"))
        except ActivityError as error:
            return _failed("ingestion", error)
        ended = f"{report.failed} failed, {report.deleted} deleted, {report.emptied} stores emptied"
        return f"ingestion: {report.started} started, {ended}"

    async def _reconcile_objects(self) -> str:
        try:
            self._objects = await workflow.execute_activity_method(
                ObjectReconciler.reconcile, self._objects, **_options("objects")
            )
        except ActivityError as error:
            return _failed("objects", error)
        return f"objects: {self._objects.deleted} deleted, {self._objects.orphans} orphans, {self._objects.lost} lost"

    async def _wait(self) -> None:
        interval = timedelta(seconds=self._interval_seconds)
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._is_asked_for, timeout=interval, timeout_summary="next sweep")


def _is_long() -> bool:
    info = workflow.info()
    return (
        workflow.now() - info.start_time >= activity_options.SWEEP_EXECUTION_LENGTH
        or info.get_current_history_length() >= activity_options.SWEEP_EXECUTION_EVENTS
    )


def _options(summary: str) -> workflow.ActivityConfig:
    return workflow.ActivityConfig(
        summary=summary,
        task_queue=activity_options.control_task_queue(workflow.info().task_queue),
        start_to_close_timeout=activity_options.SWEEP_TIMEOUT,
        schedule_to_close_timeout=activity_options.SWEEP_TIMEOUT,
        heartbeat_timeout=activity_options.HEARTBEAT_TIMEOUT,
    )


def _failed(step: str, error: ActivityError) -> str:
    """The description of a failure for the Temporal UI. Raises the workflow's own cancellation."""
    if is_cancelled_exception(error):
        raise error
    return f"{step}: failed, {error.cause or error}"


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
