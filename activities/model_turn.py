"""One turn of a run: the model is asked once, and its answer is committed with the run's new status."""

import asyncio
import logging
import time
from collections import Counter
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.answer_files import AnswerFiles
from activities.failures import AttemptSuperseded, TurnNotReady, WorkerStopped, final_failure, passing_failure
from activities.heartbeat import heartbeating
from activities.images import Images
from activities.prompt import Question, build_request
from activities.reset_reasons import ResetReasons
from activities.shorter_prompts import MAX_SHORTENINGS, Build, shorter_question
from activities.turn_stream import TurnStream
from infra.background import shielded_until_done
from infra.clock import microseconds, now_ms
from infra.database import run_finalization, turns
from infra.database.engine import Database
from infra.database.outages import DatabaseUnavailable
from infra.database.run_finalization import Partial
from infra.database.turns import Begun, Committed, Resumed
from infra.event_stream.publishing import publish
from infra.language_model.errors import ModelCallFailed, PromptRejected, PromptTooLarge, TooManyCalls
from infra.ports import EventStream, LanguageModel, ObjectStore
from infra.run_workflows import RunWorkflows
from models.answers import Answer
from models.cited_text import CitedText
from models.finalization import Finalization
from models.language_model import CallDelta
from models.runs import LastError, LastErrorCode, Run, RunIncompleteReason, RunStatus
from models.step_events import StreamPosition
from models.thread_errors import ThreadLocked
from models.tool_calls import MAX_CALLS
from models.turn_attempts import TurnAttempt
from models.turn_failures import EarlierFailure, as_details, failure_in
from models.turns import MODEL_TURN, NextStep, RunState, TurnInput, TurnOutcome

CONTENT_FILTERED = "The model's answer was stopped by the provider's content filter."

TOO_MANY_CALLS = f"The model wrote more than {MAX_CALLS} tool calls in one answer."
AT_ONCE = timedelta(milliseconds=1)

MAX_UNCHECKED_SILENCE = timedelta(seconds=2)
"""Below `takeovers.SILENT_FOR`: after a shorter one no other worker has taken over."""

