"""A run, in the order of its steps: ask the model, wait for tool outputs, until it has ended."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import exceptions as temporal_errors
from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, is_cancelled_exception

from activities.model_turn import ModelTurn
from activities.run_finalization import RunFinalization
from activities.tool_calls import ToolCalls
from models.finalization import Finalization
from models.runs import LastError, LastErrorCode, RunIncompleteReason, RunStatus
from models.tool_calls import ToolKind
from models.turn_failures import failure_in
from models.turns import (
    RUN_STATUS_ATTRIBUTE,
    RUN_WORKFLOW,
    SUBMIT_SIGNAL,
    NextStep,
    RunInput,
    RunState,
    ServerCall,
    ToolCallInput,
    TurnInput,
    TurnOutcome,
)
from workflows import activity_options

RUN_FAILED = "RunFailed"
# Temporal accepts summaries of up to 400 bytes.
MAX_SUMMARY_MODEL_LENGTH = 80
# Workflows that began under an earlier version continue without this patch.
CANCEL_AFTER_STORED_TURN = "cancel-after-stored-turn"
RUN_STATUS = SearchAttributeKey.for_keyword(RUN_STATUS_ATTRIBUTE)


@workflow.defn(name=RUN_WORKFLOW)
class RunWorkflow:
    """The order of a run's steps. The run's state is in the database.

    Returns the run's final status. Ends Failed if the run failed, so that the Temporal UI lists it as failed and it
    can be reset: after a reset to any task, it continues with the failed turn.
    """

    @workflow.init
    def __init__(self, run: RunInput) -> None:
        self._run = run
        self._deadline = run.expires_at
        self._answered_turn = -1
        self._turn = 0
        self._was_cancelled_meanwhile = False
        self._why_failed: str | None = None

    @workflow.signal(name=SUBMIT_SIGNAL)
    def submit_tool_outputs(self, *turns: Any) -> None:
        # Any user of the Temporal UI can send a signal: an invalid one must not fail every later task.
        self._answered_turn = max([self._answered_turn, *(turn for turn in turns if type(turn) is int)])

    @workflow.run
    async def run(self, run: RunInput) -> RunStatus:
        asyncio.get_running_loop().set_exception_handler(report_unexpected)
        while True:
            self._why_failed = None
            status = await self._until_ended()
            self._update_search_attribute(status)
            if status is not RunStatus.FAILED:
                return status
            if not await self._reopen():
                why = self._why_failed or f"Run {run.run_id} failed: see its last_error."
                raise ApplicationError(why, type=RUN_FAILED)

    async def _until_ended(self) -> RunStatus:
        try:
            return await self._take_turns()
        except (asyncio.CancelledError, ActivityError) as error:
            # A turn may fail instead of being cancelled: its worker may be lost.
            if not (is_cancelled_exception(error) or _is_cancel_requested()):
                return await self._finalize_failed(error)
            status = await self._finalize(Finalization(self._run.run_id, RunStatus.CANCELLED))
            if status is RunStatus.CANCELLED:
                self._update_search_attribute(status)
                raise asyncio.CancelledError from error
            return status

    async def _take_turns(self) -> RunStatus:
        while not self._is_history_full():
            if self._was_cancelled_meanwhile:
                raise asyncio.CancelledError
            self._update_search_attribute(RunStatus.IN_PROGRESS)
            outcome = await self._model_turn()
            self._deadline = outcome.expires_at or self._deadline
            match outcome.next_step:
                case NextStep.FINISH if outcome.status is RunStatus.CANCELLING:
                    return await self._finalize(Finalization(self._run.run_id, RunStatus.CANCELLED))
                case NextStep.FINISH:
                    return outcome.status
                case NextStep.AWAIT_TOOL_OUTPUTS:
                    # The turn was committed before the cancel reached it.
                    if _is_cancel_requested() and workflow.patched(CANCEL_AFTER_STORED_TURN):
                        raise asyncio.CancelledError
                    if ended := await self._await_outputs():
                        return ended
                case NextStep.RUN_TOOLS:
                    # As above. A history with this step has no older branch.
                    if _is_cancel_requested():
                        raise asyncio.CancelledError
                    if ended := await self._run_tools(outcome.server_calls):
                        return ended
            self._turn += 1
        # The nearest of the two reasons of the wire: the run's history is too large to continue.
        reason = RunIncompleteReason.MAX_PROMPT_TOKENS
        return await self._finalize(Finalization(self._run.run_id, RunStatus.INCOMPLETE, incomplete_reason=reason))

    async def _model_turn(self) -> TurnOutcome:
        time_left = self._time_left()
        return await workflow.execute_activity_method(
            ModelTurn.generate,
            TurnInput(self._run.run_id, self._turn),
            start_to_close_timeout=time_left,
            schedule_to_close_timeout=time_left,
            heartbeat_timeout=activity_options.HEARTBEAT_TIMEOUT,
            retry_policy=activity_options.MODEL_RETRIES,
            # The turn stores the partial answer; the run is cancelled after that.
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"turn {self._turn} · {self._run.model[:MAX_SUMMARY_MODEL_LENGTH]}",
        )

    async def _run_tools(self, calls: tuple[ServerCall, ...]) -> RunStatus | None:
        """Run this turn's calls of server tools, then wait for the client's outputs if functions were called as well.

        Returns the status of a run that ended instead.
        """
        try:
            states = await asyncio.gather(*map(self._one_after_another, chains_of(calls)))
        except ActivityError as error:
            if error.retry_state is not RetryState.TIMEOUT:
                raise
            return await self._finalize(self._at_deadline(error))
        if any(state.status is RunStatus.REQUIRES_ACTION for chain in states for state in chain):
            return await self._await_outputs()
        return None

    async def _one_after_another(self, calls: tuple[ServerCall, ...]) -> list[RunState]:
        return [await self._tool_call(call) for call in calls]

    async def _tool_call(self, call: ServerCall) -> RunState:
        # The row of a reset run has no deadline until the failed turn resumes it.
        lifetime = timedelta(seconds=self._run.lifetime_seconds)
        time_left = lifetime if _is_reset() else max(self._until_deadline(), timedelta(milliseconds=1))
        return await workflow.execute_activity_method(
            ToolCalls.execute,
            ToolCallInput(self._run.run_id, self._turn, call.id),
            start_to_close_timeout=min(time_left, activity_options.TOOL_TIME_LIMITS[call.kind]),
            schedule_to_close_timeout=time_left,
            heartbeat_timeout=activity_options.HEARTBEAT_TIMEOUT,
            retry_policy=activity_options.TOOL_RETRIES,
            summary=call.kind.value,
        )

    async def _await_outputs(self) -> RunStatus | None:
        """Wait for the outputs of this turn's calls. Returns the status of a run that ended instead."""
        self._update_search_attribute(RunStatus.REQUIRES_ACTION)
        try:
            await workflow.wait_condition(
                # Signals without an answer fill the history as well.
                lambda: self._answered_turn >= self._turn or self._is_history_full(),
                timeout=max(self._until_deadline(), timedelta(milliseconds=1)),
                timeout_summary=f"turn {self._turn} · tool outputs",
            )
        except TimeoutError:
            status = await self._finalize(Finalization(self._run.run_id, RunStatus.EXPIRED))
            # Only after a reset can the run be failed here: the failed turn resumes it.
            return None if status is RunStatus.FAILED else status
        return None

    async def _finalize_failed(self, error: BaseException) -> RunStatus:
        """Close a run whose turn failed for good. A turn that could close it has done so; then this has no effect."""
        if isinstance(error.__cause__, temporal_errors.TimeoutError) and self._until_deadline() <= timedelta():
            return await self._finalize(self._at_deadline(error))
        failure = _last_failure(error)
        code = failure.code if failure else LastErrorCode.SERVER_ERROR
        message = failure.message if failure else None
        return await self._finalize(Finalization(self._run.run_id, RunStatus.FAILED, code, message))

    def _at_deadline(self, error: BaseException) -> Finalization:
        """The end of a run whose time is over: it is failed if an attempt has failed, and expired if none has."""
        failure = _last_failure(error)
        if failure is None:
            return Finalization(self._run.run_id, RunStatus.EXPIRED)
        return Finalization(self._run.run_id, RunStatus.FAILED, failure.code, failure.message)

    async def _finalize(self, finalization: Finalization) -> RunStatus:
        if error := finalization.error:
            self._why_failed = f"{error.code}: {error.message}"
        state = await self._stored(self._close(finalization))
        if state.status is RunStatus.CANCELLING:
            state = await self._stored(self._close(Finalization(self._run.run_id, RunStatus.CANCELLED)))
        return state.status

    async def _stored(self, storing: "workflow.ActivityHandle[RunState]") -> RunState:
        """The run's state after the activity. A cancel that arrives meanwhile must not leave the row unchanged."""
        try:
            return await asyncio.shield(storing)
        except asyncio.CancelledError:
            self._was_cancelled_meanwhile = True
            return await storing

    def _close(self, finalization: Finalization) -> "workflow.ActivityHandle[RunState]":
        return workflow.start_activity_method(
            RunFinalization.finalize,
            finalization,
            task_queue=activity_options.control_task_queue(workflow.info().task_queue),
            start_to_close_timeout=activity_options.DATABASE_TIMEOUT,
            retry_policy=activity_options.DATABASE_RETRIES,
            summary=f"end · {finalization.status}",
        )

    async def _reopen(self) -> bool:
        """Resume the failed run if this execution is a reset. Returns whether it continues.

        Without this, a reset to the last workflow task would only replay the failure.
        """
        if not _is_reset():
            return False
        reopening = workflow.start_activity_method(
            RunFinalization.reopen,
            self._run.run_id,
            task_queue=activity_options.control_task_queue(workflow.info().task_queue),
            start_to_close_timeout=activity_options.DATABASE_TIMEOUT,
            retry_policy=activity_options.DATABASE_RETRIES,
            summary="reopen",
        )
        state = await self._stored(reopening)
        self._deadline = state.expires_at or self._deadline
        return state.status is RunStatus.IN_PROGRESS

    def _is_history_full(self) -> bool:
        """Whether Temporal might terminate the workflow during another turn, and so leave the run open."""
        info = workflow.info()
        return (
            info.get_current_history_length() >= activity_options.MAX_HISTORY_EVENTS
            or info.get_current_history_size() >= activity_options.MAX_HISTORY_BYTES
        )

    def _until_deadline(self) -> timedelta:
        return timedelta(seconds=self._deadline - workflow.time())

    def _time_left(self) -> timedelta:
        """The time limit of a turn. The row of a reset run has a new deadline, which the turn itself applies."""
        left = self._until_deadline()
        lifetime = timedelta(seconds=self._run.lifetime_seconds)
        return (lifetime if _is_reset() or left <= timedelta() else left) + activity_options.DEADLINE_GRACE

    def _update_search_attribute(self, status: RunStatus) -> None:
        """Keep the search attribute in step, so that the Temporal UI can search for runs by status."""
        if workflow.info().typed_search_attributes.get(RUN_STATUS) != status:
            workflow.upsert_search_attributes([RUN_STATUS.value_set(status.value)])


