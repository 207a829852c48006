"""One turn of a run: the model is asked once, and what it answers is stored with what follows from it."""

import asyncio
import logging
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import AttemptSuperseded, TurnNotReady, WorkerStopped, final_failure, passing_failure
from activities.heartbeat import heartbeating
from activities.prompt import PromptTooLong, build_request
from activities.reset_reasons import ResetReasons
from activities.turn_stream import TurnStream
from infra.background import shielded, shielded_until_done
from infra.clock import microseconds, now_ms
from infra.database import run_finalization, runs, turns
from infra.database.answers import TurnAttempt
from infra.database.engine import Database
from infra.database.outages import DatabaseUnavailable
from infra.database.run_finalization import Partial, RunEnd
from infra.database.tables import RunRow
from infra.database.turns import Committed
from infra.event_stream.publishing import publish
from infra.language_model.errors import ModelCallFailed, PromptRejected
from infra.ports import EventStream, LanguageModel
from infra.run_workflows import RunWorkflows
from models.answers import Answer
from models.errors import ThreadLocked
from models.language_model import ModelRequest
from models.runs import LastError, LastErrorCode, RunIncompleteReason, RunStatus
from models.step_events import StreamPosition
from models.turns import MODEL_TURN, NextStep, RunState, TurnInput, TurnOutcome

CONTENT_FILTERED = "The model's answer was stopped by the provider's content filter."