DATABASE_RETRY_INTERVAL = timedelta(seconds=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Attempt:
    """One attempt at a turn of a run: the model's partial answer, and the stream into which it is emitted."""

    begun: Begun
    turn: TurnAttempt
    answer: Answer
    stream: TurnStream

    @property
    def run(self) -> Run:
        return self.begun.run

    @property
    def input(self) -> TurnInput:
        return TurnInput(self.run.id, self.turn.turn)


class ModelTurn:
    def __init__(
        self,
        database: Database,
        images: Images,
        object_store: ObjectStore,
        language_model: LanguageModel,
        workflows: RunWorkflows,
        event_stream: EventStream,
        max_turns: int,
    ) -> None:
        self._database = database
        self._images = images
        self._object_store = object_store
        self._language_model = language_model
        self._workflows = workflows
        self._event_stream = event_stream
        self._max_turns = max_turns
        self._reset_reasons = ResetReasons(database, workflows)

    @activity.defn(name=MODEL_TURN)
    async def generate(self, turn: TurnInput) -> TurnOutcome:
        """Ask the model for the run's next answer and commit it. A committed turn is not repeated.

        Raises the `ApplicationError`s of `failures.py`: retryable if a later attempt may succeed, with the provider's
        own delay if it named one; otherwise the run has failed already.
        """
        # Also during waits for the database: a worker without heartbeats counts as dead, and the model is asked again.
        # Each attempt repeats the failure of an earlier one, so that the last attempt knows it.
        async with heartbeating(lambda: activity.info().heartbeat_details, self._event_stream.awaiting(turn.run_id)):
            try:
                return await self._generate(turn)
            except asyncio.CancelledError:
                details = activity.cancellation_details()
                if details and details.worker_shutdown:
                    # This worker stops, not the run: another worker retries the turn at once.
                    raise WorkerStopped from None
                if details and (details.not_found or details.timed_out):
                    raise AttemptSuperseded(turn.turn) from None
                raise

    async def _generate(self, turn: TurnInput) -> TurnOutcome:
        attempt = await self._begin(turn)
        if isinstance(attempt, TurnOutcome):
            return attempt
        async with self._images.of_prompt(attempt.begun.project_id) as images:
            about = (self._database, attempt.begun, turn.turn, self._language_model, images)
            question = await build_request(*about)
            if isinstance(question, RunIncompleteReason):
                return await self._finalize_turn(attempt, RunStatus.INCOMPLETE, question)
            if await self._is_superseded(attempt):
                return await self._outcome_elsewhere(turn)
            return await self._answer(attempt, question, partial(build_request, *about))

    async def _begin(self, turn: TurnInput) -> _Attempt | TurnOutcome:
        """Begin an attempt. Returns the turn's outcome if there is no question for the model."""
        info, started_at_ms = activity.info(), now_ms()
        execution, fencing_token = info.workflow_run_id or "", microseconds(info.started_time)
        try:
            begun = await self._database.write(turns.begin, turn, execution, fencing_token)
        except ThreadLocked as error:
            raise final_failure(LastErrorCode.SERVER_ERROR, error) from None
        match begun:
            case TurnOutcome():
                return begun
            case Resumed(resumed, outcome):
                await publish(self._event_stream, turn.run_id, resumed.events)
                await self._reset_reasons.record(turn.run_id, resumed.retries)
                return outcome
            case None:
                return await self._outcome_elsewhere(turn)
        await self._reset_reasons.record(begun.run.id, begun.retries)
        this = TurnAttempt(execution, turn.turn, info.attempt, fencing_token, started_at_ms, begun.last_message_at)
        stream = await TurnStream.open(self._database, self._event_stream, begun, this)
        return _Attempt(begun, this, Answer(), stream)

    async def _is_superseded(self, attempt: _Attempt) -> bool:
        """Whether the worker was suspended for so long that a newer attempt has begun: then the model is not asked."""
        silence = timedelta(milliseconds=now_ms() - attempt.turn.started_at_ms)
        if silence < MAX_UNCHECKED_SILENCE:
            return False
        return not await self._database.read(turns.is_current, attempt.run.id, attempt.turn)

    async def _answer(self, attempt: _Attempt, question: Question, build: Build) -> TurnOutcome:
        deadline = asyncio.timeout((attempt.run.expires_at or 0) - time.time())
        try:
            async with deadline:
                await self._ask(attempt, question, build)
                committed = await self._commit(attempt)
        except TimeoutError:
            if not deadline.expired():
                raise
            return await self._out_of_time(attempt)
        except ModelCallFailed as error:
            raise await self._failure(attempt, error) from None
        except asyncio.CancelledError:
            await self._cancelled(attempt)
            raise
        return committed.outcome if committed else await self._outcome_elsewhere(attempt.input)

    async def _ask(self, attempt: _Attempt, question: Question, build: Build) -> None:
        """Stream the answer. Where the run lets messages be left out, a prompt that is too large is made shorter."""
        for _ in range(MAX_SHORTENINGS if attempt.run.truncation_strategy.type == "auto" else 0):
            try:
                await self._stream_answer(attempt, question)
            except PromptTooLarge as error:
                if attempt.answer.has_begun:
                    raise
                shorter = await shorter_question(attempt.run.id, question, error, build)
                if shorter is None:
                    raise
                question = shorter
            else:
                return
        await self._stream_answer(attempt, question)

    async def _stream_answer(self, attempt: _Attempt, question: Question) -> None:
        # Most runs have nothing to cite or to link to: then nothing is done for each delta.
        cited = None if question.sources is None else CitedText(question.sources)
        files = AnswerFiles(self._object_store, question.made, attempt.answer) if question.made else None
        attempt.answer.image_ids = attempt.stream.image_ids = question.image_ids
        async with aclosing(self._language_model.stream(question.request)) as deltas:
            async for delta in deltas:
                if isinstance(delta, CallDelta) and delta.index >= MAX_CALLS:
                    raise TooManyCalls(TOO_MANY_CALLS, AT_ONCE)
                # The answer and the stream take the same deltas: a cut leaves text that is held back out of both.
                for each in cited.cite(delta) if cited else (delta,):
                    for piece in await files.link(each) if files else (each,):
                        attempt.answer.add(piece)
                        await attempt.stream.emit(piece)
        if attempt.answer.is_filtered:
            raise PromptRejected(CONTENT_FILTERED)

    async def _commit(self, attempt: _Attempt) -> Committed | None:
        """Commit the answer, with retries during an outage until the run's deadline: the model has been paid."""
        run = attempt.run
        position = await attempt.stream.finish()
        while True:
            try:
                return await shielded_until_done(self._store(attempt, position))
            except DatabaseUnavailable:
                if time.time() >= (run.expires_at or 0):
                    raise
                log.warning("run.answer_held", extra={"run_id": run.id, "turn": attempt.turn.turn})
            await asyncio.sleep(DATABASE_RETRY_INTERVAL.total_seconds())

    async def _store(self, attempt: _Attempt, position: StreamPosition) -> Committed | None:
        turn = attempt.turn
        is_last = turn.turn + 1 >= self._max_turns
        committed = await self._database.write(turns.commit, attempt.begun, turn, attempt.answer, position, is_last)
        if committed is not None:
            if committed.turns_used_up:
                log.warning("run.turns_used_up", extra={"run_id": attempt.run.id, "turns": turn.turn + 1})
            await publish(self._event_stream, attempt.run.id, committed.events)
            await self._workflows.start_or_leave(committed.next_run)
        return committed

    async def _out_of_time(self, attempt: _Attempt) -> TurnOutcome:
        """Expire the run, unless time ran out because earlier attempts had failed."""
        failure = None if attempt.answer.has_begun else failure_in(activity.info().heartbeat_details)
        if failure is None:
            return await self._finalize_turn(attempt, RunStatus.EXPIRED)
        return await self._finalize_turn(attempt, RunStatus.FAILED, error=failure.error)

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
        earlier = failure_in(activity.info().heartbeat_details)
        counts = Counter(earlier.counts if earlier else {})
        if error.max_attempts is not None:
            counts[type(error).__name__] += 1
        failure = LastError(code=error.code, message=str(error))
        if error.is_retryable and (error.max_attempts is None or counts[type(error).__name__] < error.max_attempts):
            activity.heartbeat(*as_details(EarlierFailure(failure, counts)))
            return passing_failure(error.code, error, error.retry_after)
        await self._finalize(attempt, RunStatus.FAILED, error=failure)
        return final_failure(error.code, error)

    async def _cancelled(self, attempt: _Attempt) -> None:
        details = activity.cancellation_details()
        if details and details.cancel_requested and not details.worker_shutdown:
            # Without the database, the workflow cancels the run after the outage, and the partial answer is lost.
            with suppress(DatabaseUnavailable):
                await self._finalize(attempt, RunStatus.CANCELLED)

    async def _finalize_turn(
        self,
        attempt: _Attempt,
        status: RunStatus,
        incomplete_reason: RunIncompleteReason | None = None,
        error: LastError | None = None,
    ) -> TurnOutcome:
        """Finalize the run. Returns the outcome, or that of an earlier transaction that changed the run's state."""
        state = await self._finalize(attempt, status, incomplete_reason, error)
        return _finished(state) if state.status.is_terminal else await self._outcome_elsewhere(attempt.input)

    async def _finalize(
        self,
        attempt: _Attempt,
        status: RunStatus,
        incomplete_reason: RunIncompleteReason | None = None,
        error: LastError | None = None,
    ) -> RunState:
        finalization = Finalization(
            attempt.run.id,
            status,
            error_code=error.code if error else None,
            error_message=error.message if error else None,
            incomplete_reason=incomplete_reason,
            by=attempt.turn.workflow_run_id,
        )
        position = await attempt.stream.finish()
        return await shielded_until_done(self._store_finalization(attempt, finalization, position))

    async def _store_finalization(
        self, attempt: _Attempt, finalization: Finalization, position: StreamPosition
    ) -> RunState:
        partial = Partial(attempt.turn, attempt.answer)
        finalized = await self._database.write(run_finalization.finalize, finalization, position, partial)
        await publish(self._event_stream, attempt.run.id, finalized.events)
        await self._workflows.start_or_leave(finalized.next_run)
        return finalized.state

    async def _outcome_elsewhere(self, turn: TurnInput) -> TurnOutcome:
        """The outcome after another transaction has changed the run's state."""
        found = await self._database.read(turns.find_done, turn)
        match found:
            case TurnOutcome():
                return found
            case RunState(status=status) if status.is_terminal or status is RunStatus.CANCELLING:
                return _finished(found)
            case RunState(status=RunStatus.IN_PROGRESS, turn=turn.turn):
                raise AttemptSuperseded(turn.turn)
        raise TurnNotReady(turn.turn, found.status)


def _finished(state: RunState) -> TurnOutcome:
    return TurnOutcome(NextStep.FINISH, state.status, state.expires_at)