def chains_of(calls: tuple[ServerCall, ...]) -> list[tuple[ServerCall, ...]]:
    """Calls that run at the same time, but for code: all of it runs in one session, in the order of the answer."""
    code = tuple(call for call in calls if call.kind is ToolKind.CODE_INTERPRETER)
    rest = [(call,) for call in calls if call not in code[1:]]
    return [code if chain[0] in code else chain for chain in rest]


def report_unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The exception handler of the workflow's event loop: silent for an activity's error that lost to a cancel.

    If both arrive at once, the SDK raises the cancel and drops the activity's future, and asyncio would log with a
    stack trace that its exception was never retrieved. The error is in the history, and in a failed run's `last_error`.
    """
    is_task = isinstance(context.get("future"), asyncio.Task)
    if is_task or not isinstance(context.get("exception"), ActivityError):
        loop.default_exception_handler(context)


def _last_failure(error: BaseException | None) -> LastError | None:
    """The last failure of an activity's attempts that is one of the run. A time-out is caused by the failure before."""
    while error is not None:
        match error:
            # An operator who fails an activity by hand may enter any details.
            case ApplicationError(details=[code, *_]) if code in tuple(LastErrorCode):
                return LastError(code=LastErrorCode(code), message=error.message)
            case temporal_errors.TimeoutError() if failure := failure_in(error.last_heartbeat_details):
                return failure.error
        error = error.__cause__
    return None


def _is_cancel_requested() -> bool:
    return workflow.cancellation_reason() is not None


def _is_reset() -> bool:
    """Whether this execution continues an earlier one, whose failure may be in its history."""
    info = workflow.info()
    return info.run_id != info.original_execution_run_id
