"""Reads and writes of runs: requests of clients, and `Transition`, the one way to change a status.

Other writes of the engine are in `turns.py` and `run_finalization.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Update, bindparam, insert, select, update

from infra.clock import now_ms, now_seconds, seconds_since
from infra.database import run_steps, thread_queue, threads, tool_calls
from infra.database.columns import AnyRow
from infra.database.pages import load_page
from infra.database.run_tables import RUNS, status_in
from infra.database.run_transitions import OutputsSubmitted, RunCreated, RunEnded, RunIds, record_transition
from infra.ports import EventBatch
from models import run_events
from models.errors import NotFound, WrongStatus
from models.ids import Prefix, new_id
from models.lists import Page, PageRequest
from models.run_specs import RunSpec
from models.runs import ACTIVE_STATUSES, ALLOWED_FROM, ModifyRunRequest, Run, RunStatus, ToolOutput
from models.thread_errors import ToolOutputsMismatch
from models.turns import RunState

NOUN = "run"
DELETED = RunState(RunStatus.CANCELLED, turn=0, expires_at=None)


@dataclass(frozen=True)
class Transition:
    """Moves a run to a status, if the state machine allows it from the run's status and all guards are true."""

    to: RunStatus
    _statement: Update

    @classmethod
    def of(cls, to: RunStatus, *guards: ColumnElement[bool], **values: Any) -> "Transition":
        """Build it once, with a bound parameter for each value that differs from run to run."""
        statement = (
            update(RUNS)
            .where(RUNS.c.id == bindparam("run"), status_in(*ALLOWED_FROM[to]), *guards)
            .values(status=to.value, status_changed_at=bindparam("now_ms"), **values)
            .returning(RUNS)
        )
        return cls(to, statement)

    def apply(self, connection: Connection, run_id: str, **parameters: Any) -> AnyRow | None:
        """The run's new row. None: another transaction was first, or a guard is false."""
        row = connection.execute(self._statement, {"run": run_id, "now_ms": now_ms(), **parameters}).one_or_none()
        if row is not None and self.to.is_terminal:
            record_transition(connection, RunEnded(RunIds.of(row), self.to))
        return row


_OWNED = (
    RUNS.c.id == bindparam("run"),
    RUNS.c.thread_id == bindparam("thread"),
    RUNS.c.project_id == bindparam("project"),
)
IS_NEWEST = (RUNS.c.turn == bindparam("of_turn"), RUNS.c.newest_attempt == bindparam("token"))
"""A guard: the run is at the attempt's turn, and no newer attempt has begun."""

_INSERT = insert(RUNS).values(last_message_seq=thread_queue.LAST_MESSAGE_SEQ).returning(RUNS)
_LOAD = select(RUNS).where(*_OWNED)
_LOCK_METADATA = select(RUNS.c.metadata).where(*_OWNED).with_for_update()
_MODIFY = update(RUNS).where(*_OWNED).values(metadata=bindparam("new_metadata"))
_STATE = select(RUNS.c.status, RUNS.c.turn, RUNS.c.expires_at).where(RUNS.c.id == bindparam("run"))
_ACTIVE = select(RUNS).where(RUNS.c.id == bindparam("run"), status_in(*ACTIVE_STATUSES))
_SUBMIT = Transition.of(
    RunStatus.QUEUED,
    RUNS.c.status == RunStatus.REQUIRES_ACTION.value,
    RUNS.c.turn == bindparam("answered"),
    turn=RUNS.c.turn + 1,
    # Tokens order only the attempts at one turn: after a step back of Temporal's clock, the next turn could not begin.
    newest_attempt=0,
    required_action=None,
    next_event=RUNS.c.next_event + run_events.SUBMITTED_COUNT,
)
_CANCEL = Transition.of(RunStatus.CANCELLING)


@dataclass(frozen=True)
class Answered:
    """A run whose calls have their outputs, the turn that made the calls, and the events of the submission."""

    run: Run
    turn: int
    events: EventBatch


def create(
    connection: Connection,
    project_id: str,
    thread_id: str,
    spec: RunSpec,
    waiting: bool = False,
    with_thread: bool = False,
) -> Run:
    """Insert a queued run. The caller has locked the thread, and found no active run or enqueues this one.

    `with_thread`: the same request created the thread, which is then the first of the run's events.
    """
    now = now_seconds()
    values = {
        **spec.model_dump(mode="json", by_alias=True),
        "id": new_id(Prefix.RUN),
        "project_id": project_id,
        "thread_id": thread_id,
        "status": RunStatus.QUEUED.value,
        "status_changed_at": now_ms(),
        "created_at": now,
        "expires_at": now + spec.expires_after_seconds,
        "turn": 0,
        "waiting": waiting,
        "with_thread": with_thread,
        "next_event": run_events.created_count(with_thread),
        "thread": thread_id,
    }
    row = connection.execute(_INSERT, values).one()
    record_transition(connection, RunCreated(RunIds.of(row)))
    return to_run(row)


