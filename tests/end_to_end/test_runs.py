"""Successful runs, as an OpenAI client sees them."""

import json
from itertools import pairwise
from typing import Any

import pytest
from openai.types.beta.threads.runs import FunctionToolCall, ToolCallsStepDetails

from tests.holdfast import RunningHoldfast, function_tool
from tests.provider.replies import Calls, Chunks, Says
from tests.provider.scripted_provider import ScriptedProvider

ROME, OSLO = '{"city": "Rome"}', '{"city": "Oslo"}'


async def test_text_run_completes(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("text-run", Says("Good day to you"))
    assistant = await holdfast.assistant("text-run", instructions="Be kind.")

    run = await holdfast.until(await holdfast.run(assistant, "Hello"))

    assert run.status == "completed"
    assert await holdfast.texts(run) == ["Hello", "Good day to you"]
    assert run.started_at is not None
    assert run.completed_at is not None
    assert run.expires_at is None
    assert run.usage is not None
    assert (run.usage.prompt_tokens, run.usage.completion_tokens, run.usage.total_tokens) == (10, 5, 15)
    [request] = provider.requests("text-run")
    assert request["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
    ]


async def test_parallel_calls_complete_and_are_readable(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("calls", Calls(("weather", ROME), ("weather", OSLO)), Says("Rome is warmer."))
    assistant = await holdfast.assistant("calls", "weather")

    waiting = await holdfast.until(await holdfast.run(assistant))
    queued = await holdfast.submit(waiting, "25", "-3")
    done = await holdfast.until(queued)

    assert waiting.status == "requires_action"
    assert waiting.usage is None
    assert waiting.required_action is not None
    asked = waiting.required_action.submit_tool_outputs.tool_calls
    assert [(call.function.name, call.function.arguments) for call in asked] == [("weather", ROME), ("weather", OSLO)]
    assert (queued.status, queued.required_action) == ("queued", None)
    assert done.status == "completed"
    assert await holdfast.texts(done) == ["Hello", "Rome is warmer."]
    assert done.usage is not None
    assert done.usage.total_tokens == 30
    assistant_said, *outputs = provider.requests("calls")[1]["messages"][-3:]
    ids = [call["id"] for call in assistant_said["tool_calls"]]
    assert ids[0] != ids[1]
    assert [(o["role"], o["tool_call_id"], o["content"]) for o in outputs] == [
        ("tool", ids[0], "25"),
        ("tool", ids[1], "-3"),
    ]


async def test_steps_list_calls_and_messages(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("steps", Calls(("weather", ROME), text="Let me look."), Says("It is sunny."))
    assistant = await holdfast.assistant("steps", "weather")
    steps = holdfast.client.beta.threads.runs.steps

    waiting = await holdfast.until(await holdfast.run(assistant))
    open_steps = (await steps.list(waiting.id, thread_id=waiting.thread_id, order="asc")).data
    done = await holdfast.until(await holdfast.submit(waiting, "sunny"))
    closed_steps = (await steps.list(done.id, thread_id=done.thread_id, order="asc")).data

    assert [(step.type, step.status) for step in open_steps] == [
        ("message_creation", "completed"),
        ("tool_calls", "in_progress"),
    ]
    assert open_steps[1].usage is None
    assert [(step.type, step.status) for step in closed_steps] == [
        ("message_creation", "completed"),
        ("tool_calls", "completed"),
        ("message_creation", "completed"),
    ]
    details = closed_steps[1].step_details
    assert details.type == "tool_calls"
    [call] = details.tool_calls
    assert call.type == "function"
    assert (call.function.name, call.function.arguments, call.function.output) == ("weather", ROME, "sunny")
    assert sum(step.usage.total_tokens for step in closed_steps if step.usage) == (
        done.usage and done.usage.total_tokens
    )
    assert await holdfast.texts(done) == ["Hello", "Let me look.", "It is sunny."]
    assert await steps.retrieve(closed_steps[1].id, thread_id=done.thread_id, run_id=done.id) == closed_steps[1]


@pytest.mark.any_database
async def test_overrides_reach_model(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("overridden", Says("{}"))
    assistant = await holdfast.assistant("other-model", "unused", instructions="Unused.", temperature=0.1)
    thread = await holdfast.client.beta.threads.create(messages=[{"role": "user", "content": "One"}])
    answer: Any = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}

    run = await holdfast.client.beta.threads.runs.create(
        thread.id,
        assistant_id=assistant,
        model="overridden",
        instructions="Base.",
        additional_instructions="More.",
        additional_messages=[{"role": "user", "content": "Two"}],
        tools=[function_tool("used")],
        tool_choice={"type": "function", "function": {"name": "used"}},
        parallel_tool_calls=False,
        temperature=0.5,
        top_p=0.25,
        max_completion_tokens=300,
        response_format=answer,
        metadata={"k": "v"},
    )
    done = await holdfast.until(run)

    assert done.status == "completed"
    assert (done.model, done.instructions, done.metadata) == ("overridden", "Base. More.", {"k": "v"})
    [request] = provider.requests("overridden")
    assert request["messages"] == [
        {"role": "system", "content": "Base. More."},
        {"role": "user", "content": "One\n\nTwo"},
    ]
    assert [tool["function"]["name"] for tool in request["tools"]] == ["used"]
    assert request["tool_choice"] == {"type": "function", "function": {"name": "used"}}
    assert (request["parallel_tool_calls"], request["temperature"], request["top_p"]) == (False, 0.5, 0.25)
    assert request["max_tokens"] == 300
    assert request["response_format"]["json_schema"]["name"] == "answer"


@pytest.mark.any_database
async def test_unset_parameters_are_not_sent(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("defaults", Says("Hi"))

    await holdfast.until(await holdfast.run(await holdfast.assistant("defaults")))

    [request] = provider.requests("defaults")
    unset = {"temperature", "top_p", "max_tokens", "tools", "tool_choice", "parallel_tool_calls", "response_format"}
    assert unset.isdisjoint(request)


@pytest.mark.any_database
async def test_required_tool_choice_applies_to_first_turn_only(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("demanded", Calls(("weather", ROME)), Says("Done."))
    assistant = await holdfast.assistant("demanded", "weather")

    waiting = await holdfast.until(await holdfast.run(assistant, tool_choice="required"))
    await holdfast.until(await holdfast.submit(waiting, "sunny"))

    first, second = provider.requests("demanded")
    assert first["tool_choice"] == "required"
    assert second.get("tool_choice", "auto") == "auto"


@pytest.mark.any_database
async def test_images_reach_model(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("images", Says("A cat."))
    image = {"url": "https://example.com/cat.png", "detail": "low"}
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": image}]

    await holdfast.until(await holdfast.run(await holdfast.assistant("images"), content))

    [request] = provider.requests("images")
    assert request["messages"][-1]["content"] == content


@pytest.mark.any_database
async def test_invalid_arguments_are_passed_on_as_written(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("broken", Calls(("weather", '{"city": "Ro'), ("weather", "")), Says("Sorry."))
    assistant = await holdfast.assistant("broken", "weather")

    waiting = await holdfast.until(await holdfast.run(assistant))
    done = await holdfast.until(await holdfast.submit(waiting, "error: not JSON", "error: no city"))

    assert waiting.required_action is not None
    asked = waiting.required_action.submit_tool_outputs.tool_calls
    assert [call.function.arguments for call in asked] == ['{"city": "Ro', "{}"]
    assert done.status == "completed"
    # Providers parse the arguments that they are sent back; these have to be JSON.
    for call in provider.requests("broken")[1]["messages"][-3]["tool_calls"]:
        json.loads(call["function"]["arguments"])


@pytest.mark.any_database
async def test_run_may_take_many_turns(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    turns = 5
    provider.script("turns", *(Calls(("weather", ROME)) for _ in range(turns)), Says("Enough."))
    run = await holdfast.run(await holdfast.assistant("turns", "weather"))

    for turn in range(turns):
        run = await holdfast.until(await holdfast.submit(await holdfast.until(run), str(turn)))

    assert run.status == "completed"
    assert run.usage is not None
    assert run.usage.total_tokens == 15 * (turns + 1)
    lengths = [len(request["messages"]) for request in provider.requests("turns")]
    assert [later - earlier for earlier, later in pairwise(lengths)] == [2] * turns


@pytest.mark.any_database
@pytest.mark.parametrize("finish", ["length"])
async def test_answer_cut_at_limit_ends_run_incomplete(
    holdfast: RunningHoldfast, provider: ScriptedProvider, finish: str
) -> None:
    provider.script("cut", Says("Once upon a", finish=finish))

    run = await holdfast.until(await holdfast.run(await holdfast.assistant("cut"), max_completion_tokens=256))

    assert run.status == "incomplete"
    assert run.incomplete_details is not None
    assert run.incomplete_details.reason == "max_completion_tokens"
    [message, _] = (await holdfast.client.beta.threads.messages.list(run.thread_id)).data
    assert message.status == "incomplete"
    assert message.incomplete_details is not None
    assert message.incomplete_details.reason == "max_tokens"


@pytest.mark.any_database
async def test_completion_token_limit_applies_to_whole_run(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 256, "total_tokens": 266}
    provider.script("budget", Calls(("weather", ROME), usage=usage))
    assistant = await holdfast.assistant("budget", "weather")

    waiting = await holdfast.until(await holdfast.run(assistant, max_completion_tokens=256))
    run = await holdfast.until(await holdfast.submit(waiting, "sunny"))

    assert run.status == "incomplete"
    assert run.incomplete_details is not None
    assert run.incomplete_details.reason == "max_completion_tokens"
    assert len(provider.requests("budget")) == 1


@pytest.mark.any_database
async def test_prompt_over_budget_is_not_sent(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("long-prompt", Says("Never asked."))
    run = await holdfast.run(await holdfast.assistant("long-prompt"), "word " * 1000, max_prompt_tokens=256)

    ended = await holdfast.until(run)

    assert ended.status == "incomplete"
    assert ended.incomplete_details is not None
    assert ended.incomplete_details.reason == "max_prompt_tokens"
    assert provider.requests("long-prompt") == []


@pytest.mark.any_database
async def test_prompt_token_limit_applies_to_whole_run(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    usage = {"prompt_tokens": 250, "completion_tokens": 5, "total_tokens": 255}
    provider.script("prompt-budget", Calls(("weather", ROME), usage=usage), Says("Never asked."))
    assistant = await holdfast.assistant("prompt-budget", "weather")

    waiting = await holdfast.until(await holdfast.run(assistant, max_prompt_tokens=256))
    run = await holdfast.until(await holdfast.submit(waiting, "sunny"))

    assert run.status == "incomplete"
    assert run.incomplete_details is not None
    assert run.incomplete_details.reason == "max_prompt_tokens"
    assert len(provider.requests("prompt-budget")) == 1


@pytest.mark.any_database
async def test_old_messages_are_dropped_to_meet_prompt_budget(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("shortened", Says("Hi"))
    assistant = await holdfast.assistant("shortened")
    messages = [{"role": "user", "content": f"{number} " + "word " * 100} for number in range(10)]
    thread = await holdfast.client.beta.threads.create(messages=messages)  # type: ignore[arg-type]

    await holdfast.until(
        await holdfast.client.beta.threads.runs.create(thread.id, assistant_id=assistant, max_prompt_tokens=256)
    )

    [request] = provider.requests("shortened")
    [asked] = request["messages"]
    assert [text[0] for text in asked["content"].split("\n\n")] == ["8", "9"]


async def test_last_messages_truncates_thread(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("last", Says("Hi"))
    assistant = await holdfast.assistant("last")
    messages = [{"role": "user", "content": str(number)} for number in range(5)]
    thread = await holdfast.client.beta.threads.create(messages=messages)  # type: ignore[arg-type]

    await holdfast.until(
        await holdfast.client.beta.threads.runs.create(
            thread.id, assistant_id=assistant, truncation_strategy={"type": "last_messages", "last_messages": 2}
        )
    )

    [request] = provider.requests("last")
    assert [message["content"] for message in request["messages"]] == ["3\n\n4"]


@pytest.mark.any_database
async def test_run_on_empty_thread_completes(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("empty", Says("Is anybody there?"))
    assistant = await holdfast.assistant("empty", instructions="Begin.")

    run = await holdfast.until(await holdfast.client.beta.threads.create_and_run(assistant_id=assistant))

    assert run.status == "completed"


async def test_later_run_sees_messages_of_earlier_runs(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("memory", Says("I am Ada."), Says("Ada, as I said."))
    assistant = await holdfast.assistant("memory")
    first = await holdfast.until(await holdfast.run(assistant, "Who are you?"))

    await holdfast.client.beta.threads.messages.create(first.thread_id, role="user", content="Who?")
    await holdfast.until(await holdfast.client.beta.threads.runs.create(first.thread_id, assistant_id=assistant))

    assert [message["content"] for message in provider.requests("memory")[1]["messages"]] == [
        "Who are you?",
        "I am Ada.",
        "Who?",
    ]


async def test_created_at_orders_answer_between_question_and_next_message(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("quick", *[Says("At once.")] * 3)
    assistant = await holdfast.assistant("quick")
    threads = holdfast.client.beta.threads
    thread = await threads.create(messages=[{"role": "user", "content": "Hello"}])
    began = thread.created_at
    for _ in range(3):
        run = await holdfast.until(await threads.runs.create(thread.id, assistant_id=assistant))
        await threads.messages.create(thread.id, role="user", content="And then?")

    listed = (await threads.messages.list(thread.id, order="asc")).data

    # Seven within a second or two: programs that sort by time see the first answer in its place.
    times = [message.created_at for message in listed]
    assert times == sorted(times)
    assert times[0] < times[1]
    assert times[-1] <= (run.completed_at or 0) + 1
    assert all((message.completed_at or 0) >= message.created_at >= began for message in listed)


async def test_lone_surrogate_in_answer_is_replaced(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    said = '{"choices": [{"index": 0, "delta": {"content": "x\\ud83d\\u0000"}, "finish_reason": null}]}'
    over = '{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}'
    provider.script("half-character", Chunks(said, over), Says("Whole."))
    assistant = await holdfast.assistant("half-character")

    run = await holdfast.until(await holdfast.run(assistant))
    again = await holdfast.client.beta.threads.runs.create(run.thread_id, assistant_id=assistant)

    assert (await holdfast.until(again)).status == "completed"
    assert await holdfast.texts(run) == ["Hello", "x\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}", "Whole."]


async def test_lone_surrogate_in_call_name_is_replaced(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("half-named", Calls(("weath\ud83d\0", "{}")), Says("Sorry."))

    run = await holdfast.until(await holdfast.run(await holdfast.assistant("half-named", "weather")))

    [step, _] = (await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc")).data
    assert isinstance(step.step_details, ToolCallsStepDetails)
    [call] = step.step_details.tool_calls
    assert isinstance(call, FunctionToolCall)
    assert call.function.name == "weath\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    assert run.status == "completed"
