"""Fields that the port lacks, by way of litellm: passed on with the answer to them, or refused by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.errors import (
    AnswerAborted,
    ModelCallFailed,
    PromptRejected,
    ProviderRefused,
    ProviderUnavailable,
)
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.schema_expansion import TOO_DEEP
from models.chat_completions import CreateChatCompletionRequest
from models.language_model import FinishReason, ModelRequest, PassedOn, TokenUsage
from tests.holdfast import function_tool
from tests.infra.language_model.answers import Answered, ask
from tests.infra.language_model.test_schema_expansion import nested
from tests.provider.replies import BreaksOff, Document, Fails
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import GeminiCandidates, gemini_candidate

TOKENS: Any = {
    "chosenCandidates": [{"token": "Hi", "logProbability": -0.25}],
    "topCandidates": [{"candidates": [{"token": "Hi", "logProbability": -0.25}]}],
}
TOP: Any = {"token": "Hi", "bytes": None, "logprob": -0.25}
LOGPROBS: Any = {"refusal": None, "content": [{**TOP, "top_logprobs": [TOP]}]}
BOTH = (gemini_candidate("Hi", logprobsResult=TOKENS), gemini_candidate("Hey", "MAX_TOKENS", index=1))
TOOLS = [function_tool("f"), function_tool("g")]


def calling(*names: str, index: int = 1) -> dict[str, Any]:
    parts = [{"functionCall": {"name": name, "args": {}}} for name in names]
    return {"index": index, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}


def asked(model: str, **fields: Any) -> ModelRequest:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **fields}
    return CreateChatCompletionRequest.model_validate(body).model_request()


def pieces(answered: Answered) -> list[dict[str, Any]]:
    return [dict(delta.content) for delta in answered.deltas if isinstance(delta, PassedOn)]


class Models:
    """Opens a models file with the scripted provider behind each of its entries."""

    def __init__(self, provider: ScriptedProvider, folder: Path) -> None:
        self._provider, self._folder = provider, folder

    def opened(
        self, entries: Mapping[str, str], settings: Mapping[str, Any] | None = None, **more: Any
    ) -> LitellmLanguageModel:
        """`entries` are litellm's names by those of the file, `more` holds for every entry."""
        listed = [{"model_name": name, **self._entry(called, more)} for name, called in entries.items()]
        path = self._folder / "models.yaml"
        path.write_text(yaml.safe_dump({"model_list": listed, **(settings or {})}))
        return LitellmLanguageModel(ModelCatalogue.load(path))

    def _entry(self, called: str, more: Mapping[str, Any]) -> dict[str, Any]:
        is_openais = called.startswith(("openai/", "groq/"))
        url = self._provider.url if is_openais else self._provider.root
        params = {"model": called, "api_base": url, "api_key": "k", **more.get("litellm_params", {})}
        return {**more, "litellm_params": params}


@pytest.fixture
def models(provider: ScriptedProvider, tmp_path: Path) -> Models:
    return Models(provider, tmp_path)


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


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "n": ("anthropic/claude-sonnet-4-5", {"n": 2}),
    "logprobs": ("bedrock/converse/anthropic.claude-3-haiku-20240307-v1:0", {"logprobs": True}),
    "logit_bias": ("gemini/gemini-2.5-flash", {"n": 2, "logit_bias": {"5": 1}}),
    "moderation": ("gemini/gemini-2.5-flash", {"moderation": {"model": "m"}}),
    "tools": ("gemini/gemini-2.5-flash", {"tools": [{"type": "custom", "custom": {"name": "word"}}]}),
    "messages[0]": (
        "gemini/gemini-2.5-flash",
        {"messages": [{"role": "user", "name": "ada", "content": "Hi"}]},
    ),
    # litellm says that Claude takes it, but leaves out the address of a person.
    "user": ("anthropic/claude-sonnet-4-5", {"user": "ada@example.com"}),
    # litellm says that Gemini takes it, and then leaves it out beside functions.
    "web_search_options": ("gemini/gemini-2.5-flash", {"web_search_options": {}, "tools": TOOLS}),
    # litellm would send it to the Responses API, which has one answer only, and leave it out.
    "seed": ("openai/gpt-5.4", {"seed": 7, "tools": TOOLS, "reasoning_effort": "high"}),
}


@pytest.mark.parametrize("drops", [False, True])
@pytest.mark.parametrize(("name", "case"), REFUSED.items(), ids=REFUSED)
async def test_field_that_the_provider_does_not_take_is_refused_by_its_name(
    provider: ScriptedProvider, models: Models, name: str, case: tuple[str, dict[str, Any]], drops: bool
) -> None:
    called, fields = case
    language_model = models.opened({"m": called}, {"litellm_settings": {"drop_params": drops}})

    with pytest.raises(PromptRejected) as refused:
        await ask(language_model, asked("m", **fields))

    assert str(refused.value).startswith(f"Unsupported parameter: '{name}' is not supported with the model 'm'")
    assert not provider.requests(called.rpartition("/")[2])