def load(connection: Connection, project_id: str, thread_id: str, run_id: str) -> Run:
    """Raises `NotFound`."""
    return to_run(_find(connection, project_id, thread_id, run_id))


def list_page(connection: Connection, project_id: str, thread_id: str, page: PageRequest) -> Page[Run]:
    scope = {"thread_id": thread_id, "project_id": project_id}
    rows, has_more = load_page(connection, RUNS, NOUN, page, scope)
    return Page[Run].of([to_run(row) for row in rows], has_more)


def list_everywhere(connection: Connection, project_id: str, page: PageRequest, status: RunStatus | None) -> Page[Run]:
    """The project's runs over all threads, of one status if it is given."""
    only = [] if status is None else [RUNS.c.status == status.value]
    rows, has_more = load_page(connection, RUNS, NOUN, page, {"project_id": project_id}, only=only)
    return Page[Run].of([to_run(row) for row in rows], has_more)


def modify(connection: Connection, project_id: str, thread_id: str, run_id: str, body: ModifyRunRequest) -> Run:
    """Change the metadata if `body` has it. Raises `NotFound`, `TooManyPairs`."""
    owned = _owned(project_id, thread_id, run_id)
    row = connection.execute(_LOCK_METADATA, owned).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, run_id)
    connection.execute(_MODIFY, {**owned, "new_metadata": body.metadata_after(row.metadata)})
    return load(connection, project_id, thread_id, run_id)


def accept_outputs(
    connection: Connection, project_id: str, thread_id: str, run_id: str, outputs: Sequence[ToolOutput]
) -> Answered:
    """Store the outputs that the run waits for and queue it again.

    Raises `NotFound`; `WrongStatus` if the run does not wait, or another submission was first; `ToolOutputsMismatch` if
    `outputs` are not for exactly the required calls.
    """
    row = _find(connection, project_id, thread_id, run_id)
    if row.status != RunStatus.REQUIRES_ACTION:
        raise WrongStatus.for_submit(row.status)
    expected = tool_calls.function_ids(connection, run_id, row.turn)
    got = [output.tool_call_id for output in outputs]
    if sorted(expected) != sorted(got):
        raise ToolOutputsMismatch(expected, got)
    queued = _SUBMIT.apply(connection, run_id, answered=row.turn)
    if queued is None:
        raise WrongStatus.for_submit(_find(connection, project_id, thread_id, run_id).status)
    record_transition(connection, OutputsSubmitted(RunIds.of(queued), seconds_since(row.status_changed_at)))
    by_id = {output.tool_call_id: output.output or "" for output in outputs}
    tool_calls.store_outputs(connection, by_id)
    step = run_steps.complete(connection, run_id, row.turn)
    run = to_run(queued)
    events = EventBatch.before(queued.next_event, run_events.submitted(step, run))
    return Answered(run, row.turn, events)


def begin_cancelling(connection: Connection, project_id: str, thread_id: str, run_id: str) -> Run:
    """Raises `NotFound`, and `WrongStatus` where the run has ended or is being cancelled already."""
    _find(connection, project_id, thread_id, run_id)
    threads.lock_any(connection, thread_id)
    cancelling = _CANCEL.apply(connection, run_id)
    if cancelling is None:
        raise WrongStatus.for_cancel(_find(connection, project_id, thread_id, run_id).status)
    return to_run(cancelling)


def state_of(connection: Connection, run_id: str) -> RunState:
    """The state of a run of any project, for the engine. A run that was deleted with its thread counts as cancelled."""
    found = connection.execute(_STATE, {"run": run_id}).one_or_none()
    return RunState(RunStatus(found.status), found.turn, found.expires_at) if found else DELETED


def find_active(connection: Connection, run_id: str) -> AnyRow | None:
    """The run, of any project, unless it has ended."""
    return connection.execute(_ACTIVE, {"run": run_id}).one_or_none()


def deadline_of(row: AnyRow) -> int:
    """The run's deadline. Of an ended run, the deadline of its creation: that of a retry is not stored."""
    if row.expires_at is not None or row.status == RunStatus.EXPIRED:
        return row.expires_at or 0
    return int(row.created_at + row.expires_after_seconds)


def _find(connection: Connection, project_id: str, thread_id: str, run_id: str) -> AnyRow:
    row = connection.execute(_LOAD, _owned(project_id, thread_id, run_id)).one_or_none()
    if row is None:
        raise NotFound.of(NOUN, run_id)
    return row


def _owned(project_id: str, thread_id: str, run_id: str) -> dict[str, Any]:
    return {"run": run_id, "thread": thread_id, "project": project_id}


def to_run(row: AnyRow) -> Run:
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
        metadata=row.metadata,
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
