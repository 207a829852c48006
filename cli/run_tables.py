"""Runs as tables for people."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.known_values import RunStatus
from cli.tables import Listing, facts_of, plain, time_of

if TYPE_CHECKING:
    from models.ops_runs import OpsRun, OpsRunTimeline, OpsToolCall, OpsTurn

STYLES: dict[str, str] = {
    RunStatus.FAILED: "red",
    RunStatus.COMPLETED: "green",
    RunStatus.EXPIRED: "yellow",
    RunStatus.INCOMPLETE: "yellow",
    RunStatus.REQUIRES_ACTION: "cyan",
}


def list_table(runs: "Iterable[OpsRun]") -> Listing:
    table = Listing("RUN", "STATUS", "CREATED", "TOOK", "TOKENS", "RETRIES", "PROJECT", "MODEL", "ERROR")
    for run in runs:
        table.add_row(
            plain(run.id),
            _status(run),
            plain(time_of(run.created_at)),
            plain(_took(run)),
            plain(run.usage.total_tokens if run.usage else None),
            plain(run.retries or None),
            plain(run.project),
            plain(run.model),
            plain(run.last_error and run.last_error.code),
        )
    return table


def timeline_tables(run: "OpsRunTimeline") -> Group:
    parts: list[RenderableType] = [_facts(run), Text(), _turns(run.turns)]
    if run.retry_history:
        parts += [Text(), _retries(run)]
    return Group(*parts)


def _facts(run: "OpsRunTimeline") -> Table:
    tokens = f"{run.usage.prompt_tokens} + {run.usage.completion_tokens}" if run.usage else None
    error = f"{run.last_error.code}: {run.last_error.message}" if run.last_error else run.incomplete_reason
    facts = {
        "Run": run.id,
        "Project": run.project,
        "Status": _status(run),
        "Assistant": run.assistant_id,
        "Thread": run.thread_id,
        "Model": run.model,
        "Created": time_of(run.created_at),
        "Finalized": run.ended_at and time_of(run.ended_at),
        "Took": _took(run),
        "Tokens": tokens,
        "Error": error,
        "Workflow": run.workflow.status,
        "Temporal UI": run.temporal_url,
    }
    return facts_of(facts)


def _turns(turns: "Iterable[OpsTurn]") -> Listing:
    table = Listing("TURN", "BEGAN", "TOOK", "ATTEMPTS", "TOKENS", "OUTCOME")
    for turn in turns:
        table.add_row(
            plain(turn.turn),
            plain(turn.started_at and time_of(turn.started_at)),
            plain(None if turn.duration_ms is None else f"{turn.duration_ms / 1000:.1f} s"),
            plain(turn.attempts),
            plain(turn.usage and f"{turn.usage.prompt_tokens} + {turn.usage.completion_tokens}"),
            _outcome(turn),
        )
    return table


def _outcome(turn: "OpsTurn") -> Text:
    lines = _attempts(turn)
    lines += [line for call in turn.tool_calls for line in _call_lines(call)]
    if turn.is_finished and not turn.tool_calls:
        lines.append(f"ended: {turn.finish_reason}")
    return Text("\n").join(map(plain, lines))


def _call_lines(call: "OpsToolCall") -> list[str]:
    facts = [] if call.is_answered else ["not answered"]
    if call.duration_ms is not None:
        facts.append(f"{call.duration_ms / 1000:.1f} s")
    if call.attempts is not None and call.attempts > 1:
        facts.append(f"{call.attempts} attempts")
    shown = f"calls {call.name}" + (f" ({', '.join(facts)})" if facts else "")
    failed = [f"failed: {call.error}"] if call.error else []
    return [shown, *(f"  {line}" for line in [*_attempts(call), *failed])]


def _attempts(tried: "OpsTurn | OpsToolCall") -> list[str]:
    lines = [f"attempt {failure.attempt} failed: {failure.message}" for failure in tried.failures]
    return [*lines, f"next attempt at {time_of(tried.next_attempt_at)}"] if tried.next_attempt_at else lines


def _retries(run: "OpsRunTimeline") -> Listing:
    table = Listing("RETRY", "AT", "TURN", "BY", "AFTER")
    for retry in run.retry_history:
        error = f"{retry.error.code}: {retry.error.message}" if retry.error else None
        cells = (retry.number, time_of(retry.at), retry.turn, retry.by, error)
        table.add_row(*map(plain, cells))
    return table


def _status(run: "OpsRun") -> Text:
    return Text(run.status, STYLES.get(run.status, ""))


def _took(run: "OpsRun") -> str:
    seconds = max((run.ended_at or int(time.time())) - run.created_at, 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
