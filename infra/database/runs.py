"""Reads and writes of runs: clients' own, and the one way in which a status changes, `transition`.

What else the engine writes stands in `turns.py` and `run_finalization.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from infra.clock import now_ms, now_seconds, seconds_since
from infra.database import threads
from infra.database.pages import load_page
from infra.database.run_steps import to_step
from infra.database.run_transitions import OutputsSubmitted, RunCreated, RunEnded, RunIds, record_transition
from infra.database.tables import RunRow, RunStepRow, ToolCallRow
from infra.database.thread_queue import last_message_seq
from infra.ports import EventBatch
from models.errors import NotFound, ToolOutputsMismatch, WrongStatus
from models.events import run_event, step_closed
from models.ids import Prefix, new_id
from models.lists import Page, PageRequest
from models.run_specs import RunSpec
from models.run_steps import StepStatus, StepType
from models.runs import ACTIVE_STATUSES, ALLOWED_FROM, ModifyRunRequest, Run, RunStatus, ToolOutput
from models.turns import RunState

NOUN = "run"
GONE = RunState(RunStatus.CANCELLED, turn=0, expires_at=None)


@dataclass(frozen=True)
class Answered:
    """A run whose calls have their outputs, the turn that made them, and the events of this."""

    run: Run
    turn: int
    events: EventBatch


async def create(
    session: AsyncSession,
    project_id: str,
    thread_id: str,
    spec: RunSpec,
    waiting: bool = False,
    with_thread: bool = False,
) -> Run:
    """Insert a queued run. The caller holds the thread's lock, and saw no active run or has this one wait for it.

    `with_thread`: the same call created the thread, which is then the first of the run's events.
    """
    now = now_seconds()
    fields = spec.model_dump(mode="json", by_alias=True)
    row = RunRow(
        id=new_id(Prefix.RUN),
        project_id=project_id,
        thread_id=thread_id,
        status=RunStatus.QUEUED,
        status_changed_at=now_ms(),
        created_at=now,
        expires_at=now + spec.expires_after_seconds,
        turn=0,
        waiting=waiting,
        with_thread=with_thread,
        # Created and queued.
        next_event=3 if with_thread else 2,
        last_message_seq=await last_message_seq(session, thread_id),
        metadata_=fields.pop("metadata"),
        **fields,
    )
    session.add(row)
    await session.flush()
    record_transition(session, RunCreated(RunIds.of(row)))
    return to_run(row)


async def load(session: AsyncSession, project_id: str, thread_id: str, run_id: str) -> Run:
    """Raises `NotFound`."""
    return to_run(await _find(session, project_id, thread_id, run_id))


async def list_page(session: AsyncSession, project_id: str, thread_id: str, page: PageRequest) -> Page[Run]:
    scope = (RunRow.thread_id == thread_id, RunRow.project_id == project_id)
    rows, has_more = await load_page(session, RunRow, NOUN, page, *scope)
    return Page[Run].of([to_run(row) for row in rows], has_more)


async def list_everywhere(
    session: AsyncSession, project_id: str, page: PageRequest, status: RunStatus | None
) -> Page[Run]:
    """The project's runs over all threads, those of one status where it is given."""
    only = [] if status is None else [RunRow.status == status]
    rows, has_more = await load_page(session, RunRow, NOUN, page, RunRow.project_id == project_id, only=only)
    return Page[Run].of([to_run(row) for row in rows], has_more)


async def modify(session: AsyncSession, project_id: str, thread_id: str, run_id: str, body: ModifyRunRequest) -> Run:
    """Replace the metadata where `body` has it. Raises `NotFound`."""
    if "metadata" in body.model_fields_set:
        owned = _owned(project_id, thread_id, run_id)
        await session.execute(update(RunRow).where(*owned).values(metadata_=body.metadata or {}))
    return await load(session, project_id, thread_id, run_id)


async def accept_outputs(
    session: AsyncSession, project_id: str, thread_id: str, run_id: str, outputs: Sequence[ToolOutput]
) -> Answered:
    """Store the outputs that the run waits for and put it back in the queue.

    Raises `NotFound`; `WrongStatus` where the run does not wait, or another submit was first; `ToolOutputsMismatch`
    where `outputs` are not exactly those asked for.
    """
    row = await _find(session, project_id, thread_id, run_id)
    if row.status != RunStatus.REQUIRES_ACTION:
        raise WrongStatus.for_submit(row.status)
    answered, asked_at = row.turn, row.status_changed_at
    calls = (await session.scalars(_calls_of(run_id, answered))).all()
    expected, got = [call.id for call in calls], [output.tool_call_id for output in outputs]
    if sorted(expected) != sorted(got):
        raise ToolOutputsMismatch(expected, got)
    still_asked = (RunRow.status == RunStatus.REQUIRES_ACTION, RunRow.turn == answered)
    queued = await transition(
        session,
        run_id,
        RunStatus.QUEUED,
        *still_asked,
        turn=answered + 1,
        # Of another turn: were Temporal's clock set back meanwhile, it would keep the next one waiting.
        fencing_token=0,
        required_action=None,
        # The step completed, the run queued.
        next_event=RunRow.next_event + 2,
    )
    if queued is None:
        raise WrongStatus.for_submit((await _find(session, project_id, thread_id, run_id)).status)
    record_transition(session, OutputsSubmitted(RunIds.of(queued), seconds_since(asked_at)))
    by_id = {output.tool_call_id: output.output or "" for output in outputs}
    for call in calls:
        call.output = by_id[call.id]
    step = await session.scalars(
        update(RunStepRow)
        .where(RunStepRow.run_id == run_id, RunStepRow.turn == answered, RunStepRow.type == StepType.TOOL_CALLS)
        .values(status=StepStatus.COMPLETED, completed_at=now_seconds(), expires_at=None)
        .returning(RunStepRow)
    )
    run = to_run(queued)
    events = [step_closed(to_step(step.one(), calls)), run_event(run)]
    return Answered(run, answered, EventBatch(queued.next_event - 2, events))


