"""Facts about a run that only Temporal has: the workflow's status, and the failed attempts at its turns."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from models.ops_runs import OpsFailure, OpsWorkflow
from models.turns import MODEL_TURN, TurnInput

READ_TIMEOUT = timedelta(seconds=3)
NOT_FOUND = OpsWorkflow(status="not_found", execution=None)
UNREACHABLE = OpsWorkflow(status="unreachable", execution=None)


@dataclass
class TurnTries:
    """The attempts at one turn. `began_at` is in seconds since the epoch."""

    began_at: int
    attempts: int = 1
    failures: list[OpsFailure] = field(default_factory=list)


@dataclass(frozen=True)
class RunHistory:
    workflow: OpsWorkflow
    tries: dict[int, TurnTries]


class RunHistories:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, run_id: str) -> RunHistory:
        """The newest execution of the run's workflow. If Temporal does not answer, its status is `unreachable`."""
        try:
            async with asyncio.timeout(READ_TIMEOUT.total_seconds()):
                return await self._read(run_id)
        except RPCError as error:
            return RunHistory(NOT_FOUND if error.status is RPCStatusCode.NOT_FOUND else UNREACHABLE, {})
        except TimeoutError:
            return RunHistory(UNREACHABLE, {})

    async def _read(self, run_id: str) -> RunHistory:
        described = await self._client.get_workflow_handle(run_id).describe()
        handle = self._client.get_workflow_handle(run_id, run_id=described.run_id)
        events = [event async for event in handle.fetch_history_events()]
        turns = {
            event.event_id: await self._turn_of(event.activity_task_scheduled_event_attributes.input)
            for event in events
            if event.activity_task_scheduled_event_attributes.activity_type.name == MODEL_TURN
        }
        tries = _tries(events, turns)
        _add_pending(tries, events, turns, described.raw_description.pending_activities)
        return RunHistory(_workflow(described), tries)

    async def _turn_of(self, given: Payloads) -> int:
        [turn] = await self._client.data_converter.decode(given.payloads, [TurnInput])
        return int(turn.turn)


def _workflow(described: WorkflowExecutionDescription) -> OpsWorkflow:
    status = described.status.name.lower() if described.status else "unknown"
    return OpsWorkflow(status=status, execution=described.run_id)


def _tries(events: Iterable[HistoryEvent], turns: dict[int, int]) -> dict[int, TurnTries]:
    tries: dict[int, TurnTries] = {}
    for event in events:
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED if event.event_id in turns:
                tries[turns[event.event_id]] = TurnTries(event.event_time.seconds)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                # Written when the last attempt has ended, with the failure of the attempt before it.
                started = event.activity_task_started_event_attributes
                if turn := _of(tries, turns, started.scheduled_event_id):
                    turn.attempts = started.attempt
                    _add_failure(turn, started.attempt - 1, started.last_failure, None)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                failed = event.activity_task_failed_event_attributes
                if turn := _of(tries, turns, failed.scheduled_event_id):
                    _add_failure(turn, turn.attempts, failed.failure, event.event_time)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                timed_out = event.activity_task_timed_out_event_attributes
                if turn := _of(tries, turns, timed_out.scheduled_event_id):
                    _add_failure(turn, turn.attempts, timed_out.failure, event.event_time)
    return tries


def _of(tries: dict[int, TurnTries], turns: dict[int, int], scheduled_event_id: int) -> TurnTries | None:
    return tries[turns[scheduled_event_id]] if scheduled_event_id in turns else None


def _add_pending(
    tries: dict[int, TurnTries],
    events: Iterable[HistoryEvent],
    turns: dict[int, int],
    pending: Iterable[PendingActivityInfo],
) -> None:
    """An unfinished activity has no events after the one of its scheduling."""
    scheduled = {
        event.activity_task_scheduled_event_attributes.activity_id: event.event_id
        for event in events
        if event.event_id in turns
    }
    for activity in pending:
        if activity.activity_id in scheduled:
            turn = tries[turns[scheduled[activity.activity_id]]]
            turn.attempts = activity.attempt
            _add_failure(turn, activity.attempt - 1, activity.last_failure, activity.last_attempt_complete_time)


def _add_failure(turn: TurnTries, attempt: int, failure: Failure, at: Timestamp | None) -> None:
    if failure.message:
        # A time-out has the failure of the attempt before it as its cause, if there was one.
        message = f"{failure.message}: {failure.cause.message}" if failure.cause.message else failure.message
        turn.failures.append(OpsFailure(attempt=attempt, message=message, at=at.seconds if at else None))
