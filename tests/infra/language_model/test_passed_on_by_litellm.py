"""Answers to fields that the port lacks, by way of litellm: in OpenAI's form, whole and streamed."""

from typing import Any

import pytest

from infra.language_model.errors import (
    AnswerAborted,
    ModelCallFailed,
    ModelStreamBroken,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from infra.language_model.litellm_model import LitellmLanguageModel
from models.language_model import FinishReason, TokenUsage
from tests.infra.language_model.answers import ask
from tests.infra.language_model.passed_on import (
    BOTH,
    CALLED,
    CUSTOM,
    CUSTOM_CALL,
    LOGPROBS,
    TOKENS,
    TOOLS,
    Models,
    asked,
    calling,
    pieces,
)
from tests.provider.replies import Chunks, Document, Fails, chunk_of
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import GEMINI_USAGE, ClaudeSays, GeminiCandidates, gemini_candidate


async def test_all_choices_are_passed_on_with_their_log_probabilities(
    provider: ScriptedProvider, models: Models, model: str
) -> None:
    provider.script(model, GeminiCandidates(BOTH))

    request = asked("m", n=2, logprobs=True, top_logprobs=3, seed=7)
    answered = await ask(models.opened({"m": f"gemini/{model}"}), request)

    [completion] = pieces(answered)
    first, second = ({"role": "assistant", "content": text, "refusal": None} for text in ("Hi", "Hey"))
    assert completion["choices"] == [
        {"index": 0, "message": first, "logprobs": LOGPROBS, "finish_reason": "stop"},
        {"index": 1, "message": second, "logprobs": None, "finish_reason": "length"},
    ]
    assert (answered.reason, answered.usage) == (FinishReason.STOP, TokenUsage(10, 5))
    [sent] = provider.requests(model)
    given = {"candidate_count": 2, "responseLogprobs": True, "logprobs": 3, "seed": 7}
    assert sent["generationConfig"].items() >= given.items()


async def test_choices_of_a_stream_have_their_indexes_and_endings(
    provider: ScriptedProvider, models: Models, model: str
) -> None:
    provider.script(model, GeminiCandidates((BOTH[0], calling("f", "g"))))
    options = {"stream": True, "stream_options": {"include_usage": True}}

    answered = await ask(models.opened({"m": f"gemini/{model}"}), asked("m", n=2, tools=TOOLS, **options))

    *chunks, last = pieces(answered)
    said = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [(each["index"], each["finish_reason"]) for each in said] == [
        (0, None),
        (0, "stop"),
        (1, None),
        (1, "tool_calls"),
    ]
    assert (said[0]["delta"]["content"], said[0]["logprobs"]) == ("Hi", LOGPROBS)
    calls = said[2]["delta"]["tool_calls"]
    assert [(call["index"], call["function"]) for call in calls] == [
        (0, {"name": "f", "arguments": "{}"}),
        (1, {"name": "g", "arguments": "{}"}),
    ]
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 15)


@pytest.mark.parametrize("text", ["you", ""])
async def test_log_probabilities_are_streamed_as_they_come(
    provider: ScriptedProvider, models: Models, model: str, text: str
) -> None:
    begun = gemini_candidate("Hi", None, logprobsResult=TOKENS)
    rest = gemini_candidate(text, logprobsResult=TOKENS)
    provider.script(model, GeminiCandidates((begun, rest), is_streamed=True))

    answered = await ask(models.opened({"m": f"gemini/{model}"}), asked("m", logprobs=True, stream=True))

    said = [choice for chunk in pieces(answered) for choice in chunk["choices"]]
    assert [choice["delta"].get("content", "") for choice in said] == ["Hi", text, ""]
    assert [choice["logprobs"] for choice in said] == [LOGPROBS, LOGPROBS, None]
    assert [choice["finish_reason"] for choice in said] == [None, None, "stop"]
    assert answered.usage == TokenUsage(10, 5)


async def test_calls_of_a_whole_answer_have_no_index(provider: ScriptedProvider, models: Models, model: str) -> None:
    provider.script(model, GeminiCandidates((BOTH[0], calling("f", "g"))))

    answered = await ask(models.opened({"m": f"gemini/{model}"}), asked("m", n=2, tools=TOOLS))

    [completion] = pieces(answered)
    choice = completion["choices"][1]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert [sorted(call) for call in choice["message"]["tool_calls"]] == [["function", "id", "type"]] * 2


