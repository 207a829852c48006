"""Log lines about runs: each names its run, and none contains content, at any level."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from cli.logs import OUR_PACKAGES, log_handler
from tests.collector import running_collector
from tests.conftest import settings_for
from tests.database import writing
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Calls, Fails, Says
from tests.provider.scripted_provider import ScriptedProvider

SECRET = "marzipan"
CALL = Calls(("weather", f'{{"city": "{SECRET}"}}'))


class Written:
    """Output of Holdfast's loggers and the root logger, from debug level."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.text.splitlines())
        return [line for line in lines if line["event"] == name]


@pytest.fixture
def written() -> Iterator[Written]:
    written = Written()
    handler = log_handler("json", written.stream)
    ours = [logging.getLogger(name) for name in OUR_PACKAGES]
    levels = [logger.level for logger in ours]
    logging.getLogger().addHandler(handler)
    for logger in ours:
        logger.setLevel(logging.DEBUG)
    yield written
    logging.getLogger().removeHandler(handler)
    for logger, level in zip(ours, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.any_database
async def test_log_lines_name_run_without_content(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider, written: Written
) -> None:
    provider.script("logged", Fails(500, f"We broke on {SECRET}."), CALL, Fails(401, f"No {SECRET} for you."))
    await own_holdfast.start_worker()
    assistant = await own_holdfast.assistant("logged", "weather", instructions=SECRET, metadata={SECRET: SECRET})
    run = await own_holdfast.until(await own_holdfast.run(assistant, SECRET))
    await own_holdfast.until(await own_holdfast.submit(run, SECRET), "failed")

    about = {"run_id": run.id, "thread_id": run.thread_id}
    [created] = written.events("run.created")
    assert created.items() >= about.items()
    assert created["request_id"].startswith("req_")
    first, again = written.events("run.started")
    assert first.items() >= (about | {"turn": 0, "attempt": 1}).items()
    assert again.items() >= (about | {"turn": 1, "attempt": 1}).items()
    failed_first, failed_last = written.events("run.model_call_failed")
    expected = {"turn": 0, "attempt": 1, "error": "ProviderUnavailable", "level": "warning"}
    assert failed_first.items() >= (about | expected).items()
    assert failed_last.items() >= (about | {"turn": 1, "attempt": 1, "error": "ProviderRefused"}).items()
    assert [line["awaited_seconds"] >= 0 for line in written.events("run.outputs_submitted")] == [True]
    [ended] = written.events("run.ended")
    assert ended.items() >= (about | {"status": "failed", "level": "info", "turn": 1}).items()
    assert SECRET not in written.text


@pytest.mark.any_database
async def test_database_error_is_logged_without_values(own_holdfast: RunningHoldfast, written: Written) -> None:
    with writing(own_holdfast.resources.database) as connection:
        connection.execute(text("DROP TABLE messages"))

    with pytest.raises(Exception, match="server had an error"):
        await own_holdfast.client.beta.threads.create(messages=[{"role": "user", "content": SECRET}])

    [crashed] = written.events("api.unexpected_error")
    assert "no such table: messages" in crashed["exception"]
    assert crashed["request_id"].startswith("req_")
    assert SECRET not in written.text


@pytest.mark.any_database
async def test_crash_of_activity_is_logged_with_run_and_without_content(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider, written: Written
) -> None:
    provider.script("logged-crash", Says(SECRET), Says(SECRET))
    run = await own_holdfast.run(await own_holdfast.assistant("logged-crash"), SECRET)
    with writing(own_holdfast.resources.database) as connection:
        connection.execute(text("ALTER TABLE turns RENAME TO turns_away"))
    await own_holdfast.start_worker()
    while "no such table: turns" not in written.text:
        await own_holdfast.until(run, "queued", "in_progress")
    with writing(own_holdfast.resources.database) as connection:
        connection.execute(text("ALTER TABLE turns_away RENAME TO turns"))
    await own_holdfast.until(run, "completed")

    crashes = [line for line in map(json.loads, written.text.splitlines()) if "no such table" in str(line)]
    assert {line["run_id"] for line in crashes} == {run.id}
    assert SECRET not in written.text


async def test_log_lines_name_trace_if_tracing_is_on(
    temporal_port: int,
    provider: ScriptedProvider,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider.script("logged-trace", Says("Hi."))
    with running_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        stream = io.StringIO()
        handler = log_handler("json", stream)
        logging.getLogger("infra").setLevel(logging.INFO)
        logging.getLogger("infra").addHandler(handler)
        async with running_holdfast(settings_for(tmp_path, temporal_port, provider)) as holdfast:
            await holdfast.until(await holdfast.run(await holdfast.assistant("logged-trace")))
        logging.getLogger("infra").removeHandler(handler)

    [ended] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert ended["trace_id"] == collector.named("chat logged-trace").trace_id