DATABASE_RETRY_INTERVAL = timedelta(seconds=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Attempt:
    """One try at a turn of a run: what the model has said so far, and where that is shown."""

    run: RunRow
    turn: TurnAttempt
    answer: Answer
    stream: TurnStream


class ModelTurn:
    def __init__(
        self, database: Database, language_model: LanguageModel, workflows: RunWorkflows, event_stream: EventStream
    ) -> None:
        self._database = database
        self._language_model = language_model
        self._workflows = workflows
        self._event_stream = event_stream
        self._reset_reasons = ResetReasons(database, workflows)

    @activity.defn(name=MODEL_TURN)
    async def generate(self, turn: TurnInput) -> TurnOutcome:
        """Ask the model for the run's next answer and commit it. A turn that was committed before is not repeated.

        Raises the `ApplicationError`s of `failures.py`: retryable while waiting may help, with the provider's own delay
        where it named one; otherwise the run is failed already.
        """
        # Whatever it waits for, the database included: who is silent is taken for dead, and the model asked again.
        async with heartbeating():
            try:
                return await self._generate(turn)
            except asyncio.CancelledError:
                details = activity.cancellation_details()
                if details and details.worker_shutdown:
                    # This worker stops, not the run: another one is to take the turn up at once.
                    raise WorkerStopped from None
                if details and (details.not_found or details.timed_out):
                    raise AttemptSuperseded(turn.turn) from None
                raise

    async def _generate(self, turn: TurnInput) -> TurnOutcome:
        # To be cancelled is for the model's answer. A transaction is done or not, and its events and commands with it.
        prepared = await shielded(self._prepare(turn))
        return prepared if isinstance(prepared, TurnOutcome) else await self._answer(*prepared)

    async def _prepare(self, turn: TurnInput) -> TurnOutcome | tuple[_Attempt, ModelRequest]:
        """Begin the turn. Returns what to ask the model, or the outcome where there is nothing to be asked."""
        info, started_at_ms = activity.info(), now_ms()
        execution, fencing_token = info.workflow_run_id or "", microseconds(info.started_time)
        async with self._database.transaction() as session:
            if done := await turns.find_done(session, turn):
                return done
            try:
                begun = await turns.begin(session, turn, execution, fencing_token)
            except ThreadLocked as error:
                raise final_failure(LastErrorCode.SERVER_ERROR, error) from None
        if begun is None:
            return await self._outcome_elsewhere(turn)
        await self._reset_reasons.record(begun.run.id, begun.run.retries)
        this = TurnAttempt(execution, turn.turn, info.attempt, fencing_token, started_at_ms, begun.last_message_at)
        stream = await TurnStream.open(self._database, self._event_stream, begun, this)
        attempt = _Attempt(begun.run, this, Answer(), stream)
        request = await self._request(begun.run)
        if isinstance(request, RunIncompleteReason):
            return await self._finalize_turn(attempt, RunStatus.INCOMPLETE, incomplete_reason=request)
        if await self._is_superseded(attempt):
            return await self._outcome_elsewhere(turn)
        return attempt, request

    async def _is_superseded(self, attempt: _Attempt) -> bool:
        """Whether to ask is no use: the worker stood still for so long that a newer attempt has begun meanwhile."""
        silence = timedelta(milliseconds=now_ms() - attempt.turn.started_at_ms)
        if silence < (activity.info().heartbeat_timeout or timedelta()) / 2:
            return False
        async with self._database.reading() as session:
            return not await turns.is_current(session, attempt.run.id, attempt.turn)

    async def _answer(self, attempt: _Attempt, request: ModelRequest) -> TurnOutcome:
        run = attempt.run
        deadline = asyncio.timeout((run.expires_at or 0) - time.time())
        try:
            async with deadline, aclosing(self._language_model.stream(request)) as deltas:
                async for delta in deltas:
                    attempt.answer.add(delta)
                    await attempt.stream.emit(delta)
            if attempt.answer.is_filtered:
                raise PromptRejected(CONTENT_FILTERED)
            committed = await self._commit(attempt)
        except TimeoutError:
            if not deadline.expired():
                raise
            return await self._finalize_turn(attempt, RunStatus.EXPIRED)
        except ModelCallFailed as error:
            raise await self._failure(attempt, error) from None
        except asyncio.CancelledError:
            await self._cancelled(attempt)
            raise
        if committed is None:
            return await shielded(self._outcome_elsewhere(TurnInput(run.id, attempt.turn.turn)))
        return committed.outcome

    async def _commit(self, attempt: _Attempt) -> Committed | None:
        """Keep the answer, however long the database is away before the run's deadline: the model has been paid."""
        run = attempt.run
        position = await attempt.stream.finish(attempt.answer)
        while True:
            try:
                return await shielded_until_done(self._store(attempt, position))
            except DatabaseUnavailable:
                if time.time() >= (run.expires_at or 0):
                    raise
                log.warning("run.answer_held", extra={"run_id": run.id, "turn": attempt.turn.turn})
            await asyncio.sleep(DATABASE_RETRY_INTERVAL.total_seconds())

    async def _store(self, attempt: _Attempt, position: StreamPosition) -> Committed | None:
        run = attempt.run
        async with self._database.transaction() as session:
            committed = await turns.commit(session, run, attempt.turn, attempt.answer, position)
        if committed is not None:
            await publish(self._event_stream, run.id, committed.events)
            await self._workflows.start_or_leave(committed.next_run)
        return committed

    async def _request(self, run: RunRow) -> ModelRequest | RunIncompleteReason:
        """What to ask, or which of the run's token budgets is used up."""
        async with self._database.reading() as session:
            used = await turns.used_tokens(session, run.id)
            if run.max_completion_tokens is not None and used.completion_tokens >= run.max_completion_tokens:
                return RunIncompleteReason.MAX_COMPLETION_TOKENS
            try:
                return await build_request(session, run, used, self._language_model)
            except PromptTooLong:
                return RunIncompleteReason.MAX_PROMPT_TOKENS

    async def _failure(self, attempt: _Attempt, error: ModelCallFailed) -> ApplicationError:
        run, turn = attempt.run, attempt.turn
        facts = {
            "run_id": run.id,
            "thread_id": run.thread_id,
            "turn": turn.turn,
            "attempt": turn.attempt,
            "error": type(error).__name__,
        }
        log.warning("run.model_call_failed", extra=facts)
        if error.is_retryable:
            return passing_failure(error.code, error, error.retry_after)
        last_error = LastError(code=error.code, message=str(error))
        await self._finalize(attempt, RunStatus.FAILED, last_error)
        return final_failure(error.code, error)

    async def _cancelled(self, attempt: _Attempt) -> None:
        details = activity.cancellation_details()
        if details and details.cancel_requested and not details.worker_shutdown:
            # Without the database, the workflow cancels the run when it is back, and what the model said is lost.
            with suppress(DatabaseUnavailable):
                await self._finalize(attempt, RunStatus.CANCELLED)

    async def _finalize_turn(
        self, attempt: _Attempt, status: RunStatus, incomplete_reason: RunIncompleteReason | None = None
    ) -> TurnOutcome:
        """End the run. Returns the outcome, or that of whoever has moved it on before."""
        state = await self._finalize(attempt, status, incomplete_reason=incomplete_reason)
        if state.status.is_terminal:
            return _finished(state)
        return await shielded(self._outcome_elsewhere(TurnInput(attempt.run.id, attempt.turn.turn)))

    async def _finalize(
        self,
        attempt: _Attempt,
        status: RunStatus,
        error: LastError | None = None,
        incomplete_reason: RunIncompleteReason | None = None,
    ) -> RunState:
        finalization = RunEnd(status, attempt.turn.workflow_run_id, error, incomplete_reason)
        position = await attempt.stream.finish(attempt.answer)
        return await shielded_until_done(self._store_finalization(attempt, finalization, position))

    async def _store_finalization(self, attempt: _Attempt, finalization: RunEnd, position: StreamPosition) -> RunState:
        partial = Partial(attempt.turn, attempt.answer)
        async with self._database.transaction() as session:
            finalized = await run_finalization.finalize(session, attempt.run.id, finalization, position, partial)
        await publish(self._event_stream, attempt.run.id, finalized.events)
        await self._workflows.start_or_leave(finalized.next_run)
        return finalized.state

    async def _outcome_elsewhere(self, turn: TurnInput) -> TurnOutcome:
        """The outcome where the run was moved on by someone else meanwhile."""
        async with self._database.reading() as session:
            if done := await turns.find_done(session, turn):
                return done
            state = await runs.state_of(session, turn.run_id)
        if state.status.is_terminal or state.status is RunStatus.CANCELLING:
            return _finished(state)
        if state.status is RunStatus.IN_PROGRESS and state.turn == turn.turn:
            raise AttemptSuperseded(turn.turn)
        raise TurnNotReady(turn.turn, state.status)


def _finished(state: RunState) -> TurnOutcome:
    return TurnOutcome(NextStep.FINISH, state.status, state.expires_at)
