"""Runs as tables for people. Texts from the server are printed as plain text, whatever characters they contain."""

import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from models.ops_runs import OpsRun, OpsRunTimeline, OpsToolCall, OpsTurn
from models.runs import RunStatus

# Wide enough for every column if stdout is a pipe, where long lines do no harm.
PIPE_WIDTH = 200
STYLES = {
    RunStatus.FAILED: "red",
    RunStatus.COMPLETED: "green",
    RunStatus.EXPIRED: "yellow",
    RunStatus.INCOMPLETE: "yellow",
    RunStatus.REQUIRES_ACTION: "cyan",
}
NOTHING = "-"


def drawn(shown: RenderableType) -> str:
    """The text of a table, in the width and colours of stdout."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().rstrip("\n")


def list_table(runs: Iterable[OpsRun]) -> Table:
    table = _table("RUN", "STATUS", "CREATED", "TOOK", "TOKENS", "RETRIES", "PROJECT", "MODEL", "ERROR")
    for run in runs:
        table.add_row(
            _plain(run.id),
            _status(run),
            _plain(_time(run.created_at)),
            _plain(_took(run)),
            _plain(run.usage.total_tokens if run.usage else None),
            _plain(run.retries or None),
            _plain(run.project),
            _plain(run.model),
            _plain(run.last_error and run.last_error.code),
        )
    return table


def timeline_tables(run: OpsRunTimeline) -> Group:
    parts: list[RenderableType] = [_facts(run), Text(), _turns(run.turns)]
    if run.retry_history:
        parts += [Text(), _retries(run)]
    return Group(*parts)


def _facts(run: OpsRunTimeline) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    tokens = f"{run.usage.prompt_tokens} + {run.usage.completion_tokens}" if run.usage else None
    error = f"{run.last_error.code}: {run.last_error.message}" if run.last_error else run.incomplete_reason
    for name, value in {
        "Run": run.id,
        "Project": run.project,
        "Status": _status(run),
        "Assistant": run.assistant_id,
        "Thread": run.thread_id,
        "Model": run.model,
        "Created": _time(run.created_at),
        "Finalized": run.ended_at and _time(run.ended_at),
        "Took": _took(run),
        "Tokens": tokens,
        "Error": error,
        "Workflow": run.workflow.status,
        "Temporal UI": run.temporal_url,
    }.items():
        if value is not None:
            table.add_row(name, value if isinstance(value, Text) else _plain(value))
    return table


def _turns(turns: Iterable[OpsTurn]) -> Table:
    table = _table("TURN", "BEGAN", "TOOK", "ATTEMPTS", "TOKENS", "OUTCOME")
    for turn in turns:
        table.add_row(
            _plain(turn.turn),
            _plain(turn.started_at and _time(turn.started_at)),
            _plain(None if turn.duration_ms is None else f"{turn.duration_ms / 1000:.1f} s"),
            _plain(turn.attempts),
            _plain(turn.usage and f"{turn.usage.prompt_tokens} + {turn.usage.completion_tokens}"),
            _outcome(turn),
        )
    return table


def _outcome(turn: OpsTurn) -> Text:
    lines = [f"attempt {failure.attempt} failed: {failure.message}" for failure in turn.failures]
    lines += [line for call in turn.tool_calls for line in _call_lines(call)]
    if turn.is_finished and not turn.tool_calls:
        lines.append(f"ended: {turn.finish_reason}")
    return Text("\n").join(map(_plain, lines))


def _call_lines(call: OpsToolCall) -> list[str]:
    facts = [] if call.is_answered else ["not answered"]
    if call.duration_ms is not None:
        facts.append(f"{call.duration_ms / 1000:.1f} s")
    if call.attempts is not None and call.attempts > 1:
        facts.append(f"{call.attempts} attempts")
    shown = f"calls {call.name}" + (f" ({', '.join(facts)})" if facts else "")
    failures = [f"  attempt {failure.attempt} failed: {failure.message}" for failure in call.failures]
    return [shown, *failures, *([f"  failed: {call.error}"] if call.error else [])]


def _retries(run: OpsRunTimeline) -> Table:
    table = _table("RETRY", "AT", "TURN", "BY", "AFTER")
    for retry in run.retry_history:
        error = f"{retry.error.code}: {retry.error.message}" if retry.error else None
        cells = (retry.number, _time(retry.at), retry.turn, retry.by, error)
        table.add_row(*map(_plain, cells))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(columns):
        # The last column gets the remaining width.
        table.add_column(name, no_wrap=position < len(columns) - 1, overflow="fold")
    return table


def _plain(value: object) -> Text:
    """Text without markup, and without the control characters that a terminal would execute."""
    shown = NOTHING if value is None else str(value)
    return Text("".join(character if character.isprintable() else " " for character in shown))


def _status(run: OpsRun) -> Text:
    return Text(run.status, STYLES.get(run.status, ""))


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _took(run: OpsRun) -> str:
    seconds = max((run.ended_at or int(time.time())) - run.created_at, 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
