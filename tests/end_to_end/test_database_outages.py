"""Outages of Postgres: requests are rejected with a clear error; no run is lost, failed or executed twice."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from openai import InternalServerError
from openai.types.beta.threads import Run
from sqlalchemy import create_engine, text

from infra.database.migrations import migrate
from models.errors import OutcomeUnknown, Unavailable
from tests.api.envelope import assert_error
from tests.conftest import NewDatabase, settings_for
from tests.database import reading
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.postgres.proxy import LosingProxy, losing_proxy
from tests.postgres.server import PostgresServer, running_postgres
from tests.provider.replies import Calls, Hangs, Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sweeps import sweep_now
from workflows.sweep import sweep_id

pytestmark = pytest.mark.slow

CONNECTIONS = 5
OPEN_TRANSACTIONS = """
    SELECT query FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
"""


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
async def own_holdfast(
    own_postgres: PostgresServer, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> AsyncIterator[RunningHoldfast]:
    """API and worker on a Postgres that tests may stop."""
    url = own_postgres.new_database()
    migrate(url)
    async with running_holdfast(settings_for(tmp_path, temporal_port, provider, url)) as running:
        yield running


@pytest.fixture
async def proxied(
    new_postgres_database: NewDatabase, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> AsyncIterator[tuple[RunningHoldfast, LosingProxy]]:
    """API and worker whose connections to Postgres may break."""
    # The path of a socket has to be short.
    folder = Path(tempfile.mkdtemp(prefix="proxy-"))
    try:
        async with (
            losing_proxy(new_postgres_database(), folder) as (proxy, url),
            running_holdfast(settings_for(tmp_path, temporal_port, provider, url)) as running,
        ):
            yield running, proxy
    finally:
        shutil.rmtree(folder)


async def fill_pool(holdfast: RunningHoldfast) -> None:
    await asyncio.gather(*(holdfast.client.beta.threads.create() for _ in range(CONNECTIONS)))


async def until_commit_is_retried(caplog: pytest.LogCaptureFixture) -> None:
    """Wait until a worker has an answer that it cannot commit."""
    async with asyncio.timeout(30):
        while "run.answer_held" not in caplog.messages:
            await asyncio.sleep(0.02)


async def test_requests_are_rejected_during_outage_and_work_after_it(
    own_holdfast: RunningHoldfast, own_postgres: PostgresServer
) -> None:
    await fill_pool(own_holdfast)
    own_postgres.stop()
    async with httpx.AsyncClient(base_url=own_holdfast.url) as http:
        read = await http.get("/v1/assistants")
        written = await http.post("/v1/threads")
        health = await http.get("/health")
    own_postgres.start()

    await fill_pool(own_holdfast)

    for refused in (read, written):
        assert_error(refused, 503, Unavailable().message, kind="server_error")
        assert "x-should-retry" not in refused.headers
    assert health.status_code == 503
    assert health.json()["database"].startswith("does not answer: ")


async def test_standby_before_its_promotion_counts_as_outage(
    own_holdfast: RunningHoldfast,
    own_postgres: PostgresServer,
    provider: ScriptedProvider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = Held(Says("Paid for once."))
    provider.script("failover", answer)
    run = await own_holdfast.run(await own_holdfast.assistant("failover"))
    await answer.arrived()

    with promoted_later(own_holdfast):
        async with httpx.AsyncClient(base_url=own_holdfast.url) as http:
            written, health = await http.post("/v1/threads"), await http.get("/health")
        answer.release()
        await until_commit_is_retried(caplog)

    assert (await own_holdfast.until(run)).status == "completed"
    await fill_pool(own_holdfast)
    assert_error(written, 503, Unavailable().message, kind="server_error")
    assert health.status_code == 503
    assert len(provider.requests("failover")) == 1


@contextmanager
def promoted_later(holdfast: RunningHoldfast) -> Iterator[None]:
    """Break the open connections; until the block ends, new ones reach a read-only server."""
    engine = create_engine(holdfast.resources.database.engine.url, isolation_level="AUTOCOMMIT")
    name = engine.url.database
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with engine.connect() as admin:
        admin.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
        admin.execute(text(f"SELECT pg_terminate_backend(pid) {others}"))
        yield
        admin.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off'))
    engine.dispose()


@pytest.mark.parametrize("how", ["stop", "crash"])
async def test_restart_between_requests_causes_no_error(
    own_holdfast: RunningHoldfast, own_postgres: PostgresServer, how: str
) -> None:
    await fill_pool(own_holdfast)

    getattr(own_postgres, how)()
    own_postgres.start()

    await fill_pool(own_holdfast)


async def test_answer_during_outage_is_committed_after_it(
    own_holdfast: RunningHoldfast,
    own_postgres: PostgresServer,
    provider: ScriptedProvider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = Held(Says("Said at last."))
    provider.script("outage-answer", answer)
    run = await own_holdfast.run(await own_holdfast.assistant("outage-answer"))
    await answer.arrived()

    own_postgres.stop()
    answer.release()
    await until_commit_is_retried(caplog)
    own_postgres.start()

    assert (await own_holdfast.until(run)).status == "completed"
    assert await own_holdfast.texts(run) == ["Hello", "Said at last."]
    assert len(provider.requests("outage-answer")) == 1


@pytest.mark.parametrize("script", ["hangs", "waits"])
async def test_cancel_in_temporal_during_outage_takes_effect_after_it(
    own_holdfast: RunningHoldfast, own_postgres: PostgresServer, provider: ScriptedProvider, script: str
) -> None:
    model = f"outage-cancel-{script}"
    provider.script(model, Hangs(after="Well") if script == "hangs" else Calls(("weather", "{}")))
    run = await own_holdfast.run(await own_holdfast.assistant(model, "weather"))
    await own_holdfast.until(run, "in_progress" if script == "hangs" else "requires_action")
    await provider.requested(model)

    own_postgres.stop()
    await own_holdfast.resources.temporal.get_workflow_handle(run.id).cancel()
    failure = await retried(own_holdfast, run)
    own_postgres.start()

    assert (await own_holdfast.until(run, "cancelled")).status == "cancelled"
    assert failure == "The database does not answer."


async def test_sweep_survives_outage(
    own_holdfast: RunningHoldfast, own_postgres: PostgresServer, provider: ScriptedProvider
) -> None:
    sweep = own_holdfast.resources.temporal.get_workflow_handle(sweep_id(own_holdfast.resources.settings.task_queue))

    own_postgres.stop()
    await sweep_now(own_holdfast)
    async with asyncio.timeout(20):
        while not [step for step in (await sweep.describe()).raw_description.pending_activities if step.attempt > 1]:
            await asyncio.sleep(0.02)
    own_postgres.start()

    async with asyncio.timeout(20):
        while (await sweep.describe()).raw_description.pending_activities:
            await asyncio.sleep(0.02)
    history = await sweep.fetch_history()
    assert not [event for event in history.events if event.HasField("activity_task_timed_out_event_attributes")]
    assert not [event for event in history.events if event.HasField("activity_task_failed_event_attributes")]


async def test_unconfirmed_commit_is_reported_and_not_retried(
    proxied: tuple[RunningHoldfast, LosingProxy],
) -> None:
    holdfast, proxy = proxied
    threads = holdfast.client.with_options(max_retries=2).beta.threads
    thread = await threads.create()

    proxy.lose_commit()
    with pytest.raises(InternalServerError) as refused:
        await threads.messages.create(thread.id, role="user", content="Once")

    assert refused.value.status_code == 503
    assert OutcomeUnknown().message in str(refused.value)
    assert len((await threads.messages.list(thread.id)).data) == proxy.lost_commits == 1


async def test_unconfirmed_commit_is_retried_with_idempotency_key(
    proxied: tuple[RunningHoldfast, LosingProxy],
) -> None:
    holdfast, proxy = proxied
    threads = holdfast.client.with_options(max_retries=2).beta.threads
    thread = await threads.create()

    proxy.lose_commit()
    message = await threads.messages.create(
        thread.id, role="user", content="Once", extra_headers={"Idempotency-Key": "k"}
    )

    assert [each.id for each in (await threads.messages.list(thread.id)).data] == [message.id]
    assert proxy.lost_commits == 1


async def test_turn_with_unconfirmed_commit_is_not_repeated(
    proxied: tuple[RunningHoldfast, LosingProxy], provider: ScriptedProvider
) -> None:
    holdfast, proxy = proxied
    answer = Held(Says("Only once."))
    provider.script("lost-commit", answer)
    run = await holdfast.run(await holdfast.assistant("lost-commit"))
    await answer.arrived()

    proxy.lose_commit()
    answer.release()

    assert (await holdfast.until(run)).status == "completed"
    assert await holdfast.texts(run) == ["Hello", "Only once."]
    assert (len(provider.requests("lost-commit")), proxy.lost_commits) == (1, 1)


async def test_no_transaction_is_open_during_model_call(
    new_postgres_database: NewDatabase, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    answer = Held(Says("Done."), after="Let me think")
    provider.script("no-transaction", answer)
    settings = settings_for(tmp_path, temporal_port, provider, new_postgres_database())
    async with running_holdfast(settings) as holdfast:
        run = await holdfast.run(await holdfast.assistant("no-transaction"))
        await answer.arrived()

        # Other work, such as the sweep's, has transactions too, but not for long.
        async with asyncio.timeout(10):
            while open_transactions(holdfast):
                await asyncio.sleep(0.02)
        answer.release()
        await holdfast.until(run, "completed")


def open_transactions(holdfast: RunningHoldfast) -> Sequence[str]:
    with reading(holdfast.resources.database) as connection:
        return connection.scalars(text(OPEN_TRANSACTIONS)).all()


async def retried(holdfast: RunningHoldfast, run: Run) -> str:
    """Wait until an activity of the run is retried. Returns the failure."""
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)
    async with asyncio.timeout(20):
        while True:
            for pending in (await handle.describe()).raw_description.pending_activities:
                if pending.HasField("last_failure"):
                    return pending.last_failure.message
            await asyncio.sleep(0.02)
