"""One turn of a run: the model is asked once, and what it answers is stored with what follows from it."""

import asyncio
import logging
import time
from contextlib import aclosing

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import TurnNotDue, WorkerStopped, final_failure, passing_failure
from activities.heartbeat import heartbeating
from activities.prompt import PromptTooLong, build_request
from infra.clock import now_ms
from infra.database import run_endings, runs, turns
from infra.database.answers import TurnAttempt
from infra.database.engine import Database
from infra.database.run_endings import Ending
from infra.database.tables import RunRow
from infra.language_model.errors import ModelCallFailed, PromptRejected
from infra.ports import LanguageModel
from infra.run_workflows import RunWorkflows
from models.answers import Answer
from models.errors import ThreadLocked
from models.language_model import ModelRequest
from models.runs import LastError, LastErrorCode, RunIncompleteReason, RunStatus
from models.turns import NextStep, Standing, TurnInput, TurnOutcome

CONTENT_FILTERED = "The model's answer was stopped by the provider's content filter."

log = logging.getLogger(__name__)


class ModelTurn:
    def __init__(self, database: Database, language_model: LanguageModel, workflows: RunWorkflows) -> None:
        self._database = database
        self._workflows = workflows
        self._language_model = language_model

    @activity.defn(name="ModelTurn.generate")
    async def generate(self, turn: TurnInput) -> TurnOutcome:
        """Ask the model for the run's next answer and commit it. A turn that was committed before is not repeated.

        Raises an `ApplicationError` whose first detail is the run's `last_error.code`: retryable while waiting may
        help, with the provider's own delay where it named one; otherwise the run is failed already.
        """
        execution = activity.info().workflow_run_id or ""
        async with self._database.transaction() as session:
            if done := await turns.find_done(session, turn):
                return done
            try:
                run = await turns.begin(session, turn, execution)
            except ThreadLocked as error:
                raise final_failure(LastErrorCode.SERVER_ERROR, error) from None
        if run is None:
            return await self._outcome_elsewhere(turn)
        attempt = TurnAttempt(execution, turn.turn, activity.info().attempt, now_ms())
        return await self._answer(run, attempt)

    async def _answer(self, run: RunRow, attempt: TurnAttempt) -> TurnOutcome:
        request = await self._request(run)
        if isinstance(request, RunIncompleteReason):
            return await self._end(
                run, Ending(RunStatus.INCOMPLETE, attempt.workflow_run_id, incomplete_reason=request)
            )
        answer = Answer()
        deadline = asyncio.timeout((run.expires_at or 0) - time.time())
        try:
            async with deadline, heartbeating(), aclosing(self._language_model.stream(request)) as deltas:
                async for delta in deltas:
                    answer.add(delta)
            if answer.is_filtered:
                raise PromptRejected(CONTENT_FILTERED)
        except TimeoutError:
            if not deadline.expired():
                raise
            return await self._end(run, Ending(RunStatus.EXPIRED, attempt.workflow_run_id), (attempt, answer))
        except ModelCallFailed as error:
            raise await self._failure(run, attempt, answer, error) from None
        except asyncio.CancelledError:
            await self._cancelled(run, attempt, answer)
            raise
        async with self._database.transaction() as session:
            committed = await turns.commit(session, run, attempt, answer)
        if committed is None:
            return await self._outcome_elsewhere(TurnInput(run.id, attempt.turn))
        await self._workflows.start_or_leave(committed.next_run)
        return committed.outcome

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

    async def _failure(
        self, run: RunRow, attempt: TurnAttempt, answer: Answer, error: ModelCallFailed
    ) -> ApplicationError:
        facts = {"run_id": run.id, "turn": attempt.turn, "attempt": attempt.attempt, "error": type(error).__name__}
        log.warning("run.model_call_failed", extra=facts)
        if error.is_retryable:
            return passing_failure(error.code, error, error.retry_after)
        last_error = LastError(code=error.code, message=str(error))
        await self._end(run, Ending(RunStatus.FAILED, attempt.workflow_run_id, last_error), (attempt, answer))
        return final_failure(error.code, error)

    async def _cancelled(self, run: RunRow, attempt: TurnAttempt, answer: Answer) -> None:
        details = activity.cancellation_details()
        if details and details.worker_shutdown:
            # Not the run is to stop but this worker: another one is to take the turn up at once.
            raise WorkerStopped
        if details and details.cancel_requested:
            await self._end(run, Ending(RunStatus.CANCELLED, attempt.workflow_run_id), (attempt, answer))

    async def _end(self, run: RunRow, ending: Ending, partial: tuple[TurnAttempt, Answer] | None = None) -> TurnOutcome:
        async with self._database.transaction() as session:
            ended = await run_endings.end(session, run.id, ending, partial)
        await self._workflows.start_or_leave(ended.next_run)
        return _finished(ended.standing)

    async def _outcome_elsewhere(self, turn: TurnInput) -> TurnOutcome:
        """The outcome where the run was moved on by someone else meanwhile."""
        async with self._database.reading() as session:
            if done := await turns.find_done(session, turn):
                return done
            standing = await runs.standing_of(session, turn.run_id)
        if standing.status.is_terminal or standing.status is RunStatus.CANCELLING:
            return _finished(standing)
        raise TurnNotDue(turn.turn, standing.status)


def _finished(standing: Standing) -> TurnOutcome:
    return TurnOutcome(NextStep.FINISH, standing.status, standing.expires_at)
