"""Tables of runs and files fit the terminal, and no width cuts anything off them."""

from io import StringIO
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from cli.file_actions import list_table as files_table
from cli.run_tables import list_table as runs_table
from cli.run_tables import timeline_tables
from cli.tables import PIPE_WIDTH, time_of
from models.ops_files import OpsFile
from models.ops_runs import OpsRun, OpsRunTimeline

AT = 1_780_000_000
RUN: dict[str, Any] = {
    "id": "run_abcdefghijklmnopqrstuvwx",
    "project": "the-project-of-a-customer-with-a-long-name",
    "status": "requires_action",
    "assistant_id": "asst_abcdefghijklmnopqrstuvwx",
    "thread_id": "thread_abcdefghijklmnopqrstuvwx",
    "model": "openrouter/a-vendor/a-model-with-a-name-that-is-longer-than-any-terminal-is-wide-and-then-some",
    "created_at": AT,
    "started_at": AT,
    "ended_at": AT + 7000,
    "expires_at": None,
    "turn": 12,
    "last_error": {"code": "rate_limit_exceeded", "message": "Slow down."},
    "incomplete_reason": None,
    "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 234_567, "total_tokens": 1_234_567},
    "retries": 3,
    "retried_at": None,
    "retried_by": None,
    "temporal_url": None,
}
FILE: dict[str, Any] = {
    "id": "vs_abcdefghijklmnopqrstuvwx/file-abcdefghijklmnopqrstuvwx",
    "project": "default",
    "vector_store_id": "vs_abcdefghijklmnopqrstuvwx",
    "file_id": "file-abcdefghijklmnopqrstuvwx",
    "batch_id": None,
    "status": "in_progress",
    "created_at": AT,
    "started_at": AT,
    "ended_at": None,
    "chunks": 0,
    "usage_bytes": 0,
    "last_error": {"code": "server_error", "message": "The file's content is missing in the object store. " * 3},
    "temporal_url": None,
}
FAILURE = {"attempt": 1, "message": "AuthenticationError: the provider refuses the key that it was given", "at": AT}
TURN: dict[str, Any] = {
    "turn": 1,
    "is_finished": True,
    "attempts": 12,
    "started_at": AT,
    "duration_ms": 123_456,
    "finish_reason": "stop",
    "usage": RUN["usage"],
    "failures": [FAILURE],
    "next_attempt_at": AT,
    "tool_calls": [],
}
RETRY = {
    "number": 1,
    "at": AT,
    "by": "operator@" + "host." * 20,
    "turn": 1,
    "failed_at": AT,
    "error": RUN["last_error"],
}


def runs() -> RenderableType:
    short = {**RUN, "id": "run_short", "status": "failed", "retries": 0, "usage": None, "model": "gpt-4o"}
    return runs_table([OpsRun.model_validate(RUN), OpsRun.model_validate(short)])


def files() -> RenderableType:
    return files_table([OpsFile.model_validate(FILE)])


def timeline() -> RenderableType:
    workflow = {"status": "failed", "execution": None}
    more = {"turns": [TURN], "retry_history": [RETRY], "workflow": workflow}
    return timeline_tables(OpsRunTimeline.model_validate({**RUN, **more}))


def lines_of(shown: RenderableType, width: int) -> list[str]:
    output = StringIO()
    Console(file=output, width=width).print(shown)
    return [line.rstrip() for line in output.getvalue().splitlines()]


def test_runs_at_80_columns() -> None:
    assert lines_of(runs(), 80) == [
        "RUN                           STATUS           CREATED              TOOK",
        f"run_abcdefghijklmnopqrstuvwx  requires_action  {time_of(AT)}  116 min",
        "  TOKENS 1234567  RETRIES 3  PROJECT the-project-of-a-customer-with-a-long-name",
        "  MODEL",
        "  openrouter/a-vendor/a-model-with-a-name-that-is-longer-than-any-terminal-is-wi",
        "  de-and-then-some  ERROR rate_limit_exceeded",
        f"run_short                     failed           {time_of(AT)}  116 min",
        "  PROJECT the-project-of-a-customer-with-a-long-name  MODEL gpt-4o  ERROR",
        "  rate_limit_exceeded",
    ]


def test_files_at_80_columns() -> None:
    assert lines_of(files(), 80) == [
        "STORE/FILE                                                 STATUS",
        "vs_abcdefghijklmnopqrstuvwx/file-abcdefghijklmnopqrstuvwx  in_progress",
        f"  ADDED {time_of(AT)}  PROJECT default  CODE server_error  ERROR The",
        "  file's content is missing in the object store. The file's content is missing",
        "  in the object store. The file's content is missing in the object store.",
    ]


@pytest.mark.parametrize("shown", [runs(), files(), timeline()], ids=["runs", "files", "timeline"])
@pytest.mark.parametrize("width", [40, 80, 100, 132, 250])
def test_no_width_is_exceeded_and_nothing_is_cut_off(shown: RenderableType, width: int) -> None:
    lines = lines_of(shown, width)

    assert max(map(cell_len, lines)) <= width
    assert _without_spaces(lines).count("…") == 0
    ids = [word for word in "\n".join(lines_of(shown, 1000)).split() if word.startswith(("run_", "vs_"))]
    assert all(each in _without_spaces(lines) for each in ids)


def test_each_row_is_a_line_where_there_is_room() -> None:
    head, *rows = lines_of(files(), PIPE_WIDTH)

    assert head.split() == ["STORE/FILE", "STATUS", "ADDED", "ENDED", "PROJECT", "CODE", "ERROR"]
    assert rows[0].startswith(f"{FILE['id']}  in_progress  {time_of(AT)}  -      default  server_error  The file's")


def test_a_list_of_nothing_has_its_header() -> None:
    assert lines_of(runs_table([]), 80) == ["RUN  STATUS  CREATED  TOOK  TOKENS  RETRIES  PROJECT  MODEL  ERROR"]


def _without_spaces(lines: list[str]) -> str:
    return "".join("".join(line.split()) for line in lines)