async def test_field_that_the_entry_drops_is_refused(models: Models) -> None:
    language_model = models.opened(
        {"m": "gemini/gemini-2.5-flash"}, litellm_params={"additional_drop_params": ["n", "seed"]}
    )

    for name, value in (("n", 2), ("seed", 7)):
        with pytest.raises(PromptRejected, match=f"'{name}' is not supported with the model 'm'"):
            await ask(language_model, asked("m", **{name: value}))


@pytest.mark.parametrize("drops", [False, True])
async def test_fallback_that_would_drop_a_field_is_not_asked(
    provider: ScriptedProvider, models: Models, model: str, drops: bool
) -> None:
    provider.script(model, Fails(500, "The first is down."))
    settings = {"router_settings": {"fallbacks": [{"first": ["other"]}]}, "litellm_settings": {"drop_params": drops}}
    language_model = models.opened({"first": f"gemini/{model}", "other": f"anthropic/{model}-2"}, settings)

    with pytest.raises(ProviderUnavailable, match="The first is down"):
        await ask(language_model, asked("first", n=2))

    assert len(provider.requests(model)) == 1
    assert not provider.requests(f"{model}-2")


@pytest.mark.parametrize("drops", [False, True])
async def test_fallback_for_a_stream_without_a_word_that_would_drop_a_field_is_not_asked(
    provider: ScriptedProvider, models: Models, model: str, drops: bool
) -> None:
    provider.script(model, BreaksOff(""))
    settings = {"router_settings": {"fallbacks": [{"first": ["other"]}]}, "litellm_settings": {"drop_params": drops}}
    language_model = models.opened({"first": f"openai/{model}", "other": f"anthropic/{model}-2"}, settings)

    with pytest.raises(ProviderUnavailable):
        await ask(language_model, asked("first", logprobs=True, stream=True))

    assert not provider.requests(f"{model}-2")


async def test_fallback_that_takes_the_field_answers_for_an_alias(
    provider: ScriptedProvider, models: Models, model: str
) -> None:
    provider.script(model, Fails(500))
    provider.script(f"{model}-2", GeminiCandidates(BOTH))
    settings = {"router_settings": {"fallbacks": [{"old": ["other"]}], "model_group_alias": {"old": "first"}}}
    names = {"first": f"openai/{model}", "other": f"gemini/{model}-2"}

    answered = await ask(models.opened(names, settings), asked("old", n=2))

    [completion] = pieces(answered)
    assert [choice["message"]["content"] for choice in completion["choices"]] == ["Hi", "Hey"]


async def test_whole_completion_of_openais_wire_keeps_its_words(
    provider: ScriptedProvider, models: Models, model: str
) -> None:
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": "stop"}
        for at, text in enumerate(("Hi", "Hey"))
    ]
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    envelope = {"id": "1", "object": "chat.completion", "created": 5, "model": model, "system_fingerprint": "fp_1"}
    provider.script(model, Document({**envelope, "choices": choices, "usage": usage}))

    answered = await ask(models.opened({"m": f"openai/{model}"}), asked("m", n=2))

    [completion] = pieces(answered)
    assert [choice["message"]["content"] for choice in completion["choices"]] == ["Hi", "Hey"]
    assert completion["system_fingerprint"] == "fp_1"
    assert answered.usage == TokenUsage(9, 4)


async def test_model_that_calls_in_text_takes_several_choices_without_tools_only(
    provider: ScriptedProvider, models: Models, model: str
) -> None:
    provider.script(model, GeminiCandidates(BOTH))
    language_model = models.opened({"m": f"gemini/{model}"}, model_info={"supports_function_calling": False})

    with pytest.raises(PromptRejected, match="'n' is not supported together with 'tools' with the model 'm'"):
        await ask(language_model, asked("m", n=2, tools=TOOLS))
    answered = await ask(language_model, asked("m", n=2))

    assert len(pieces(answered)[0]["choices"]) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_functions_are_called_in_the_form_before_tools(
    provider: ScriptedProvider, models: Models, model: str, stream: bool
) -> None:
    provider.script(model, GeminiCandidates((calling("f", index=0),), is_streamed=stream))
    language_model = models.opened({"m": f"gemini/{model}"})

    answered = await ask(language_model, asked("m", functions=[TOOLS[0]["function"]], stream=stream))

    choices = [choice for piece in pieces(answered) for choice in piece["choices"]]
    called = [choice.get("message") or choice["delta"] for choice in choices]
    assert called[0]["function_call"] == {"name": "f", "arguments": "{}"}
    assert choices[-1]["finish_reason"] == "function_call"


async def test_schemas_of_older_functions_are_bounded(models: Models) -> None:
    functions = [{"name": "f", "parameters": nested(100)}]

    with pytest.raises(PromptRejected, match=TOO_DEEP):
        await ask(models.opened({"m": "gemini/gemini-2.5-flash"}), asked("m", functions=functions))
