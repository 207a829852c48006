"""One call of a server tool: run it, and commit its result with what follows from it."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta

from temporalio import activity

from activities.failures import CallSuperseded, WorkerStopped, not_ready, passing_failure
from activities.heartbeat import heartbeating
from infra.background import shielded_until_done
from infra.clock import now_ms
from infra.database import tool_results
from infra.database.engine import Database
from infra.database.tool_results import CallTiming, CallToRun, Stored, show_logs
from infra.event_stream.publishing import publish
from infra.ports import AlsoStored, EventStream, ResultWithRows, ServerTool, ToolScope
from infra.tools.errors import ToolFailed, ToolNotReady, ToolUnavailable
from infra.tools.observation import OUTAGES, ToolObserver
from models.runs import LastErrorCode
from models.tool_calls import ServerResult, ToolCall, ToolFailure, ToolKind
from models.turns import TOOL_CALL, RunState, ToolCallInput

MAX_FAULTS = 4
"""A fault of the tool itself mostly repeats: the last of these, after some seconds, is stored as a failure."""

BROKEN = "The tool failed for an unexpected reason. Go on without it."

log = logging.getLogger(__name__)


class ToolCalls:
    def __init__(
        self,
        database: Database,
        event_stream: EventStream,
        tools: Mapping[ToolKind, ServerTool],
        observer: ToolObserver,
    ) -> None:
        self._database = database
        self._event_stream = event_stream
        self._tools = tools
        self._observer = observer

    @activity.defn(name=TOOL_CALL)
    async def execute(self, call: ToolCallInput) -> RunState:
        """Run the call and store its result, unless it has one. Returns the run's state.

        A tool that fails for good, or again and again, has that as its result: it never fails the run. Raises
        retryable `ApplicationError`s for outages. A call of a run that is no longer at its turn is not run.
        """
        # Each attempt repeats the number of earlier faults, so that the last attempt knows it.
        async with heartbeating(lambda: activity.info().heartbeat_details, self._event_stream.awaiting(call.run_id)):
            try:
                return await self._execute(call)
            except asyncio.CancelledError:
                details = activity.cancellation_details()
                if details and details.worker_shutdown:
                    raise WorkerStopped from None
                if details and (details.not_found or details.timed_out):
                    raise CallSuperseded(call.call_id) from None
                raise

    async def _execute(self, call: ToolCallInput) -> RunState:
        timing = CallTiming(activity.info().attempt, now_ms())
        found = await self._database.read(tool_results.find_to_run, call)
        if isinstance(found, RunState):
            return found
        result = await self._result(found, call)
        if not isinstance(result, ResultWithRows):
            return (await shielded_until_done(self._store(call, timing, result))).state
        stored = await shielded_until_done(self._store(call, timing, result.result, result.store))
        await result.stored()
        return stored.state

    async def _result(self, found: CallToRun, this: ToolCallInput) -> ServerResult | ResultWithRows:
        call = found.call

        async def show(logs: str) -> None:
            await publish(self._event_stream, found.run.id, await self._database.write(show_logs, this, logs))

        try:
            with self._observer.observing(call.kind, call.id):
                scope = ToolScope(found.project_id, found.run, _waited(), show, activity.info().attempt)
                return await self._tools[call.kind].run(call, scope)
        except ToolFailed as error:
            log.warning("run.tool_failed", extra=_facts(call, error))
            return ToolFailure(str(error))
        except ToolUnavailable as error:
            log.warning("run.tool_unavailable", extra=_facts(call, error))
            raise passing_failure(LastErrorCode.SERVER_ERROR, error, error.retry_after) from None
        except ToolNotReady as error:
            raise not_ready(error, error.retry_after) from None
        except Exception as error:
            if isinstance(error, OUTAGES):
                raise
            if (faults := _earlier_faults() + 1) < MAX_FAULTS:
                activity.heartbeat(faults)
                raise
            log.exception("run.tool_broken", extra=_facts(call, error))
            return ToolFailure(BROKEN)

    async def _store(self, call: ToolCallInput, timing: CallTiming, result: ServerResult, *also: AlsoStored) -> Stored:
        stored = await self._database.write(tool_results.store_result, call, result, timing, *also)
        await publish(self._event_stream, call.run_id, stored.events)
        return stored


def _waited() -> timedelta:
    info = activity.info()
    # Both by the clock of Temporal's server.
    return info.current_attempt_scheduled_time - info.scheduled_time


def _earlier_faults() -> int:
    match activity.info().heartbeat_details:
        case [int(faults)]:
            return faults
    return 0


def _facts(call: ToolCall, error: Exception) -> dict[str, str]:
    return {"call_id": call.id, "tool": call.kind.value, "reason": repr(error.__cause__ or error)}
