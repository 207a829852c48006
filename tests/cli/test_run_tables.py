import re

from cli.run_tables import timeline_tables
from cli.tables import drawn, time_of
from models.ops_runs import OpsFailure, OpsRunTimeline, OpsToolCall, OpsTurn, OpsWorkflow
from models.runs import RunStatus
from models.tool_calls import ToolKind

NEXT = 1_790_000_000
FAILURE = OpsFailure(attempt=2, message="The provider of 'm' answered 429: Slow down.", at=NEXT - 60)
CALL = OpsToolCall(
    id="call_1",
    name="file_search",
    kind=ToolKind.FILE_SEARCH,
    is_answered=False,
    attempts=3,
    started_at=NEXT - 90,
    duration_ms=90_000,
    error=None,
    failures=[FAILURE],
    next_attempt_at=NEXT,
)
TURN = OpsTurn(
    turn=0,
    is_finished=False,
    attempts=3,
    started_at=NEXT - 90,
    duration_ms=90_000,
    finish_reason=None,
    usage=None,
    failures=[FAILURE],
    next_attempt_at=NEXT,
    tool_calls=[],
)


def test_next_attempt_follows_the_failures() -> None:
    waiting = OpsRunTimeline(
        id="run_1",
        project="default",
        status=RunStatus.IN_PROGRESS,
        assistant_id="asst_1",
        thread_id="thread_1",
        model="m",
        created_at=NEXT - 90,
        started_at=NEXT - 90,
        ended_at=None,
        expires_at=None,
        turn=1,
        last_error=None,
        incomplete_reason=None,
        usage=None,
        retries=0,
        retried_at=None,
        retried_by=None,
        temporal_url=None,
        turns=[TURN.model_copy(update={"next_attempt_at": None, "tool_calls": [CALL]}), TURN],
        retry_history=[],
        workflow=OpsWorkflow(status="running", execution="e"),
    )

    said = re.findall(r"(?:attempt 2 failed: .*|next attempt at .*)\b.", drawn(timeline_tables(waiting)))

    failed, following = f"attempt 2 failed: {FAILURE.message}", f"next attempt at {time_of(NEXT)}"
    assert [line.strip() for line in said] == [failed, failed, following, failed, following]
