"""`/chat/completions` with the official SDK and models behind litellm: several choices, or a refusal by name."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import APIStatusError, BadRequestError

from api import chat_files
from api.authentication import DEFAULT_PROJECT
from models.chat_completions import CreateChatCompletionRequest
from models.stored_objects import KeyPrefix, object_key
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Hangs
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import ClaudeSays, GeminiCandidates, GeminiSays, gemini_candidate

# litellm is loaded, as by tests/infra/language_model.
pytestmark = [pytest.mark.any_database, pytest.mark.xdist_group("litellm")]

GEMINI, CLAUDE, TYPIST = "gemini-of-several-choices", "claude-of-one-choice", "gemini-of-texts"
HELLO: Any = [{"role": "user", "content": "Hello"}]
TOKENS: Any = {"chosenCandidates": [{"token": "Hi", "logProbability": -0.25}]}
BOTH = GeminiCandidates((gemini_candidate("Hi", logprobsResult=TOKENS), gemini_candidate("Hey", "MAX_TOKENS", index=1)))


@pytest.fixture(scope="module")
async def by_litellm(
    temporal_port: int, provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningHoldfast]:
    folder: Path = tmp_path_factory.mktemp("by-litellm")
    settings = settings_for(folder, temporal_port, provider)
    at_root = {"api_base": provider.root, "api_key": "k"}
    entries: list[dict[str, Any]] = [
        {"model_name": f"old-{name}", "litellm_params": {"model": f"{prefix}/{name}", **at_root}}
        for prefix, name in (("gemini", GEMINI), ("anthropic", CLAUDE), ("gemini", TYPIST))
    ]
    entries[2] |= {"model_info": {"supports_function_calling": False}}
    provider.models_file(folder, *entries, litellm_settings={"drop_params": True})
    async with running_holdfast(settings, with_worker=False) as running:
        # Not in the time of the first request.
        await running.resources.language_model.prepare()
        yield running


async def test_choices_come_back_whole_and_streamed_and_all_are_counted(
    by_litellm: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script(GEMINI, BOTH, BOTH)
    create, before = by_litellm.client.chat.completions.create, _output_tokens(by_litellm)

    whole = await create(model=f"old-{GEMINI}", messages=HELLO, n=2, logprobs=True)
    stream = await create(
        model=f"old-{GEMINI}", messages=HELLO, n=2, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = [chunk async for chunk in stream]

    said = [(choice.index, choice.message.content, choice.finish_reason) for choice in whole.choices]
    assert said == [(0, "Hi", "stop"), (1, "Hey", "length")]
    logprobs: Any = whole.choices[0].logprobs
    assert [(token.token, token.logprob) for token in logprobs.content] == [("Hi", -0.25)]
    assert (whole.object, whole.model) == ("chat.completion", f"old-{GEMINI}")
    choices = [chunk.choices[0] for chunk in chunks]
    assert [(each.index, each.delta.content, each.finish_reason) for each in choices] == [
        (0, "Hi", None),
        (0, None, "stop"),
        (1, "Hey", None),
        (1, None, "length"),
    ]
    assert {(chunk.id, chunk.object, chunk.model) for chunk in [*chunks, last]} == {
        (last.id, "chat.completion.chunk", f"old-{GEMINI}")
    }
    for usage in (whole.usage, last.usage):
        assert usage
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 5, 15)
    assert _output_tokens(by_litellm) - before == 2 * 5


@pytest.mark.parametrize("stream", [False, True])
async def test_field_that_the_provider_does_not_take_is_a_400_although_parameters_are_dropped(
    by_litellm: RunningHoldfast, provider: ScriptedProvider, stream: bool
) -> None:
    said = f"Unsupported parameter: 'n' is not supported with the model 'old-{CLAUDE}'"

    with pytest.raises(BadRequestError, match=said) as refused:
        await by_litellm.client.chat.completions.create(model=f"old-{CLAUDE}", messages=HELLO, n=2, stream=stream)

    assert (refused.value.type, refused.value.code) == ("invalid_request_error", "invalid_prompt")
    assert not provider.requests(CLAUDE)


WEATHER: Any = {"name": "weather", "description": "Of a city", "parameters": {"type": "object", "properties": {}}}
ASKED_WEATHER: Any = {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}}
OLDER: Any = [*HELLO, ASKED_WEATHER, {"role": "function", "name": "weather", "content": "sunny"}]


async def test_functions_of_the_form_before_tools_are_offered_called_and_answered(
    by_litellm: RunningHoldfast, provider: ScriptedProvider
) -> None:
    calling = ClaudeSays(({"type": "tool_use", "id": "t", "name": "weather", "input": {"city": "Oslo"}},), "tool_use")
    provider.script(CLAUDE, calling, calling)
    create: Any = by_litellm.client.chat.completions.create
    asked = {"model": f"old-{CLAUDE}", "messages": OLDER, "functions": [WEATHER], "function_call": {"name": "weather"}}

    whole = await create(**asked)
    chunks = [chunk.choices[0] async for chunk in await create(**asked, stream=True)]

    [choice] = whole.choices
    call = choice.message.function_call
    assert (choice.finish_reason, call.name) == ("function_call", "weather")
    assert json.loads(call.arguments) == {"city": "Oslo"}
    streamed = [each.delta.function_call for each in chunks if each.delta.function_call]
    assert (streamed[0].name, "".join(each.arguments for each in streamed)) == (call.name, call.arguments)
    assert chunks[-1].finish_reason == "function_call"
    for sent in provider.requests(CLAUDE):
        [tool] = sent["tools"]
        assert (tool["name"], tool["description"]) == ("weather", "Of a city")
        assert sent["tool_choice"] == {"type": "tool", "name": "weather"}
        _, use, result = (message["content"][0] for message in sent["messages"])
        assert (use["type"], use["name"], use["input"]) == ("tool_use", "weather", {})
        assert (result["type"], result["tool_use_id"], result["content"]) == ("tool_result", use["id"], "sunny")
    provider.forget({CLAUDE})


async def test_functions_of_the_form_before_tools_are_called_in_text(
    by_litellm: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script(TYPIST, GeminiSays(({"text": "Thought: Look.\nAction: weather\nAction Input: {}"},)))

    answer = await by_litellm.client.chat.completions.create(model=f"old-{TYPIST}", messages=OLDER, functions=[WEATHER])

    called: Any = answer.choices[0].message.function_call
    assert (answer.choices[0].finish_reason, called.name) == ("function_call", "weather")
    [request] = provider.requests(TYPIST)
    assert "Observation: sunny" in json.dumps(request["contents"])


async def test_content_of_a_file_is_sent_in_place_of_its_id(
    by_litellm: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.script(CLAUDE, ClaudeSays(({"type": "text", "text": "A file."},)))
    client, content = by_litellm.client.with_options(max_retries=0), b"%PDF-1.4 " + b"a" * 20
    file = await client.files.create(file=("a.pdf", content), purpose="user_data")

    def asking(file_id: str) -> Any:
        part: Any = {"type": "file", "file": {"file_id": file_id, "filename": None}}
        return client.chat.completions.create(model=f"old-{CLAUDE}", messages=[{"role": "user", "content": [part]}])

    answer = await asking(file.id)

    assert answer.choices[0].message.content == "A file."
    [request] = provider.requests(CLAUDE)
    data = base64.b64encode(content).decode()
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    assert request["messages"][0]["content"] == [{"type": "document", "source": source}]
    with pytest.raises(BadRequestError, match=r"'messages\[0\].content\[0\].file.file_id' is not supported"):
        await asking("file-of-another-server")
    monkeypatch.setattr(chat_files, "MAX_BYTES", len(content) - 1)
    with pytest.raises(APIStatusError, match=r"'messages\[0\].content\[0\].file.file_id': it is too large") as large:
        await asking(file.id)
    assert large.value.status_code == 413
    monkeypatch.undo()
    await by_litellm.resources.object_store.delete(object_key(KeyPrefix.FILE, file.id))
    with pytest.raises(APIStatusError, match=f"The content of file {file.id} is missing"):
        await asking(file.id)
    provider.forget({CLAUDE})


async def test_file_of_another_project_is_not_read(by_litellm: RunningHoldfast) -> None:
    file = await by_litellm.client.files.create(file=("a.pdf", b"%PDF-1.4"), purpose="user_data")
    part = {"type": "file", "file": {"file_id": file.id}}
    given = {"model": CLAUDE, "messages": [{"role": "user", "content": [part]}]}
    body = CreateChatCompletionRequest.model_validate(given)

    await chat_files.insert_contents(body, by_litellm.resources, "another")

    assert body.model_dump(exclude_unset=True) == given
    await chat_files.insert_contents(body, by_litellm.resources, DEFAULT_PROJECT)
    assert body.model_dump(exclude_unset=True) != given


@pytest.mark.parametrize("stream", [False, True])
async def test_call_ends_with_its_client(by_litellm: RunningHoldfast, provider: ScriptedProvider, stream: bool) -> None:
    provider.script(GEMINI, Hangs())
    create = by_litellm.client.chat.completions.create
    asking = asyncio.ensure_future(create(model=f"old-{GEMINI}", messages=HELLO, n=2, stream=stream))
    await provider.requested(GEMINI)

    asking.cancel()

    await provider.disconnected(GEMINI)


def _output_tokens(holdfast: RunningHoldfast) -> float:
    samples = (sample for family in holdfast.resources.metrics.tokens.collect() for sample in family.samples)
    return sum(each.value for each in samples if each.name.endswith("_total") and each.labels["direction"] == "output")
