"""Facts about a run that only Temporal has: the workflow's status, and the failed attempts at turns and calls."""

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
from models.turns import MODEL_TURN, TOOL_CALL, ToolCallInput, TurnInput

READ_TIMEOUT = timedelta(seconds=3)
NOT_FOUND = OpsWorkflow(status="not_found", execution=None)
INPUTS: dict[str, type[TurnInput | ToolCallInput]] = {MODEL_TURN: TurnInput, TOOL_CALL: ToolCallInput}
Key = int | str
"""A turn, or the id of a server call."""

UNREACHABLE = OpsWorkflow(status="unreachable", execution=None)


@dataclass
class Tries:
    """The attempts at one turn or server call. `began_at_ms` is in milliseconds since the epoch.

    `next_attempt_at`, in seconds, is None unless the last attempt failed and another one is to come.
    """

    began_at_ms: int
    attempts: int = 1
    next_attempt_at: int | None = None
    failures: list[OpsFailure] = field(default_factory=list)


@dataclass(frozen=True)
class RunHistory:
    """`tries` by turn, `call_tries` by the id of the call."""

    workflow: OpsWorkflow
    tries: dict[int, Tries] = field(default_factory=dict)
    call_tries: dict[str, Tries] = field(default_factory=dict)


class RunHistories:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, run_id: str) -> RunHistory:
        """The newest execution of the run's workflow. If Temporal does not answer, its status is `unreachable`."""
        try:
            async with asyncio.timeout(READ_TIMEOUT.total_seconds()):
                return await self._read(run_id)
        except RPCError as error:
            return RunHistory(NOT_FOUND if error.status is RPCStatusCode.NOT_FOUND else UNREACHABLE)
        except TimeoutError:
            return RunHistory(UNREACHABLE)

    async def _read(self, run_id: str) -> RunHistory:
        described = await self._client.get_workflow_handle(run_id).describe()
        handle = self._client.get_workflow_handle(run_id, run_id=described.run_id)
        events = [event async for event in handle.fetch_history_events()]
        scheduled = [(event.event_id, event.activity_task_scheduled_event_attributes) for event in events]
        keys = {
            event_id: await self._key_of(INPUTS[activity.activity_type.name], activity.input)
            for event_id, activity in scheduled
            if activity.activity_type.name in INPUTS
        }
        tries = _tries(events, keys)
        _add_pending(tries, events, keys, described.raw_description.pending_activities)
        return RunHistory(
            _workflow(described),
            {key: each for key, each in tries.items() if isinstance(key, int)},
            {key: each for key, each in tries.items() if isinstance(key, str)},
        )

    async def _key_of(self, kind: type[TurnInput | ToolCallInput], given: Payloads) -> Key:
        [decoded] = await self._client.data_converter.decode(given.payloads, [kind])
        return decoded.call_id if isinstance(decoded, ToolCallInput) else int(decoded.turn)


def _workflow(described: WorkflowExecutionDescription) -> OpsWorkflow:
    status = described.status.name.lower() if described.status else "unknown"
    return OpsWorkflow(status=status, execution=described.run_id)


def _tries(events: Iterable[HistoryEvent], keys: dict[int, Key]) -> dict[Key, Tries]:
    tries: dict[Key, Tries] = {}
    for event in events:
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED if event.event_id in keys:
                tries[keys[event.event_id]] = Tries(event.event_time.ToMilliseconds())
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                # Written when the last attempt has ended, with the failure of the attempt before it.
                started = event.activity_task_started_event_attributes
                if found := _of(tries, keys, started.scheduled_event_id):
                    found.attempts = started.attempt
                    _add_failure(found, started.attempt - 1, started.last_failure, None)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                failed = event.activity_task_failed_event_attributes
                if found := _of(tries, keys, failed.scheduled_event_id):
                    _add_failure(found, found.attempts, failed.failure, event.event_time)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                timed_out = event.activity_task_timed_out_event_attributes
                if found := _of(tries, keys, timed_out.scheduled_event_id):
                    _add_failure(found, found.attempts, timed_out.failure, event.event_time)
    return tries


def _of(tries: dict[Key, Tries], keys: dict[int, Key], scheduled_event_id: int) -> Tries | None:
    return tries[keys[scheduled_event_id]] if scheduled_event_id in keys else None


def _add_pending(
    tries: dict[Key, Tries],
    events: Iterable[HistoryEvent],
    keys: dict[int, Key],
    pending: Iterable[PendingActivityInfo],
) -> None:
    """An unfinished activity has no events after the one of its scheduling."""
    scheduled = {
        event.activity_task_scheduled_event_attributes.activity_id: event.event_id
        for event in events
        if event.event_id in keys
    }
    for activity in pending:
        if activity.activity_id in scheduled:
            found = tries[keys[scheduled[activity.activity_id]]]
            found.attempts = activity.attempt
            _add_failure(found, activity.attempt - 1, activity.last_failure, activity.last_attempt_complete_time)
            if activity.attempt > 1 and activity.HasField("next_attempt_schedule_time"):
                found.next_attempt_at = activity.next_attempt_schedule_time.seconds


def _add_failure(found: Tries, attempt: int, failure: Failure, at: Timestamp | None) -> None:
    if failure.message:
        # A time-out has the failure of the attempt before it as its cause, if there was one.
        message = f"{failure.message}: {failure.cause.message}" if failure.cause.message else failure.message
        found.failures.append(OpsFailure(attempt=attempt, message=message, at=at.seconds if at else None))
