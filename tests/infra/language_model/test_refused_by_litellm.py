"""Fields that the port lacks, by way of litellm: taken by the model that would answer, or refused by name."""

from typing import Any

import pytest

from infra.language_model.errors import (
    PromptRejected,
    ProviderUnavailable,
)
from infra.language_model.schema_expansion import TOO_DEEP
from tests.infra.language_model.answers import ask
from tests.infra.language_model.passed_on import BOTH, CALLED, CUSTOM, TOOLS, Models, asked, pieces
from tests.infra.language_model.test_schema_expansion import nested
from tests.provider.replies import BreaksOff, Fails
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import GeminiCandidates

GEMINI, CLAUDE = "gemini/gemini-2.5-flash", "anthropic/claude-sonnet-4-5"
BEDROCK = "bedrock/converse/anthropic.claude-3-haiku-20240307-v1:0"
REFUSED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("n", CLAUDE, {"n": 2}),
    ("logprobs", BEDROCK, {"logprobs": True}),
    ("logit_bias", GEMINI, {"n": 2, "logit_bias": {"5": 1}}),
    ("moderation", GEMINI, {"moderation": {"model": "m"}}),
    # litellm leaves custom tools out for the one, and fails at them for the other.
    ("tools", GEMINI, {"tools": CUSTOM}),
    ("tools", CLAUDE, {"tools": CUSTOM}),
    ("messages[1].tool_calls", GEMINI, {"messages": CALLED, "tools": TOOLS}),
    ("tool_choice", GEMINI, {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}),
    ("tool_choice", "openai/own", {"tools": CUSTOM, "tool_choice": {"type": "custom", "custom": {"name": "word"}}}),
    # Its Responses API has them in another form.
    ("tools", "openai/responses/own", {"tools": [*CUSTOM, *TOOLS]}),
    ("messages[0]", GEMINI, {"messages": [{"role": "function", "name": "f", "content": "Hi"}]}),
    ("functions", GEMINI, {"functions": [{"name": "f", "strict": True}]}),
    ("function_call", GEMINI, {"functions": [{"name": "f"}], "function_call": {"name": "g"}}),
    # One form beside the other.
    ("functions", GEMINI, {"functions": [{"name": "f"}], "tools": TOOLS}),
    (
        "stream_options.include_obfuscation",
        GEMINI,
        {"stream": True, "stream_options": {"include_obfuscation": True}},
    ),
    # litellm says that these servers take all that OpenAI's do, and sends a prompt and three numbers.
    ("stop", "custom/own", {"stop": ["x"]}),
    ("seed", "custom/own", {"seed": 7}),
    # litellm says that Claude takes it, but leaves out the address of a person.
    ("user", CLAUDE, {"user": "ada@example.com"}),
    # litellm says that they take these, but does not map the one, and keeps the other for its own logs.
    ("prompt_cache_retention", "azure_ai/own", {"prompt_cache_retention": "24h"}),
    ("metadata", "amazon_nova/own", {"metadata": {"a": "b"}}),
    # Cohere's API has no such field: it would answer once.
    ("n", "cohere/own", {"n": 2}),
    # The answer of litellm would not be in OpenAI's form.
    ("web_search_options", CLAUDE, {"web_search_options": {}}),
    # litellm says that Gemini takes it, and then leaves it out beside functions.
    ("web_search_options", GEMINI, {"web_search_options": {}, "tools": TOOLS}),
    # litellm would send it to the Responses API, which has one answer only, and leave it out.
    ("seed", "openai/gpt-5.4", {"seed": 7, "tools": TOOLS, "reasoning_effort": "high"}),
)


@pytest.mark.parametrize("drops", [False, True])
@pytest.mark.parametrize(("name", "called", "fields"), REFUSED, ids=lambda each: each if isinstance(each, str) else "")
async def test_field_that_the_provider_does_not_take_is_refused_by_its_name(
    provider: ScriptedProvider, models: Models, name: str, called: str, fields: dict[str, Any], drops: bool
) -> None:
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


async def test_model_that_calls_in_text_takes_several_choices_without_tools_only(
    provider: ScriptedProvider, models: Models, model: str
) -> None:
    provider.script(model, GeminiCandidates(BOTH))
    language_model = models.opened({"m": f"gemini/{model}"}, model_info={"supports_function_calling": False})

    with pytest.raises(PromptRejected, match="'n' is not supported together with 'tools' with the model 'm'"):
        await ask(language_model, asked("m", n=2, tools=TOOLS))
    answered = await ask(language_model, asked("m", n=2))

    assert len(pieces(answered)[0]["choices"]) == 2


async def test_schemas_of_older_functions_are_bounded(models: Models) -> None:
    functions = [{"name": "f", "parameters": nested(100)}]

    with pytest.raises(PromptRejected, match=TOO_DEEP):
        await ask(models.opened({"m": "gemini/gemini-2.5-flash"}), asked("m", functions=functions))
