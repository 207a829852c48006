"""`/chat/completions` with the official SDK: the body reaches the model, its answer the client, streamed or whole."""

import asyncio
from typing import Any

import httpx
import pytest
from openai import APIError, APIStatusError
from openai.types.chat import ChatCompletionChunk

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.holdfast import RunningHoldfast, function_tool
from tests.provider.replies import BreaksOff, Calls, Fails, Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

ROME = '{"city": "Rome"}'
HELLO: Any = [{"role": "user", "content": "Hello"}]
TOOLS: Any = [function_tool("get_weather")]


async def test_answer_is_a_completion(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("chat-text", Says("It is sunny."))

    answer = await holdfast.client.chat.completions.create(model="chat-text", messages=HELLO)

    [choice] = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "It is sunny.", "stop")
    assert (answer.object, answer.model) == ("chat.completion", "chat-text")
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


async def test_streamed_chunks_add_up_to_the_answer(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("chat-stream", Says("It is sunny today."))

    stream = await holdfast.client.chat.completions.create(
        model="chat-stream", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    texts = [_delta(chunk).content or "" for chunk in chunks[:-1]]
    assert "".join(texts) == "It is sunny today."
    assert len([text for text in texts if text]) > 1
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1


async def test_functions_are_called_and_answered(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    calls = Calls(("get_weather", ROME), ("get_weather", '{"city": "Oslo"}'))
    provider.script("chat-tools", calls, Says("Sunny in Rome, snow in Oslo."))
    create = holdfast.client.chat.completions.create

    asked = await create(model="chat-tools", messages=HELLO, tools=TOOLS, tool_choice="required")
    made: Any = asked.choices[0].message
    outputs: Any = [{"role": "tool", "tool_call_id": call.id, "content": "22 C"} for call in made.tool_calls]
    told = await create(model="chat-tools", messages=[*HELLO, made.to_dict(), *outputs], tools=TOOLS)

    assert [call.function.arguments for call in made.tool_calls] == [ROME, '{"city": "Oslo"}']
    assert (asked.choices[0].finish_reason, made.content) == ("tool_calls", None)
    assert told.choices[0].message.content == "Sunny in Rome, snow in Oslo."
    first, second = provider.requests("chat-tools")
    assert first["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in first["tools"]] == ["get_weather"]
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "tool", "tool"]
    # Ids are made anew for the provider.
    answered = [message["tool_call_id"] for message in second["messages"][2:]]
    assert answered == [call["id"] for call in second["messages"][1]["tool_calls"]]


async def test_streamed_calls_add_up(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script(
        "chat-stream-tools", Calls(("get_weather", ROME), ("get_weather", '{"city": "Oslo"}'), text="Let me look.")
    )

    tools: Any = [{**tool, "function": {**tool["function"], "strict": True}} for tool in TOOLS]
    async with holdfast.client.chat.completions.stream(
        model="chat-stream-tools", messages=HELLO, tools=tools
    ) as stream:
        answer = (await stream.get_final_completion()).choices[0]

    called: Any = answer.message.tool_calls
    made = [(call.function.name, call.function.arguments) for call in called]
    assert made == [("get_weather", ROME), ("get_weather", '{"city": "Oslo"}')]
    assert len({call.id for call in called}) == 2
    assert (answer.message.content, answer.finish_reason) == ("Let me look.", "tool_calls")


async def test_whole_body_reaches_the_model(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("chat-body", Says("{}"))
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
    schema: Any = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    messages: Any = [
        {"role": "system", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Sure?"},
    ]

    await holdfast.client.chat.completions.create(
        model="chat-body",
        messages=messages,
        temperature=0.5,
        top_p=0.25,
        max_completion_tokens=300,
        response_format=schema,
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        parallel_tool_calls=False,
        n=1,
        presence_penalty=0,
        frequency_penalty=0,
    )

    [request] = provider.requests("chat-body")
    assert request["messages"] == [{"role": "system", "content": "Be brief."}, *messages[1:]]
    assert (request["temperature"], request["top_p"]) == (0.5, 0.25)
    assert "stop" not in request
    assert 300 in (request.get("max_tokens"), request.get("max_completion_tokens"))
    assert request["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    assert request["parallel_tool_calls"] is False
    assert request["response_format"]["json_schema"]["name"] == "answer"


async def test_scripted_model_needs_no_provider(holdfast: RunningHoldfast) -> None:
    answer = await holdfast.client.chat.completions.create(model=SCRIPTED_MODEL, messages=HELLO)

    assert answer.choices[0].message.content


@pytest.mark.parametrize(
    ("reply", "status", "code", "may_retry"),
    [
        (Fails(429, headers={"retry-after": "7"}), 429, "rate_limit_exceeded", None),
        (Fails(500), 503, "server_error", None),
        (Fails(401), 502, "server_error", "false"),
        (Fails(400), 400, "invalid_prompt", "false"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_failure_of_the_provider_is_an_error(
    holdfast: RunningHoldfast,
    provider: ScriptedProvider,
    reply: Fails,
    status: int,
    code: str,
    may_retry: str | None,
    stream: bool,
) -> None:
    model = f"chat-fails-{status}-{stream}"
    provider.script(model, reply)

    with pytest.raises(APIStatusError) as failed:
        await holdfast.client.chat.completions.create(model=model, messages=HELLO, stream=stream)

    assert (failed.value.status_code, failed.value.code) == (status, code)
    assert failed.value.response.headers.get("x-should-retry") == may_retry
    assert failed.value.response.headers.get("retry-after") == ("7" if status == 429 else None)


async def test_stream_that_breaks_off_ends_with_an_error(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("chat-broken", BreaksOff("It is"))

    stream = await holdfast.client.chat.completions.create(model="chat-broken", messages=HELLO, stream=True)
    with pytest.raises(APIError, match="chat-broken"):
        async for _ in stream:
            pass


@pytest.mark.parametrize("stream", [False, True])
async def test_call_ends_with_its_client(holdfast: RunningHoldfast, provider: ScriptedProvider, stream: bool) -> None:
    model = f"chat-hangs-{stream}"
    provider.script(model, Hangs("It is"))
    asking = asyncio.create_task(_read_all(holdfast, model, stream))
    await provider.requested(model)

    asking.cancel()

    await provider.disconnected(model)


@pytest.mark.parametrize("content", ["", None])
async def test_refusal_stays_in_the_prompt(
    holdfast: RunningHoldfast, provider: ScriptedProvider, content: str | None
) -> None:
    model = f"chat-refusal-{content}"
    provider.script(model, Says("Sorry."))
    refused: Any = {"role": "assistant", "content": content, "refusal": "I cannot do that."}

    await holdfast.client.chat.completions.create(model=model, messages=[*HELLO, refused, *HELLO])

    [request] = provider.requests(model)
    assert request["messages"][1] == {"role": "assistant", "content": "I cannot do that."}


async def test_client_that_hangs_up_leaves_no_trace_in_the_log(
    holdfast: RunningHoldfast, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.script("chat-hang-up", Hangs("It is"))
    stream = await holdfast.client.chat.completions.create(model="chat-hang-up", messages=HELLO, stream=True)
    async for _ in stream:
        break

    await stream.close()

    await provider.disconnected("chat-hang-up")
    assert not [record for record in caplog.records if record.exc_info]


async def _read_all(holdfast: RunningHoldfast, model: str, stream: bool) -> None:
    answer: Any = await holdfast.client.chat.completions.create(model=model, messages=HELLO, stream=stream)
    async for _ in answer:
        pass


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"messages": HELLO}, 400, "model"),
        ({"model": "holdfast/absent://", "messages": HELLO}, 404, "model"),
        ({"model": "m", "messages": []}, 400, "messages"),
        ({"model": "m", "messages": [{"role": "robot", "content": "Hi"}]}, 400, "messages[0].role"),
        ({"model": "m", "messages": [{"role": "user", "content": 5}]}, 400, "messages[0].content"),
        ({"model": "m", "messages": HELLO, "n": 0}, 400, "n"),
        ({"model": "m", "messages": HELLO, "seed": "7"}, 400, "seed"),
        ({"model": "m", "messages": HELLO, "colour": "blue"}, 400, "colour"),
        ({"model": "m", "messages": HELLO, "stream_options": {"include_usage": True}}, 400, "stream_options"),
        ({"model": "m", "messages": HELLO, "max_tokens": 5, "max_completion_tokens": 5}, 400, "max_tokens"),
        ({"model": "m", "messages": HELLO, "tool_choice": "required"}, 400, "tool_choice"),
        ({"model": "m", "messages": HELLO, "functions": [{"name": "f"}], "tool_choice": "none"}, 400, "tool_choice"),
        ({"model": "m", "messages": [{"role": "tool", "tool_call_id": "x", "content": "a"}]}, 400, "messages.[0].role"),
        (
            {
                "model": "m",
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}],
                    },
                    *HELLO,
                ],
            },
            400,
            "messages",
        ),
    ],
)
async def test_unusable_request_is_rejected(
    http: httpx.AsyncClient, body: dict[str, Any], status: int, param: str
) -> None:
    answer = await http.post("/v1/chat/completions", json=body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


def _delta(chunk: ChatCompletionChunk) -> Any:
    return chunk.choices[0].delta
