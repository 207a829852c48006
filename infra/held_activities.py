"""The activities that Temporal gave to a worker and whose end it awaits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
CANCEL_REQUESTED = PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
RPC_TIMEOUT = timedelta(seconds=3)


@dataclass(frozen=True)
class HeldActivity:
    """`heard_at` is when its worker last spoke of it: took it, or sent a heartbeat."""

    worker: str
    workflow_id: str
    execution: str
    activity_id: str
    name: str
    attempt: int
    heard_at: datetime


async def held_by(client: Client, workflow_id: str, workers: Collection[str]) -> Sequence[HeldActivity]:
    """The activities of a workflow that workers of these identities have begun and not ended. Raises `RPCError`."""
    try:
        described = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return []
    return [
        _held(workflow_id, described.run_id, pending)
        for pending in described.raw_description.pending_activities
        if pending.state in (STARTED, CANCEL_REQUESTED) and pending.last_worker_identity in workers
    ]


async def fail(client: Client, held: HeldActivity, error: ApplicationError) -> bool:
    """End its present attempt with `error`, as its worker would. False where it has ended.

    Temporal's `ResetActivity` would do nothing: of an activity that has begun it waits for the attempt's end.
    """
    handle = client.get_async_activity_handle(
        workflow_id=held.workflow_id, run_id=held.execution, activity_id=held.activity_id
    )
    try:
        await handle.fail(error, rpc_timeout=RPC_TIMEOUT)
    except RPCError as refusal:
        if refusal.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


def _held(workflow_id: str, execution: str, pending: PendingActivityInfo) -> HeldActivity:
    times = [pending.last_started_time, pending.last_heartbeat_time]
    heard_at = max(time.ToDatetime(tzinfo=UTC) for time in times)
    return HeldActivity(
        pending.last_worker_identity,
        workflow_id,
        execution,
        pending.activity_id,
        pending.activity_type.name,
        pending.attempt,
        heard_at,
    )