async def begin_cancelling(session: AsyncSession, project_id: str, thread_id: str, run_id: str) -> Run:
    """Raises `NotFound`, and `WrongStatus` where the run has ended or is being cancelled already."""
    await _find(session, project_id, thread_id, run_id)
    await threads.hold(session, thread_id)
    cancelling = await transition(session, run_id, RunStatus.CANCELLING)
    if cancelling is None:
        raise WrongStatus.for_cancel((await _find(session, project_id, thread_id, run_id)).status)
    return to_run(cancelling)


async def state_of(session: AsyncSession, run_id: str) -> RunState:
    """The engine's look at a run of any project. One that was deleted with its thread counts as cancelled."""
    query = select(RunRow.status, RunRow.turn, RunRow.expires_at).where(RunRow.id == run_id)
    found = (await session.execute(query)).one_or_none()
    return RunState(RunStatus(found.status), found.turn, found.expires_at) if found else GONE


async def find_active(session: AsyncSession, run_id: str) -> RunRow | None:
    """The run, of any project, unless it has ended."""
    active = RunRow.status.in_(sorted(ACTIVE_STATUSES))
    run: RunRow | None = await session.scalar(select(RunRow).where(RunRow.id == run_id, active))
    return run


def deadline_of(row: RunRow) -> int:
    """The run's deadline, also once it has ended: then the one that it was created with, a retry's is not kept."""
    if row.expires_at is not None or row.status == RunStatus.EXPIRED:
        return row.expires_at or 0
    return row.created_at + row.expires_after_seconds


async def transition(
    session: AsyncSession, run_id: str, to: RunStatus, *guards: ColumnElement[bool], **changes: Any
) -> RunRow | None:
    """Move the run to a status, if the state machine allows it from where it is. None: someone else got there first."""
    moved: RunRow | None = await session.scalar(
        update(RunRow)
        .where(RunRow.id == run_id, RunRow.status.in_(sorted(ALLOWED_FROM[to])), *guards)
        .values(status=to, status_changed_at=now_ms(), **changes)
        .returning(RunRow)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    if moved is not None and to.is_terminal:
        record_transition(session, RunEnded(RunIds.of(moved), to))
    return moved


def _calls_of(run_id: str, turn: int) -> Any:
    return (
        select(ToolCallRow).where(ToolCallRow.run_id == run_id, ToolCallRow.turn == turn).order_by(ToolCallRow.position)
    )


async def _find(session: AsyncSession, project_id: str, thread_id: str, run_id: str) -> RunRow:
    query = select(RunRow).where(*_owned(project_id, thread_id, run_id)).execution_options(populate_existing=True)
    row = await session.scalar(query)
    if row is None:
        raise NotFound.of(NOUN, run_id)
    return row


def _owned(project_id: str, thread_id: str, run_id: str) -> tuple[ColumnElement[bool], ...]:
    return (RunRow.id == run_id, RunRow.thread_id == thread_id, RunRow.project_id == project_id)


def to_run(row: RunRow) -> Run:
    return Run(
        id=row.id,
        created_at=row.created_at,
        assistant_id=row.assistant_id,
        thread_id=row.thread_id,
        status=row.status,
        started_at=row.started_at,
        expires_at=row.expires_at,
        cancelled_at=row.cancelled_at,
        failed_at=row.failed_at,
        completed_at=row.completed_at,
        required_action=row.required_action,
        last_error=row.last_error,
        model=row.model,
        instructions=row.instructions or "",
        tools=row.tools,
        tool_resources=row.tool_resources,
        metadata=row.metadata_,
        temperature=row.temperature,
        top_p=row.top_p,
        reasoning_effort=row.reasoning_effort,
        max_completion_tokens=row.max_completion_tokens,
        max_prompt_tokens=row.max_prompt_tokens,
        truncation_strategy=row.truncation_strategy,
        incomplete_details={"reason": row.incomplete_reason} if row.incomplete_reason else None,
        usage=row.usage,
        response_format=row.response_format,
        tool_choice=row.tool_choice,
        parallel_tool_calls=row.parallel_tool_calls,
    )
