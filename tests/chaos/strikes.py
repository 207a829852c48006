"""The named points of a run. Each strike brings runs to their points, makes sure that they are there, and kills.

The product contains no code for this. A run stops at its point because a model withholds its last word, a client
waits, a server is frozen (SIGSTOP) and takes no command, or a transaction of the suite blocks commits.
"""

import asyncio
import time
from itertools import pairwise

from tests.chaos.field import CALLS, CODES, SEARCHES, TEXT, Field, Strike, gated, holds
from tests.chaos.parts import Part
from tests.chaos.runs import ChaosRun, Plan
from tests.chaos.scripts import Turn
from tests.chaos.setups import Role

CREATED = "after the create commit, before the start command"
SUBMITTED = "after the submit commit, before its signal"
CANCELLING = "after the cancel commit, before its command"
ANSWERED = "after the answer's commit, before Temporal hears of it"
UNCOMMITTED_CREATE = "before the create commit"
UNCOMMITTED_SUBMIT = "before the submit commit"
UNCOMMITTED_ANSWER = "after the model's last chunk, before the commit"
STREAMING = "while the model streams"
WAITING = "between requires_action and submit"
STOPPING = "during cancelling"
UNPUBLISHED = "after the answer's commit, before its events"
JUST_COMMITTED = "just after the answer's commit"
RUNNING_CALL = "while the server runs a call"
RUNNING_CODE = "while code of the model runs"
AWAITING_FILES = "while a call waits for files"
RESULT = "after a call's result, before Temporal hears of it"
UNSTORED = "before the commit of a call's result, the database killed"
UNCONFIRMED = "after a commit, its answer lost"
CRAWLING = "while a page of a crawl is fetched"

ONE_KILLED = "one worker killed in mid-answer, until its answers are taken up"
FROZEN = "a worker frozen in mid-answer until another has its runs"

NOW = 0.0
# Longer than it takes Temporal to miss a worker.
LONG_TEXT = Turn(words=150, pause_seconds=0.3)
ON_BOTH_WORKERS = 10
UNTIL_ALL_ARE_CUT_SECONDS = 0.5
UNTIL_RESULTS_COME_SECONDS = 1.0
LONGEST_ABSENCE_SECONDS = 2.0


async def lose_commands(field: Field) -> None:
    """Temporal is frozen, so that the commit has no effect yet, and everything but the database is killed."""
    submitting = _waiting(field, "lost submit")
    turn, gate = gated()
    cancelling = field.begin(field.add(Plan("lost cancel", streams=True, cancel_after=NOW), turn))
    cancelling.may_cancel.clear()
    answer, answer_gate = gated()
    answering = field.begin(field.add(Plan("unheard answer", streams=True), answer))
    await _asked(submitting)
    await asyncio.gather(cancelling.script.held.wait(), answering.script.held.wait(), cancelling.knows_id.wait())

    field.freeze(Role.TEMPORAL)
    starting = field.begin(field.add(Plan("lost start"), TEXT))
    submitting.may_answer.set()
    cancelling.may_cancel.set()
    answer_gate.set()
    await field.until_status(starting, "queued")
    await field.until_status(submitting, "queued")
    await field.until_status(cancelling, "cancelling")
    await field.until_turn(answering)
    field.kill(Role.API, Role.WORKER, Role.TEMPORAL)

    field.points.update([CREATED, SUBMITTED, CANCELLING, ANSWERED])
    gate.set()
    await field.setup.restore()


async def lose_commits(field: Field) -> None:
    """Every commit is blocked, and the processes that wait for it are killed."""
    submitting = _waiting(field, "uncommitted submit")
    answer, gate = gated()
    answering = field.begin(field.add(Plan("uncommitted answer", streams=True), answer))
    await _asked(submitting)
    await answering.script.held.wait()

    async with field.setup.writes_held() as until_others_wait:
        field.faults["commits held"] += 1
        starting = field.begin(field.add(Plan("uncommitted create"), TEXT))
        submitting.may_answer.set()
        gate.set()
        await holds(lambda: answering.script.calls[0].is_answered, "the model does not end")
        await until_others_wait(3)
        field.kill(Role.API, Role.WORKER)
        found = [await field.stored.status(run.name) for run in (starting, submitting)]
        assert found == [None, "requires_action"], found
        assert not await field.stored.has_turn(answering.name, 0)

    field.points.update([UNCOMMITTED_CREATE, UNCOMMITTED_SUBMIT, UNCOMMITTED_ANSWER])
    await field.setup.restore()


