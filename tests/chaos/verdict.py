"""Compares every run with its expected result: over the API, in the database, in the streams, at the model."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable
from typing import Any

from models.runs import RunStatus
from tests.chaos.clients import Refused
from tests.chaos.crawls import faults_of_crawls
from tests.chaos.field import TEXT, Field
from tests.chaos.ledgers import Ledger, text_of
from tests.chaos.leftovers import leftovers_of
from tests.chaos.report import Report
from tests.chaos.run_faults import faults_of, repeated_searches, stored_text, stream_faults
from tests.chaos.runs import ChaosRun, Plan
from tests.chaos.stored import StoredRun

AT_ONCE = 16
PROBE_SECONDS = 60


async def judge(field: Field) -> Report:
    """After the faults: only runs that hang are still active."""
    crowd = list(field.runs)
    violations = [*field.missed, *_unfinished(field)]
    stored = await field.stored.runs()
    report = Report(
        field.setup.name, Counter(), field.points, field.faults, _calls(crowd), Counter(), field.taken_up, violations
    )
    report.searches = _searches(field)
    for run in crowd:
        found = stored.get(run.name, [])
        violations += [f"{run.name}: {fault}" for fault in faults_of(run, found)]
        for each in found:
            repeated = repeated_searches(run, each, field.setup.embeddings.asked, field.thawed)
            violations += [f"{run.name}: {fault}" for fault in repeated]
        outcome = found[0].row.status if found else "lost"
        report.runs[run.plan.kind, outcome] += 1
    known = [(run, stored[run.name][0]) for run in crowd if len(stored.get(run.name, [])) == 1]
    violations += await _all(_told(field, run, found) for run, found in known)
    violations += [f"{name} still blocks its thread" for name in await field.stored.active()]
    violations += await _all(_unlocked(field, run, found) for run, found in known)
    violations += await _all([faults_of_crawls(field.client, field.crawls), _left_by_sandboxes(field)])
    report.clients = field.client.tally
    report.clients["events seen again after counting"] += sum(run.ledger.repeats for run in crowd)
    return report


def _unfinished(field: Field) -> list[str]:
    faults = [f"{task.get_name()} did not end" for task in field.living if not task.done()]
    for task in field.living:
        if task.done() and not task.cancelled() and (error := task.exception()):
            faults.append(f"{task.get_name()}: {_innermost(error)!r}")
    return faults


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _calls(runs: Iterable[ChaosRun]) -> Counter[str]:
    calls: Counter[str] = Counter()
    for run in runs:
        first = {call.turn for call in run.script.calls}
        calls["asked"] += len(run.script.calls)
        calls["asked again, lost before their commit"] += len(run.script.calls) - len(first)
    return calls


def _searches(field: Field) -> Counter[str]:
    asked = [field.setup.embeddings.asked.get(query, ()) for run in field.runs for query in _queries(run)]
    made = [len(times) for times in asked if times]
    return Counter({"made": len(made), "made again, lost before their result was stored": sum(made) - len(made)})


def _queries(run: ChaosRun) -> list[str]:
    return [query for turn in range(len(run.script.turns)) for query in run.script.queries(turn)]


async def _told(field: Field, run: ChaosRun, stored: StoredRun) -> list[str]:
    """The API returns the stored run, and streams its events from the first."""
    path = f"/threads/{stored.row.thread_id}/runs/{stored.row.id}"
    shown = await field.client.get(path)
    messages = (await field.client.get(f"/threads/{stored.row.thread_id}/messages?order=asc&limit=100"))["data"]
    faults = [] if shown["status"] == stored.row.status else [f"the API says {shown['status']}"]
    if [text_of(message) for message in messages] != [stored_text(message.content) for message in stored.messages]:
        faults.append("the API lists other messages than are stored")
    if RunStatus(stored.row.status).is_terminal:
        ledger = Ledger()
        async with field.client.stream(f"{path}/events") as events:
            async for event in events:
                if event.name not in ("done", "keepalive"):
                    ledger.take(event)
        faults += [f"replayed, {fault}" for fault in stream_faults(ledger, stored)]
    return [f"{run.name}: {fault}" for fault in faults]


async def _unlocked(field: Field, run: ChaosRun, stored: StoredRun) -> list[str]:
    """A new run can start on the thread and comes last."""
    if not RunStatus(stored.row.status).is_terminal:
        return []
    probe = field.add(Plan("probe"), TEXT)
    probe.thread_id = stored.row.thread_id
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe.live()
    except Exception as error:  # noqa: BLE001 - any error means that the thread cannot be used
        return [f"{run.name}: its thread takes no new run: {_innermost(error)!r}"]
    messages = (await field.client.get(f"/threads/{probe.thread_id}/messages?order=asc&limit=100"))["data"]
    expected = [*(stored_text(message.content) for message in stored.messages), probe.question, probe.script.text(0, 0)]
    if (listed := [text_of(message) for message in messages]) != expected:
        return [f"{run.name}: after a new run its thread has {listed}"]
    return []


async def _left_by_sandboxes(field: Field) -> list[str]:
    """Once every thread is deleted, no session is left: no row, no folder, no process."""
    threads = {found.row.thread_id for each in (await field.stored.runs()).values() for found in each}
    await _all(_deleted(field, thread_id) for thread_id in threads)
    return await leftovers_of(field.setup.sandboxes, field.stored)


async def _deleted(field: Field, thread_id: str) -> list[str]:
    await field.client.delete(f"/threads/{thread_id}")
    return []


async def _all(checks: Iterable[Coroutine[Any, Any, list[str]]]) -> list[str]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def limited(check: Coroutine[Any, Any, list[str]]) -> list[str]:
        async with limit:
            try:
                return await check
            except Refused as refusal:
                return [str(refusal)]

    return [fault for faults in await asyncio.gather(*map(limited, checks)) for fault in faults]