@pytest.mark.parametrize("stream", [False, True])
async def test_answer_that_ends_for_an_unknown_reason_is_aborted(
    provider: ScriptedProvider, models: Models, model: str, stream: bool
) -> None:
    provider.script(model, GeminiCandidates((BOTH[0], gemini_candidate("Hey", "NO_SUCH_WORD", index=1))))

    with pytest.raises(AnswerAborted, match="NO_SUCH_WORD"):
        await ask(models.opened({"m": f"gemini/{model}"}), asked("m", n=2, stream=stream))


async def test_failure_of_the_provider_is_classified(provider: ScriptedProvider, models: Models, model: str) -> None:
    provider.script(model, Fails(503, "Overloaded."), GeminiCandidates(()))
    language_model = models.opened({"m": f"gemini/{model}"})

    for said in ("Overloaded", "ended without saying that it was complete"):
        with pytest.raises(ModelCallFailed, match=said) as failed:
            await ask(language_model, asked("m", n=2))
        assert failed.value.is_retryable


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}, RateLimited),
        ([{"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}], ProviderUnavailable),
        ({"error": {"code": 403, "message": "No.", "status": "PERMISSION_DENIED"}}, ProviderRefused),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else "",
)
@pytest.mark.parametrize("prefix", ["gemini", "openai"])
async def test_error_with_the_status_of_a_success_is_the_providers(
    provider: ScriptedProvider, models: Models, model: str, prefix: str, error: Any, kind: type[ModelCallFailed]
) -> None:
    provider.script(model, Document(error))

    with pytest.raises(ModelCallFailed) as failed:
        await ask(models.opened({"m": f"{prefix}/{model}"}), asked("m", n=2))

    assert type(failed.value) is kind


MESSAGE = {"role": "assistant", "content": "Hi"}
UNFINISHED = {
    "gemini": {"candidates": [BOTH[0], gemini_candidate("Hey", None, index=1)], "usageMetadata": GEMINI_USAGE},
    "openai": {"choices": [{"index": 0, "message": MESSAGE, "finish_reason": None}]},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("prefix", UNFINISHED)
async def test_whole_answer_with_a_choice_without_a_reason_is_unfinished(
    provider: ScriptedProvider, models: Models, model: str, prefix: str, stream: bool
) -> None:
    provider.script(model, Document(UNFINISHED[prefix]))

    with pytest.raises(ModelStreamBroken, match="ended without saying that it was complete"):
        await ask(models.opened({"m": f"{prefix}/{model}"}), asked("m", n=2, stream=stream))

    assert len(provider.requests(model)) == 1


@pytest.mark.parametrize("document", [{"status": "ok"}, []], ids=["other", "empty"])
async def test_whole_answer_in_no_known_form_is_no_fault_of_the_prompt(
    provider: ScriptedProvider, models: Models, model: str, document: Any
) -> None:
    provider.script(model, Document(document))

    with pytest.raises(AnswerAborted):
        await ask(models.opened({"m": f"gemini/{model}"}), asked("m", n=2))


@pytest.mark.parametrize("prefix", ["gemini", "openai"])
async def test_redirect_of_a_whole_answer_is_not_followed(
    provider: ScriptedProvider, models: Models, model: str, prefix: str
) -> None:
    path = f"/models/{model}:generateContent" if prefix == "gemini" else "/v1/chat/completions"
    location = f"{provider.root}{path}".replace("127.0.0.1", "localhost")
    provider.script(model, Fails(307, "Moved.", headers={"location": location}), GeminiCandidates(BOTH))

    with pytest.raises(ProviderRefused, match="redirects are not followed"):
        await ask(models.opened({"m": f"{prefix}/{model}"}), asked("m", n=2))

    assert len(provider.requests(model)) == 1


@pytest.mark.parametrize("has_file", [True, False])
async def test_whole_completion_of_openais_wire_keeps_its_words(
    provider: ScriptedProvider,
    models: Models,
    open_litellm_model: LitellmLanguageModel,
    model: str,
    has_file: bool,
) -> None:
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": "stop"}
        for at, text in enumerate(("Hi", "Hey"))
    ]
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    envelope = {"id": "1", "object": "chat.completion", "created": 5, "model": model, "system_fingerprint": "fp_1"}
    provider.script(model, Document({**envelope, "choices": choices, "usage": usage}))
    name = f"openai/{model}"
    language_model = models.opened({name: name}) if has_file else open_litellm_model

    answered = await ask(language_model, asked(name, n=2))

    [completion] = pieces(answered)
    assert [choice["message"]["content"] for choice in completion["choices"]] == ["Hi", "Hey"]
    assert completion["system_fingerprint"] == "fp_1"
    assert answered.usage == TokenUsage(9, 4)


@pytest.mark.parametrize("stream", [False, True])
async def test_sources_of_a_search_are_annotations(
    provider: ScriptedProvider, models: Models, model: str, stream: bool
) -> None:
    chunk = {"web": {"uri": "https://example.com/a", "title": "A"}}
    support = {"segment": {"startIndex": 0, "endIndex": 2, "text": "Hi"}, "groundingChunkIndices": [0]}
    grounds = {"groundingChunks": [chunk], "groundingSupports": [support]}
    candidate = gemini_candidate("Hi", groundingMetadata=grounds)
    provider.script(model, GeminiCandidates((candidate,), is_streamed=stream))

    answered = await ask(models.opened({"m": f"gemini/{model}"}), asked("m", web_search_options={}, stream=stream))

    choices = [choice for piece in pieces(answered) for choice in piece["choices"]]
    [annotation] = (choices[0].get("message") or choices[0]["delta"])["annotations"]
    assert annotation["type"] == "url_citation"
    assert (
        annotation["url_citation"].items() >= {"start_index": 0, "end_index": 2, "url": "https://example.com/a"}.items()
    )
    assert provider.requests(model)[0]["tools"] == [{"googleSearch": {}}]


@pytest.mark.parametrize("stream", [False, True])
async def test_functions_are_called_in_the_form_before_tools(
    provider: ScriptedProvider, models: Models, model: str, stream: bool
) -> None:
    provider.script(model, GeminiCandidates((calling("f", "g", index=0),), is_streamed=stream))
    language_model = models.opened({"m": f"gemini/{model}"})
    functions = [{**tool["function"], "parameters": None, "strict": None} for tool in TOOLS]

    answered = await ask(language_model, asked("m", functions=functions, logprobs=True, stream=stream))

    choices = [choice for piece in pieces(answered) for choice in piece["choices"]]
    called = [choice.get("message") or choice["delta"] for choice in choices]
    # That form has one call.
    assert [each["function_call"] for each in called if "function_call" in each] == [{"name": "f", "arguments": "{}"}]
    assert not any("tool_calls" in each for each in called)
    assert choices[-1]["finish_reason"] == "function_call"


@pytest.mark.parametrize("stream", [False, True])
async def test_custom_tools_of_openai_are_offered_called_and_answered(
    provider: ScriptedProvider, models: Models, model: str, stream: bool
) -> None:
    said = {"role": "assistant", "content": None, "tool_calls": [{**CUSTOM_CALL, "index": 0}]}
    whole = Document({"choices": [{"index": 0, "message": said, "finish_reason": "tool_calls"}]})
    provider.script(model, Chunks(chunk_of(said), chunk_of({}, "tool_calls")) if stream else whole)
    tools = [*CUSTOM, *TOOLS]
    language_model = models.opened({"m": f"openai/{model}"})

    answered = await ask(language_model, asked("m", messages=CALLED, tools=tools, stream=stream))

    choices = [choice for piece in pieces(answered) for choice in piece["choices"]]
    [call] = [call for each in choices for call in (each.get("message") or each["delta"]).get("tool_calls", ())]
    assert {**call, "index": 0} == {**CUSTOM_CALL, "index": 0}
    assert choices[-1]["finish_reason"] == "tool_calls"
    [sent] = provider.requests(model)
    assert sent["tools"] == tools
    _, calling, output = sent["messages"]
    assert calling["tool_calls"] == [{**CUSTOM_CALL, "id": output["tool_call_id"]}]


async def test_functions_that_are_not_allowed_are_not_offered(
    provider: ScriptedProvider, models: Models, model: str
) -> None:
    provider.script(model, ClaudeSays(({"type": "tool_use", "id": "t", "name": "g", "input": {}},), "tool_use"))
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}

    answered = await ask(models.opened({"m": f"anthropic/{model}"}), asked("m", tools=TOOLS, tool_choice=choice))

    assert answered.calls == [("g", "{}")]
    [sent] = provider.requests(model)
    assert ([tool["name"] for tool in sent["tools"]], sent["tool_choice"]) == (["g"], {"type": "any"})
