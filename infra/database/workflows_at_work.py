"""The workflows of which a worker may hold an activity: those of what is at work, and of what has just ended."""

from sqlalchemy import Connection, bindparam, or_, select

from infra.clock import now_ms
from infra.database import ingestions
from infra.database.run_tables import IS_ACTIVE, RUNS
from infra.database.vector_store_tables import IS_INGESTED_NOW, VECTOR_STORE_FILES
from infra.database.web_tables import IS_CRAWLED_NOW, WEB_CRAWLS
from models.ingestion import IngestBatchInput
from models.runs import RunStatus

JUST_NOW_MS = 60_000
"""The activity that changed a run's status may be pending for as long: its worker was killed before it could say so."""

MAX_FILES = 200
"""Far more than all workers parse at once. An ingestion that is not found waits for its heartbeat time-out."""

MAX_FILES_FOR_BATCHES = 2_000
"""The batches of so many files are looked into."""

MAX_CRAWLS = 200
MAX_NEWEST_RUNS = 1_000
"""Runs that have just ended are looked for among these: an older one waits for its heartbeat time-out."""

_F, _C = VECTOR_STORE_FILES, WEB_CRAWLS
_ACTIVE_RUNS = select(RUNS.c.id).where(
    IS_ACTIVE,
    # One that waits for its client has no activity.
    or_(RUNS.c.status != RunStatus.REQUIRES_ACTION.value, RUNS.c.status_changed_at >= bindparam("since")),
)
_NEWEST_RUNS = select(RUNS.c.id, RUNS.c.status_changed_at).order_by(RUNS.c.seq.desc()).limit(bindparam("most"))
_FILES = (
    select(_F.c.store_id, _F.c.id, _F.c.generation, _F.c.batch_id)
    .where(IS_INGESTED_NOW)
    .order_by(_F.c.next_check_at)
    .limit(bindparam("most"))
)
_CRAWLS = select(_C.c.id).where(IS_CRAWLED_NOW).order_by(_C.c.next_check_at).limit(bindparam("most"))


def ids(connection: Connection) -> list[str]:
    """The ids of the workflows, each once."""
    files = connection.execute(_FILES, {"most": MAX_FILES_FOR_BATCHES}).all()
    found = [
        *_runs(connection, now_ms() - JUST_NOW_MS),
        *(IngestBatchInput(file.batch_id).workflow_id for file in files if file.batch_id),
        *(ingestions.ingest_input(file).workflow_id for file in files[:MAX_FILES]),
        *connection.scalars(_CRAWLS, {"most": MAX_CRAWLS}),
    ]
    return list(dict.fromkeys(found))


def _runs(connection: Connection, since: int) -> list[str]:
    newest = connection.execute(_NEWEST_RUNS, {"most": MAX_NEWEST_RUNS})
    just_changed = [run.id for run in newest if run.status_changed_at >= since]
    return [*connection.scalars(_ACTIVE_RUNS, {"since": since}), *just_changed]