async def lose_workers(field: Field) -> None:
    """Workers are killed while models speak, runs wait and a cancel is under way."""
    turn, gate = gated()
    streaming = field.begin(field.add(Plan("cut answer", streams=True), turn))
    waiting = _waiting(field, "waiting")
    cancelling = field.begin(field.add(Plan("cut cancel", streams=True, cancel_after=NOW), turn))
    cancelling.may_cancel.clear()
    await _asked(waiting)
    await asyncio.gather(streaming.script.held.wait(), cancelling.script.held.wait(), cancelling.knows_id.wait())

    cancelling.may_cancel.set()
    await field.until_status(cancelling, "cancelling", "cancelled")
    if await field.stored.status(cancelling.name) == "cancelling":
        field.points[STOPPING] += 1
    field.kill(Role.WORKER)

    field.points.update([STREAMING, WAITING])
    gate.set()
    waiting.may_answer.set()
    await field.setup.restore()


async def lose_server_calls(field: Field) -> None:
    """Everything but the database is killed while the server runs calls, one waits, and one has an unheard result."""
    store_id = await field.held_store(str(len(field.runs)))
    waiting = field.begin(field.add(Plan("waiting search", streams=True, searched_store=store_id), SEARCHES, TEXT))
    running, storing = (
        field.add(Plan(kind, streams=True), SEARCHES, TEXT) for kind in ("cut search", "unheard result")
    )
    # Of two calls one has its result. The run stays at its turn: only the result keeps that call from running again.
    stored_query, *others = storing.script.queries(0)
    hold = field.setup.embeddings.hold
    stored_gate, gate = hold(stored_query), hold(*others, *running.script.queries(0))
    await asyncio.gather(*(field.until_running(run) for run in (field.begin(running), field.begin(storing), waiting)))

    field.freeze(Role.TEMPORAL)
    stored_gate.set()
    await field.until_result(storing)
    assert not await field.stored.has_result(running.name)
    assert not await field.stored.has_result(waiting.name)
    field.kill(Role.API, Role.WORKER, Role.TEMPORAL)

    field.points.update([RUNNING_CALL, RESULT, AWAITING_FILES])
    gate.set()
    await field.stored.release(store_id)
    await field.setup.restore()


async def lose_the_database(field: Field) -> None:
    """The database is killed while the server runs calls, whose results come while it is away."""
    if not field.setup.of(Role.DATABASE):
        # SQLite is a part of the processes that `lose_server_calls` kills.
        return
    running = field.add(Plan("unstored result", streams=True), SEARCHES, TEXT)
    gate = field.setup.embeddings.hold(*running.script.queries(0))
    await field.until_running(field.begin(running))
    field.kill(Role.DATABASE)
    gate.set()
    await asyncio.sleep(UNTIL_RESULTS_COME_SECONDS)

    field.points[UNSTORED] += 1
    await field.setup.restore()


async def lose_running_code(field: Field) -> None:
    """Code runs while its sandbox is killed, and then while the processes are that wait for it."""
    # What `holdfast up` runs ends with it, its sandbox too.
    for roles in ((Role.SANDBOX,), (Role.API, Role.WORKER)):
        coding = field.begin(field.add(Plan("cut code", streams=True), CODES, TEXT))
        await field.until_code(coding)
        field.kill(*roles)
        field.points[RUNNING_CODE] += 1
        await field.setup.restore()


async def lose_crawls(field: Field) -> None:
    """Workers are killed while one fetches a page of a crawl."""
    await field.crawl()

    field.kill(Role.WORKER)

    field.points[CRAWLING] += 1
    field.setup.site.may_answer.set()
    await field.setup.restore()


