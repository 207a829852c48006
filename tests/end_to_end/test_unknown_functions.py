"""Calls of functions that the run does not have: the model is told, and the client is not asked."""

import json

import pytest
from openai.types.beta.threads.runs import FunctionToolCall, ToolCallsStepDetails

from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

ROME = '{"city": "Rome"}'


@pytest.mark.parametrize("name", ["functions.rain", "get the weather", "multi_tool_use.parallel"])
async def test_unknown_function_is_answered_to_the_model(
    holdfast: RunningHoldfast, provider: ScriptedProvider, name: str
) -> None:
    model = f"unknown-{len(name)}"
    provider.script(model, Calls((name, "{}")), Says("Sorry."))

    run = await holdfast.until(await holdfast.run(await holdfast.assistant(model, "weather")))

    said = f"There is no function '{name}'. The functions are: weather."
    assert run.status == "completed"
    [step, _] = (await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc")).data
    assert isinstance(step.step_details, ToolCallsStepDetails)
    [call] = step.step_details.tool_calls
    assert isinstance(call, FunctionToolCall)
    assert (step.status, call.function.name, call.function.output) == ("completed", name, said)
    [asked, answer] = provider.requests(model)[1]["messages"][1:]
    assert answer["content"] == said
    assert asked["tool_calls"][0]["function"]["name"] == name.replace(".", "_").replace(" ", "_")


async def test_only_known_functions_are_required(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    uses = [{"recipient_name": f"functions.{name}", "parameters": {"city": "Rome"}} for name in ("weather", "rain")]
    provider.script(
        "unknown-mixed", Calls(("multi_tool_use.parallel", json.dumps({"tool_uses": uses}))), Says("It is sunny.")
    )

    waiting = await holdfast.until(await holdfast.run(await holdfast.assistant("unknown-mixed", "weather")))

    assert waiting.required_action is not None
    [call] = waiting.required_action.submit_tool_outputs.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", ROME)
    await holdfast.submit(waiting, "Sunny.")
    assert (await holdfast.until(waiting, "completed")).status == "completed"
    outputs = [message for message in provider.requests("unknown-mixed")[1]["messages"] if message["role"] == "tool"]
    assert [output["content"][:8] for output in outputs] == ["Sunny.", "There is"]


async def test_run_without_functions_never_requires_action(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("unknown-none", Calls(("weather", ROME)), Says("Sorry."))

    run = await holdfast.until(await holdfast.run(await holdfast.assistant("unknown-none")))

    assert run.status == "completed"
    request = provider.requests("unknown-none")[1]
    assert "tools" not in request
    assert [message["role"] for message in request["messages"]] == ["user", "assistant", "user"]
    assert "There are no functions" in request["messages"][2]["content"]
