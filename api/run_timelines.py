"""Runs for operators, assembled from the database and, for a single run, from Temporal."""

from infra.clock import MS_PER_SECOND, now_ms
from infra.database import ops_runs
from infra.database.columns import AnyRow
from infra.database.engine import Database
from infra.database.ops_runs import CallMade, FoundRun, RunFilter, RunRecord
from infra.run_histories import RunHistories, RunHistory, Tries
from models.language_model import TokenUsage
from models.lists import Page, PageRequest
from models.ops_runs import OpsRetry, OpsRun, OpsRunTimeline, OpsToolCall, OpsTurn
from models.runs import RunStatus, Usage


class RunTimelines:
    def __init__(self, database: Database, histories: RunHistories, workflows_url: str | None) -> None:
        self._database = database
        self._histories = histories
        self._workflows_url = workflows_url

    async def list_page(self, project_id: str | None, page: PageRequest, wanted: RunFilter) -> Page[OpsRun]:
        """The runs of the project, or of all, that match `wanted`. Raises `NotFound` for an unknown cursor."""
        found, has_more = await self._database.read(ops_runs.list_page, project_id, page, wanted)
        return Page[OpsRun].of([self._run(each) for each in found], has_more)

    async def load(self, project_id: str | None, run_id: str) -> OpsRun:
        """Raises `NotFound`."""
        return self._run(await self._database.read(ops_runs.load, project_id, run_id))

    async def timeline(self, project_id: str | None, run_id: str) -> OpsRunTimeline:
        """The run's course, turn by turn. Raises `NotFound`."""
        record = await self._database.read(ops_runs.record, project_id, run_id)
        history = await self._histories.read(run_id)
        return OpsRunTimeline(
            **self._run(record.found).model_dump(),
            turns=_turns(record, history),
            retry_history=[_retry(row) for row in record.retries],
            workflow=history.workflow,
        )

    def _run(self, found: FoundRun) -> OpsRun:
        row, retry = found.run, found.retry
        return OpsRun(
            id=row.id,
            project=row.project_id,
            status=row.status,
            assistant_id=row.assistant_id,
            thread_id=row.thread_id,
            model=row.model,
            created_at=row.created_at,
            started_at=row.started_at,
            ended_at=row.status_changed_at // MS_PER_SECOND if RunStatus(row.status).is_terminal else None,
            expires_at=row.expires_at,
            turn=row.turn,
            last_error=row.last_error,
            incomplete_reason=row.incomplete_reason,
            usage=row.usage,
            retries=row.retries,
            retried_at=retry and retry.requested_at,
            retried_by=retry and retry.requested_by,
            temporal_url=self._workflows_url and f"{self._workflows_url}/{row.id}",
        )


def _turns(record: RunRecord, history: RunHistory) -> list[OpsTurn]:
    finished = {
        turn.turn: _finished_turn(turn, _tool_calls(record, turn.turn, history), history.tries.get(turn.turn))
        for turn in record.turns
    }
    unfinished = {
        number: _unfinished_turn(record, number, tries)
        for number, tries in history.tries.items()
        if number not in finished
    }
    return [turn for _, turn in sorted((finished | unfinished).items())]


def _tool_calls(record: RunRecord, turn: int, history: RunHistory) -> list[OpsToolCall]:
    return [_tool_call(record, call, history.call_tries.get(call.id)) for call in record.calls.get(turn, ())]


def _tool_call(record: RunRecord, call: CallMade, tries: Tries | None) -> OpsToolCall:
    started_ms = call.started_at if tries is None or call.is_answered else tries.began_at_ms
    ended_ms = call.finished_at or _until_ms(record)
    return OpsToolCall(
        id=call.id,
        name=call.name,
        kind=call.kind,
        is_answered=call.is_answered,
        attempts=call.attempt or (tries and tries.attempts),
        started_at=None if started_ms is None else started_ms // MS_PER_SECOND,
        duration_ms=None if started_ms is None else max(ended_ms - started_ms, 0),
        error=call.error,
        failures=tries.failures if tries else [],
        next_attempt_at=tries and tries.next_attempt_at,
    )


def _until_ms(record: RunRecord) -> int:
    """The end of what is unfinished: that of its run, or now."""
    run = record.found.run
    return run.status_changed_at if RunStatus(run.status).is_terminal else now_ms()


def _finished_turn(row: AnyRow, calls: list[OpsToolCall], tries: Tries | None) -> OpsTurn:
    return OpsTurn(
        turn=row.turn,
        is_finished=True,
        attempts=row.attempt,
        started_at=row.started_at // MS_PER_SECOND,
        duration_ms=row.finished_at - row.started_at,
        finish_reason=row.finish_reason,
        usage=Usage.of(TokenUsage(row.prompt_tokens, row.completion_tokens, row.cached_tokens, row.reasoning_tokens)),
        failures=tries.failures if tries else [],
        next_attempt_at=None,
        tool_calls=calls,
    )


def _unfinished_turn(record: RunRecord, number: int, tries: Tries) -> OpsTurn:
    return OpsTurn(
        turn=number,
        is_finished=False,
        attempts=tries.attempts,
        started_at=tries.began_at_ms // MS_PER_SECOND,
        duration_ms=max(_until_ms(record) - tries.began_at_ms, 0),
        finish_reason=None,
        usage=None,
        failures=tries.failures,
        next_attempt_at=tries.next_attempt_at,
        tool_calls=[],
    )


def _retry(row: AnyRow) -> OpsRetry:
    return OpsRetry(
        number=row.number,
        at=row.requested_at,
        by=row.requested_by,
        turn=row.turn,
        failed_at=row.failed_at,
        error=row.error,
    )
