"""Traces from the request through Temporal to the model, sent to the collector of the standard variables."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.telemetry import is_tracing_on
from tests.collector import Collector, ReceivedSpan, running_collector
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Calls, Fails, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.replay.replayer import replayer
from tests.resets import closed
from tests.searched_stores import searching

SECRET = "marzipan"
CALLERS_TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLERS_SPAN = "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with running_collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


@asynccontextmanager
async def _tracing_holdfast(folder: Path, port: int, provider: ScriptedProvider) -> AsyncIterator[RunningHoldfast]:
    """Leaving the block sends the remaining spans."""
    async with running_holdfast(settings_for(folder, port, provider)) as holdfast:
        yield holdfast


def _path_to_root(collector: Collector, span: ReceivedSpan) -> list[str]:
    """The names of the spans from `span` up to the request that caused it."""
    by_id = {each.span_id: each for each in collector.spans}
    names = [span.name]
    while span := by_id.get(span.parent_id):  # type: ignore[assignment]
        names.append(span.name)
    return names


async def test_one_trace_spans_request_to_model(
    collector: Collector, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script("traced", Says(f"Have some {SECRET}."))
    async with _tracing_holdfast(tmp_path, temporal_port, provider) as holdfast:
        assistant = await holdfast.assistant("traced", instructions=f"Speak of {SECRET}.", temperature=0.5)
        started = await holdfast.run(assistant, f"What of {SECRET}?", extra_headers=TRACEPARENT)
        run = await holdfast.until(started)

    model_call = collector.named("chat traced")
    assert _path_to_root(collector, model_call) == [
        "chat traced",
        "RunActivity:ModelTurn.generate",
        "StartActivity:ModelTurn.generate",
        "StartWorkflow:RunWorkflow",
        "POST /threads/runs",
    ]
    request = collector.named("POST /threads/runs")
    assert (request.trace_id, request.parent_id) == (CALLERS_TRACE, CALLERS_SPAN)
    assert model_call.trace_id == CALLERS_TRACE
    assert collector.named("RunWorkflow:RunWorkflow").attributes["temporalWorkflowID"] == run.id
    assert not any(SECRET.encode() in body for body in collector.bodies)


async def test_spans_have_conventional_attributes(
    collector: Collector, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script("attributes", Says("Hi."))
    async with _tracing_holdfast(tmp_path, temporal_port, provider) as holdfast:
        assistant = await holdfast.assistant("attributes", temperature=0.5)
        await holdfast.until(await holdfast.run(assistant))

    attributes = dict(collector.named("chat attributes").attributes)
    assert attributes.pop("gen_ai.response.time_to_first_chunk") > 0
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "attributes",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
    }
    request = collector.named("POST /threads/runs")
    assert request.service == "holdfast"
    assert (
        request.attributes.items()
        >= {
            "http.request.method": "POST",
            "http.route": "/threads/runs",
            "http.response.status_code": 200,
            "url.path": "/v1/threads/runs",
            "url.scheme": "http",
        }.items()
    )


async def test_failed_call_names_error_without_content(
    collector: Collector, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script("traced-failure", Fails(401, f"Your {SECRET} is refused."))
    async with _tracing_holdfast(tmp_path, temporal_port, provider) as holdfast:
        await holdfast.until(await holdfast.run(await holdfast.assistant("traced-failure")), "failed")

    failed = collector.named("chat traced-failure")
    assert failed.is_error
    assert failed.attributes["error.type"] == "ProviderRefused"
    assert "ApplicationError" in collector.named("RunActivity:ModelTurn.generate").attributes["error.type"]
    assert not any(SECRET.encode() in body for body in collector.bodies)


async def test_turn_after_submit_stays_in_trace_and_links_to_submit(
    collector: Collector, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script("traced-tools", Calls(("weather", '{"city": "Rome"}')), Says("Sunny."))
    async with _tracing_holdfast(tmp_path, temporal_port, provider) as holdfast:
        run = await holdfast.until(await holdfast.run(await holdfast.assistant("traced-tools", "weather")))
        await holdfast.until(await holdfast.submit(run, SECRET))

    calls = [span for span in collector.spans if span.name == "chat traced-tools"]
    started = collector.named("POST /threads/runs")
    assert [call.trace_id for call in calls] == [started.trace_id] * 2
    signal = collector.named("SignalWorkflow:submit_tool_outputs")
    assert _path_to_root(collector, signal)[-1] == "POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs"
    assert collector.named("HandleSignal:submit_tool_outputs").links == (signal.span_id,)
    assert not any(SECRET.encode() in body for body in collector.bodies)


async def test_server_calls_have_spans_without_content(
    collector: Collector, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    search = ("file_search", f'{{"queries": ["{SECRET}"]}}')
    provider.script("traced-search", Calls(search, ("file_search", SECRET)), Says("Nothing."))
    async with _tracing_holdfast(tmp_path, temporal_port, provider) as holdfast:
        run = await holdfast.until(await holdfast.run(await searching(holdfast, "traced-search")))
        [_, step] = (await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)).data
        assert step.step_details.type == "tool_calls"
        answered_id, failed_id = [call.id for call in step.step_details.tool_calls]

    spans = {
        str(span.attributes["gen_ai.tool.call.id"]): span
        for span in collector.spans
        if span.name == "execute_tool file_search"
    }
    answered, failed = spans[str(answered_id)], spans[str(failed_id)]
    assert answered.attributes["gen_ai.operation.name"] == "execute_tool"
    assert answered.attributes["gen_ai.tool.name"] == "file_search"
    assert (answered.is_error, failed.is_error, failed.attributes["error.type"]) == (False, True, "ToolFailed")
    assert _path_to_root(collector, answered)[1:3] == [
        "RunActivity:ToolCalls.execute",
        "StartActivity:ToolCalls.execute",
    ]
    assert not any(SECRET.encode() in body for body in collector.bodies)


async def test_traced_run_continues_without_tracing(
    collector: Collector, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script("traced-history", Calls(("weather", "{}")), Says("Sunny."))
    async with _tracing_holdfast(tmp_path, temporal_port, provider) as holdfast:
        run = await holdfast.until(await holdfast.run(await holdfast.assistant("traced-history", "weather")))
        await holdfast.until(await holdfast.submit(run, "sunny"))
        workflow = holdfast.resources.temporal.get_workflow_handle(run.id)
        await closed(workflow)
        history = await workflow.fetch_history()

    assert "_tracer-data" in history.to_json()
    await replayer().replay_workflow(history)


async def test_unknown_path_gets_no_span_name_of_its_own(
    collector: Collector, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    async with _tracing_holdfast(tmp_path, temporal_port, provider) as holdfast:
        refused = await holdfast.client._client.request("PROPFIND", f"{holdfast.url}/coffee")

    assert refused.status_code == 404
    assert collector.named("_OTHER").attributes["http.response.status_code"] == 404


@pytest.mark.parametrize(
    ("environment", "is_on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_environment_variable_enables_tracing(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], is_on: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert is_tracing_on() is is_on


async def test_service_name_of_environment_takes_precedence(
    collector: Collector,
    temporal_port: int,
    provider: ScriptedProvider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "assistants")
    async with _tracing_holdfast(tmp_path, temporal_port, provider) as holdfast:
        await holdfast.client.models.list()

    assert collector.named("GET /models").service == "assistants"


@pytest.mark.any_database
async def test_tracing_is_off_without_collector(holdfast: RunningHoldfast) -> None:
    assert holdfast.resources.tracing is None


@pytest.mark.slow
def test_sdk_is_not_loaded_without_collector() -> None:
    program = "import sys, cli.up; sys.exit('opentelemetry.sdk' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False).returncode == 0
