"""The size of a run's history in Temporal: independent of the content, and below Temporal's limit."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError
from openai.types.beta.threads import Run
from temporalio.service import RPCError

from models.turns import SUBMIT_SIGNAL
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.resets import closed
from workflows import activity_options

pytestmark = pytest.mark.any_database

CALL = Calls(("weather", "{}"))
ONE_MEGABYTE = 1_000_000


async def _history(holdfast: RunningHoldfast, run: Run) -> tuple[int, int]:
    """The bytes and events that Temporal counts, once the workflow is closed."""
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)
    await closed(handle)
    info = (await handle.describe()).raw_description.workflow_execution_info
    return info.history_size_bytes, info.history_length


@pytest.mark.slow
async def test_hundred_large_outputs_on_long_thread_leave_small_history(
    provider: ScriptedProvider, temporal_port: int, tmp_path: Path
) -> None:
    # Four calls a turn: to send the growing prompt a hundred times would take half a minute.
    turns, at_once, output = 25, 4, "x" * 100_000
    provider.script("large", *[Calls(*[("weather", "{}")] * at_once)] * turns, Says("Done."))
    settings = settings_for(tmp_path, temporal_port, provider)
    # A context window of this size: otherwise most of the test's time would go into counting tokens.
    endless: Any = {"model_name": "large", "litellm_params": provider.litellm_params("openai/large")}
    provider.models_file(tmp_path, endless | {"model_info": {"max_input_tokens": 1_000_000_000}})
    async with running_holdfast(settings) as holdfast:
        thread = {"messages": [{"role": "user", "content": f"Message {number}."} for number in range(1000)]}
        run = await holdfast.run(await holdfast.assistant("large", "weather"), thread=thread)
        for _ in range(turns):
            run = await holdfast.submit(await holdfast.until(run, "requires_action"), *[output] * at_once)
        done = await holdfast.until(run)
        size, events = await _history(holdfast, run)

    assert done.status == "completed"
    last = provider.requests("large")[-1]["messages"]
    # Messages in a row are one for such a provider.
    [said] = [message["content"] for message in last if message["role"] == "user"]
    assert said.count("Message ") == 1000
    assert [message["content"] for message in last if message["role"] == "tool"] == [output] * 100
    # Also if each of the hundred calls had a turn of its own.
    assert size * at_once < ONE_MEGABYTE
    assert events * at_once < activity_options.MAX_HISTORY_EVENTS / 10


@pytest.mark.parametrize(("limit", "value"), [("MAX_HISTORY_EVENTS", 40), ("MAX_HISTORY_BYTES", 5_000)])
async def test_run_with_too_long_history_ends_incomplete(
    holdfast: RunningHoldfast,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: int,
) -> None:
    monkeypatch.setattr(activity_options, limit, value)
    model = limit.lower()
    provider.script(model, *[CALL] * 20)
    run = await holdfast.run(await holdfast.assistant(model, "weather"))

    while (run := await holdfast.until(run)).status == "requires_action":
        # The limit may be reached while the run waits: then it has just ended.
        with suppress(BadRequestError):
            run = await holdfast.submit(run, "sunny")
    size, events = await _history(holdfast, run)

    assert run.status == "incomplete"
    assert run.incomplete_details is not None
    assert run.incomplete_details.reason == "max_prompt_tokens"
    assert len(provider.requests(model)) >= 2
    assert {"MAX_HISTORY_EVENTS": events, "MAX_HISTORY_BYTES": size}[limit] < 2 * value
    provider.script(f"{model}-next", Says("The thread is free."))
    following = await holdfast.client.beta.threads.runs.create(
        run.thread_id, assistant_id=await holdfast.assistant(f"{model}-next")
    )
    assert (await holdfast.until(following)).status == "completed"


async def test_invalid_signals_end_waiting_run_incomplete_before_temporals_limit(
    holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_options, "MAX_HISTORY_EVENTS", 40)
    provider.script("signalled", CALL)
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("signalled", "weather")))
    handle = holdfast.resources.temporal.get_workflow_handle(run.id)

    # The last ones may find the workflow closed.
    with suppress(RPCError):
        for _ in range(40):
            await handle.signal(SUBMIT_SIGNAL, -1)

    assert (await holdfast.until(run, "incomplete")).required_action is None
    steps = await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)
    assert [step.status for step in steps.data] == ["cancelled"]
    assert len(provider.requests("signalled")) == 1