async def lose_events(field: Field) -> None:
    """The answer is committed; its events die with its worker."""
    turn, gate = gated()
    answering = field.begin(field.add(Plan("unpublished answer", streams=True), turn))
    await answering.script.held.wait()

    field.freeze(Role.EVENTS)
    gate.set()
    await field.until_turn(answering)
    field.kill(Role.WORKER)

    # In one process with its readers, the events and they die together.
    field.points[UNPUBLISHED if field.setup.of(Role.EVENTS) else JUST_COMMITTED] += 1
    await field.setup.restore()


async def kill_a_worker(field: Field) -> None:
    """One worker is killed in mid-answer. Measures how long its answers wait for the next call of their model."""
    turn, gate = gated()
    answering = [field.begin(field.add(Plan("answer taken up", streams=True), turn)) for _ in range(ON_BOTH_WORKERS)]
    await asyncio.gather(*(run.script.held.wait() for run in answering))

    worker, killed_at = field.setup.worker, time.monotonic()
    field.kill_part(worker)
    calls = [run.script.calls for run in answering]
    await holds(lambda: any(call.is_cut for each in calls for call in each), "the worker had no answer")
    await asyncio.sleep(UNTIL_ALL_ARE_CUT_SECONDS)
    await holds(lambda: not any(each[-1].is_cut for each in calls), "not every answer is taken up")

    field.points[ONE_KILLED] += 1
    field.taken_up += [after.at - killed_at for each in calls for cut, after in pairwise(each) if cut.is_cut]
    gate.set()
    await field.setup.restore()


async def freeze_a_worker(field: Field) -> None:
    """A worker is frozen until another has taken over its runs, and then continues."""
    if Role.WORKER not in field.setup.freezable:
        return
    plan = Plan("frozen answer", streams=True)
    answering = [field.begin(field.add(plan, LONG_TEXT)) for _ in range(ON_BOTH_WORKERS)]
    await holds(lambda: all(run.script.calls for run in answering), "not every model is asked")

    field.freeze(Role.WORKER)
    await holds(lambda: any(len(run.script.calls) > 1 for run in answering), "no run is taken over")

    field.points[FROZEN] += 1
    field.thawed.append(time.time())
    await field.setup.restore()


async def lose_answers_to_commits(field: Field) -> None:
    """A commit is done and its confirmation lost, as in a network failure: the writer has to find out."""
    proxy = field.setup.proxy
    if proxy is None:
        return
    for kind in ("unconfirmed one", "unconfirmed other"):
        before = proxy.lost_commits
        proxy.lose_commit()
        field.begin(field.add(Plan(kind, streams=True), CALLS, TEXT))
        await holds(lambda count=before: proxy.lost_commits > count, "no commit was lost")  # type: ignore[misc]
        field.points[UNCONFIRMED] += 1


def losses(field: Field) -> list[Strike]:
    """Each part killed once and stopped once, for up to two seconds."""

    def loss(part: Part, is_killed: bool) -> Strike:
        async def lose_a_part(field: Field) -> None:
            if is_killed:
                field.kill_part(part)
            else:
                await field.stop_part(part)
            await asyncio.sleep(field.random.uniform(0, LONGEST_ABSENCE_SECONDS))
            await field.setup.restore()

        return lose_a_part

    return [loss(part, is_killed) for part in field.setup.parts for is_killed in (True, False)]


STRIKES: tuple[Strike, ...] = (
    lose_commands,
    lose_commits,
    lose_workers,
    lose_server_calls,
    lose_the_database,
    lose_running_code,
    lose_crawls,
    lose_events,
    kill_a_worker,
    freeze_a_worker,
    lose_answers_to_commits,
)


def _waiting(field: Field, kind: str) -> ChaosRun:
    """A run whose client keeps its outputs back."""
    run = field.add(Plan(kind), CALLS, TEXT)
    run.may_answer.clear()
    return field.begin(run)


async def _asked(run: ChaosRun) -> None:
    await holds(lambda: len(run.asked) == 1, f"{run.name} is not asked for outputs")
