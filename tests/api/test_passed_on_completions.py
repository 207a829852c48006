"""`/chat/completions` with fields that the `LanguageModel` port lacks: they and their answers are passed on."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from openai import APIError, APIStatusError, BadRequestError

from api.routes import chat_completions
from infra.language_model.chat_completions import answer_fields, event_stream, passed_on_answer
from infra.language_model.scripted import SCRIPTED_MODEL
from tests.holdfast import RunningHoldfast
from tests.provider.replies import BreaksOff, Chunks, Document, Fails, Hangs, Reply, Says, WholeError
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

HELLO: Any = [{"role": "user", "content": "Hello"}]
LOGPROBS: Any = {
    "content": [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": []}],
    "refusal": None,
}
USAGE: Any = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 1, "accepted_prediction_tokens": 1},
}
COMPLETION: Any = {
    "id": "chatcmpl-of-the-provider",
    "object": "chat.completion",
    "created": 5,
    "model": "snapshot-of-the-provider",
    "system_fingerprint": "fp_44709d6fcb",
    "service_tier": "default",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "logprobs": LOGPROBS, "finish_reason": "stop"},
        {"index": 1, "message": {"role": "assistant", "content": "Hey"}, "logprobs": None, "finish_reason": "length"},
    ],
    "usage": USAGE,
}


def chunk(index: int, delta: dict[str, Any], reason: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": reason, **fields}
    return {"choices": [choice], "system_fingerprint": "fp_44709d6fcb", "usage": None}


STREAMED = (
    chunk(0, {"role": "assistant", "content": "Hi"}, logprobs=LOGPROBS),
    chunk(1, {"role": "assistant", "content": "Hey"}),
    chunk(0, {}, "stop"),
    chunk(1, {}, "length"),
    {"choices": [], "usage": USAGE},
)


async def test_all_choices_and_words_of_the_provider_are_passed_on(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("passed-whole", Document(COMPLETION))

    answer = await holdfast.client.chat.completions.create(
        model="passed-whole", messages=HELLO, n=2, logprobs=True, seed=7, user="ada"
    )

    assert answer.to_dict() == {**COMPLETION, "model": "passed-whole"}
    [request] = provider.requests("passed-whole")
    assert request == {
        **{"model": "passed-whole", "messages": HELLO, "stream": False},
        **{"n": 2, "logprobs": True, "seed": 7, "user": "ada"},
    }


@pytest.mark.parametrize("with_usage", [False, True])
async def test_all_chunks_of_the_provider_are_passed_on(
    holdfast: RunningHoldfast, provider: ScriptedProvider, with_usage: bool
) -> None:
    model = f"passed-stream-{with_usage}"
    provider.script(model, Chunks(*STREAMED))

    options: Any = {"stream_options": {"include_usage": True}} if with_usage else {}
    stream = await holdfast.client.chat.completions.create(model=model, messages=HELLO, n=2, stream=True, **options)
    chunks: list[dict[str, Any]] = [each.to_dict() async for each in stream]

    choices = [choice for each in chunks for choice in each["choices"]]
    assert choices == [choice for each in STREAMED for choice in each["choices"]]
    assert {each["model"] for each in chunks} == {model}
    assert [each["usage"] for each in chunks if each.get("usage")] == [USAGE] * with_usage
    # It is counted in any case.
    assert provider.requests(model)[0]["stream_options"] == {"include_usage": True}


async def test_whole_body_of_the_sdk_is_passed_on(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("passed-body", Document(COMPLETION))
    grammar = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "[a-z]+"}}
    body: Any = {
        "messages": [
            {"role": "developer", "content": "Be brief.", "name": "boss"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Listen", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                ],
            },
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "audio": {"id": "audio_1"}},
            {"role": "user", "content": "And now?"},
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
            {"role": "function", "name": "look", "content": "sunny"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "word", "input": "a"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "b"},
        ],
        "tools": [{"type": "custom", "custom": {"name": "word", "format": grammar}}],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "custom"}]}},
        "functions": [{"name": "look", "parameters": {"type": "object"}}],
        "function_call": {"name": "look"},
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
        "audio": {"voice": "ash", "format": "wav"},
        "modalities": ["text", "audio"],
        "prediction": {"type": "content", "content": "Hi"},
        "web_search_options": {"search_context_size": "low"},
        "logit_bias": {"50256": -100},
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
        "temperature": 0.5,
        "max_completion_tokens": 30,
        "stop": ["a", "b"],
        "store": True,
        "metadata": {"run": "1"},
        "service_tier": "flex",
        "safety_identifier": "ada",
        "prompt_cache_key": "k",
        "top_logprobs": 2,
        "logprobs": True,
        "verbosity": "low",
    }

    await holdfast.client.chat.completions.create(model="passed-body", **body)

    [request] = provider.requests("passed-body")
    assert request == {**body, "model": "passed-body", "stream": False}


@pytest.mark.parametrize(
    "field",
    [
        {"n": 2},
        {"seed": 7},
        {"stop": "END"},
        {"messages": [{"role": "user", "name": "ada", "content": "Hello"}]},
        {"tools": [{"type": "custom", "custom": {"name": "word"}}]},
    ],
)
async def test_built_in_model_refuses_the_field_by_its_name(holdfast: RunningHoldfast, field: dict[str, Any]) -> None:
    body: Any = {"messages": HELLO, **field}

    with pytest.raises(BadRequestError, match=rf"'{next(iter(field))}.*' is not supported with .*{SCRIPTED_MODEL}"):
        await holdfast.client.chat.completions.create(model=SCRIPTED_MODEL, **body)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Fails(400, "n is too large."), 400),
        (Fails(429), 429),
        (WholeError("overloaded"), 503),
        (Document({**COMPLETION, "choices": []}), 503),
        (Document({**COMPLETION, "choices": [{**COMPLETION["choices"][0], "finish_reason": "abort"}]}), 503),
        (Document({**COMPLETION, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}), 503),
        (Document({**COMPLETION, "choices": "none"}), 503),
    ],
    ids=["refused", "busy", "error", "no choice", "aborted", "chunk", "no list"],
)
async def test_failure_of_the_provider_is_an_error(
    holdfast: RunningHoldfast, provider: ScriptedProvider, reply: Reply, status: int, request: pytest.FixtureRequest
) -> None:
    model = f"passed-fails-{request.node.callspec.id}"
    provider.script(model, reply)

    with pytest.raises(APIStatusError) as failed:
        await holdfast.client.chat.completions.create(model=model, messages=HELLO, n=2)

    assert failed.value.status_code == status


@pytest.mark.parametrize(
    "reply",
    [BreaksOff("Hi"), Chunks(*STREAMED[:2]), Chunks(*STREAMED[:3])],
    ids=["connection", "no reason", "one reason"],
)
async def test_stream_that_breaks_off_ends_with_an_error(
    holdfast: RunningHoldfast, provider: ScriptedProvider, reply: Reply, request: pytest.FixtureRequest
) -> None:
    model = f"passed-broken-{request.node.callspec.id}"
    provider.script(model, reply)

    stream = await holdfast.client.chat.completions.create(model=model, messages=HELLO, n=2, stream=True)
    with pytest.raises(APIError, match=model):
        async for _ in stream:
            pass


async def test_whole_answer_to_a_stream_is_an_error(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("passed-unstreamed", Document(COMPLETION))

    with pytest.raises(APIStatusError, match="is not streamed, unlike its request") as failed:
        await holdfast.client.chat.completions.create(model="passed-unstreamed", messages=HELLO, n=2, stream=True)

    assert failed.value.status_code == 503


async def test_provider_may_have_fewer_choices(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("passed-fewer", Says("Only one."))

    stream = await holdfast.client.chat.completions.create(model="passed-fewer", messages=HELLO, n=2, stream=True)

    assert "".join([each.choices[0].delta.content or "" async for each in stream]) == "Only one."


async def test_call_ends_with_its_client(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("passed-hangs", Hangs("It is"))
    stream = await holdfast.client.chat.completions.create(model="passed-hangs", messages=HELLO, n=2, stream=True)
    async for _ in stream:
        break

    await stream.close()

    await provider.disconnected("passed-hangs")


async def test_answer_that_is_too_large_is_paid_once(
    holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "MAX_DOCUMENT_BYTES", 500)
    provider.script("passed-huge", Document(COMPLETION))

    with pytest.raises(APIStatusError, match="'passed-huge' is too large") as failed:
        await holdfast.client.with_options(max_retries=2).chat.completions.create(
            model="passed-huge", messages=HELLO, n=2
        )

    assert (failed.value.status_code, len(provider.requests("passed-huge"))) == (502, 1)


async def test_large_answers_are_read_and_written_off_the_event_loop(
    holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_loop: list[bool] = []

    def noting(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def noted(given: Any) -> Any:
            on_loop.append(is_on_loop())
            return work(given)

        return noted

    monkeypatch.setattr(passed_on_answer, "parsed", noting(answer_fields.parsed))
    monkeypatch.setattr(chat_completions, "_json", noting(chat_completions._json))
    large = {**COMPLETION["choices"][0], "message": {"role": "assistant", "content": "Grüße \ud83d" * 20_000}}
    provider.script("passed-large", Document(COMPLETION), Document({**COMPLETION, "choices": [large]}))

    for _ in range(2):
        answer = await holdfast.client.chat.completions.create(model="passed-large", messages=HELLO, n=2)

    assert on_loop == [True, True, False, False]
    assert answer.choices[0].message.content == "Grüße \N{REPLACEMENT CHARACTER}" * 20_000


def is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def test_tokens_are_counted(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("passed-counted", Document(COMPLETION), Chunks(*STREAMED))
    before = _tokens(holdfast)

    await holdfast.client.chat.completions.create(model="passed-counted", messages=HELLO, n=2)
    async for _ in await holdfast.client.chat.completions.create(
        model="passed-counted", messages=HELLO, n=2, stream=True
    ):
        pass

    assert _tokens(holdfast) - before == 2 * (9 + 4)


async def test_numbers_that_json_lacks_are_null(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    choice = {**COMPLETION["choices"][0], "logprobs": {"content": [{"logprob": float("-inf")}]}}
    provider.script("passed-infinity", Document({**COMPLETION, "choices": [choice]}))

    answer = await holdfast.client.chat.completions.with_raw_response.create(
        model="passed-infinity", messages=HELLO, logprobs=True
    )

    assert json.loads(answer.text)["choices"][0]["logprobs"] == {"content": [{"logprob": None}]}


@pytest.mark.parametrize("fields", [{"logprobs": True}, {}], ids=["passed-on", "read"])
async def test_halves_of_surrogate_pairs_are_replaced(
    holdfast: RunningHoldfast, provider: ScriptedProvider, fields: Any, request: pytest.FixtureRequest
) -> None:
    model = f"surrogate-{request.node.callspec.id}"
    halves = {"role": "assistant", "content": "a \ud83d b \ud83d\ude00"}
    logprobs = {"content": [{"token": "\ude00", "logprob": -0.25}]}
    choice = {**COMPLETION["choices"][0], "message": halves, "logprobs": logprobs}
    provider.script(model, Document({**COMPLETION, "choices": [choice]}))

    answer: Any = await holdfast.client.chat.completions.create(model=model, messages=HELLO, **fields)

    assert answer.choices[0].message.content == "a \N{REPLACEMENT CHARACTER} b 😀"
    if fields:
        assert answer.choices[0].logprobs.content[0].token == "\N{REPLACEMENT CHARACTER}"


def _tokens(holdfast: RunningHoldfast) -> float:
    families = holdfast.resources.metrics.tokens.collect()
    return sum(sample.value for family in families for sample in family.samples if sample.name.endswith("_total"))
