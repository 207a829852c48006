"""Effects of a models file on a call: the deployment that gets it, and its parameters."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.language_model.catalogue import InvalidCatalogue, ModelCatalogue
from infra.language_model.errors import ModelCallFailed, PromptRejected, ProviderUnavailable
from infra.language_model.litellm_loading import load_litellm
from infra.language_model.litellm_model import LitellmLanguageModel
from models.language_model import ChatBody, Function, ModelRequest
from tests.conftest import LITELLM_CALLBACKS
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import BreaksOff, Fails, Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider


class File:
    """Writes models files whose deployments are served by the scripted provider."""

    def __init__(self, provider: ScriptedProvider, folder: Path) -> None:
        self._provider = provider
        self._folder = folder

    def opened(self, names: Mapping[str, str], **settings: Mapping[str, Any]) -> LitellmLanguageModel:
        """`names`: model name of the run → model name sent to the provider."""
        deployments = [
            {"model_name": name, "litellm_params": self._provider.litellm_params(f"openai/{target}")}
            for name, target in names.items()
        ]
        return self.written(*deployments, **settings)

    def written(self, *deployments: Mapping[str, Any], **settings: Mapping[str, Any]) -> LitellmLanguageModel:
        path = self._provider.models_file(self._folder, *deployments, **settings)
        return LitellmLanguageModel(ModelCatalogue.load(path))


@pytest.fixture
def file(provider: ScriptedProvider, tmp_path: Path) -> File:
    return File(provider, tmp_path)


async def test_old_name_maps_to_current_model(file: File, provider: ScriptedProvider, model: str) -> None:
    provider.script(model, Says("Hi."))

    assert (await ask(file.opened({"gpt-4-turbo": model}), saying("gpt-4-turbo"))).text == "Hi."


async def test_alias_is_resolved(file: File, provider: ScriptedProvider, model: str) -> None:
    provider.script(model, Says("Hi."))
    language_model = file.opened({"new": model}, router_settings={"model_group_alias": {"old": "new"}})

    assert (await ask(language_model, saying("old"))).text == "Hi."


@pytest.mark.parametrize("prefix", ["", "openai/", "meta-llama/"])
async def test_wildcard_passes_name_through(
    litellm_model: LitellmLanguageModel, provider: ScriptedProvider, model: str, prefix: str
) -> None:
    provider.script(prefix + model, Says("Hi."))

    assert (await ask(litellm_model, saying(prefix + model))).text == "Hi."


@pytest.mark.parametrize("failure", [Fails(500), Fails(429), Fails(401), BreaksOff("")])
@pytest.mark.parametrize("section", ["router_settings", "litellm_settings"])
async def test_fallback_answers_for_failing_model(
    file: File, provider: ScriptedProvider, model: str, failure: Fails | BreaksOff, section: str
) -> None:
    provider.script(f"{model}-1", failure)
    provider.script(f"{model}-2", Says("I am the other."))
    names = {"first": f"{model}-1", "second": f"{model}-2"}
    language_model = file.opened(names, **{section: {"fallbacks": [{"first": ["second"]}]}})

    assert (await ask(language_model, saying("first"))).text == "I am the other."
    assert len(provider.requests(f"{model}-1")) == len(provider.requests(f"{model}-2")) == 1


async def test_first_failure_is_reported_if_fallback_fails(file: File, provider: ScriptedProvider, model: str) -> None:
    provider.script(f"{model}-1", Fails(500, "The first is down."))
    provider.script(f"{model}-2", Fails(401, "The second has no key."))
    names = {"first": f"{model}-1", "second": f"{model}-2"}
    language_model = file.opened(names, router_settings={"fallbacks": [{"first": ["second"]}]})

    with pytest.raises(ProviderUnavailable, match="The provider of 'first' answered 500: The first is down"):
        await ask(language_model, saying("first"))


async def test_context_window_fallback_gets_too_long_prompt(file: File, provider: ScriptedProvider, model: str) -> None:
    provider.script(f"{model}-1", Fails(400, "This model's maximum context length is 8192 tokens."))
    provider.script(f"{model}-2", Says("I have read it all."))
    names = {"short": f"{model}-1", "long": f"{model}-2"}
    language_model = file.opened(names, litellm_settings={"context_window_fallbacks": [{"short": ["long"]}]})

    assert (await ask(language_model, saying("short"))).text == "I have read it all."


async def test_failures_cause_no_cooldown_by_default(file: File, provider: ScriptedProvider, model: str) -> None:
    provider.script(model, *[Fails(500)] * 8, Says("Back again."))
    language_model = file.opened({"a": model, "b": model})

    for _ in range(8):
        with pytest.raises(ProviderUnavailable):
            await ask(language_model, saying("a"))

    assert (await ask(language_model, saying("a"))).text == "Back again."


async def test_configured_cooldown_is_reported_with_its_length(
    file: File, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, *[Fails(401)] * 20)
    settings = {"allowed_fails": 0, "cooldown_time": 30}
    entry = {"model_name": "a", "litellm_params": provider.litellm_params(f"openai/{model}")}
    language_model = file.written(entry, {**entry, "model_info": {"id": "2"}}, router_settings=settings)

    failure: ModelCallFailed | None = None
    # The Router begins a cooldown some time after the failure.
    while not isinstance(failure, ProviderUnavailable):
        with pytest.raises(ModelCallFailed) as caught:
            await ask(language_model, saying("a"))
        failure = caught.value

    assert failure.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize("key", ["timeout", "stream_timeout"])
async def test_deployments_own_timeout_applies(file: File, provider: ScriptedProvider, model: str, key: str) -> None:
    provider.script(model, Hangs(""))
    params = {**provider.litellm_params(f"openai/{model}"), key: 0.2}
    language_model = file.written({"model_name": "a", "litellm_params": params})

    with pytest.raises(ProviderUnavailable):
        await ask(language_model, saying("a"))


async def test_key_is_read_from_environment(
    file: File, provider: ScriptedProvider, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.script(model, Says("Hi."))
    params = {**provider.litellm_params(f"openai/{model}"), "api_key": "os.environ/SCRIPTED_KEY"}
    entry = {"model_name": "a", "litellm_params": params}

    with pytest.raises(InvalidCatalogue, match="environment variables that are not set: SCRIPTED_KEY"):
        await file.written(entry).prepare()
    monkeypatch.setenv("SCRIPTED_KEY", "sk-from-the-environment")

    assert (await ask(file.written(entry), saying("a"))).text == "Hi."


async def test_unusable_entry_is_rejected_at_startup(file: File) -> None:
    language_model = file.written({"model_name": "a", "litellm_params": {"model": "no-provider"}})

    with pytest.raises(InvalidCatalogue, match="HOLDFAST_MODELS: litellm refuses it: "):
        await language_model.prepare()


async def test_parameters_are_dropped_only_if_configured(file: File, provider: ScriptedProvider, model: str) -> None:
    params = {"model": "groq/llama-3.3-70b-versatile", "api_base": provider.url, "api_key": "gsk_scripted"}
    provider.script("llama-3.3-70b-versatile", Says("Hi."), Says("Hi."))
    entry = {"model_name": "a", "litellm_params": params}
    request = replace(saying("a"), reasoning_effort="high")

    with pytest.raises(PromptRejected, match="reasoning_effort"):
        await ask(file.written(entry), request)
    await ask(file.written(entry, litellm_settings={"drop_params": True}), request)
    await ask(file.written({"model_name": "a", "litellm_params": {**params, "drop_params": True}}), request)

    assert all("reasoning_effort" not in sent for sent in provider.requests("llama-3.3-70b-versatile"))


async def test_context_window_is_from_file_or_litellm(file: File, provider: ScriptedProvider) -> None:
    language_model = file.written(
        {"model_name": "a", "litellm_params": {"model": "openai/gpt-4o"}},
        {"model_name": "b", "litellm_params": {"model": "openai/gpt-4o"}, "model_info": {"max_input_tokens": 77}},
        {"model_name": "c", "litellm_params": {"model": "openai/my-own"}},
    )

    windows = [await language_model.context_window_tokens(name) for name in ["a", "b", "c", "gpt-4o", "unknown"]]

    assert windows == [128_000, 77, None, 128_000, None]


async def test_tokens_are_counted_without_network(litellm_model: LitellmLanguageModel) -> None:
    assert await litellm_model.count_tokens("gpt-4o", "Hello, world!") == 4
    assert await litellm_model.count_tokens("ollama/llama-3", "") == 0
    assert await litellm_model.count_tokens("claude-2", "word " * 10_000) > 5_000


async def test_stateful_routing_strategy_accepts_answers(file: File, provider: ScriptedProvider, model: str) -> None:
    provider.script(model, *[Says("Hi.")] * 3)
    language_model = file.opened({"a": model}, router_settings={"routing_strategy": "least-busy"})

    for _ in range(3):
        answered = await ask(language_model, replace(saying("a"), functions=(Function("f"),)))
        assert answered.text == "Hi."


async def test_closing_model_removes_its_callbacks(file: File, provider: ScriptedProvider, model: str) -> None:
    provider.script(model, Says("Hi."))
    language_model = file.opened({"a": model})
    before = _callbacks()

    assert (await ask(language_model, saying("a"))).text == "Hi."
    assert _callbacks() > before
    language_model.close()

    assert _callbacks() == before


def _callbacks() -> int:
    litellm = load_litellm().module
    return sum(len(getattr(litellm, name)) for name in LITELLM_CALLBACKS)


def beyond(model: str, **fields: Any) -> ModelRequest:
    """A request with these fields of chat completions beside its own."""
    return replace(saying(model), chat=ChatBody(fields, tuple(fields)))


async def test_further_fields_of_chat_completions_become_parameters(
    file: File, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Says("Hi."))
    fields = {"seed": 7, "stop": ["a", "b"], "presence_penalty": 0.5, "logit_bias": {"5": 1}}

    answered = await ask(file.opened({"gpt-4o": model}), beyond("gpt-4o", **fields))

    assert answered.text == "Hi."
    assert provider.requests(model)[0].items() >= fields.items()


@pytest.mark.parametrize(
    ("target", "fields", "named"),
    [
        ("openai/gpt-4o", {"messages[0]": None}, "messages[0]"),
        ("anthropic/claude-sonnet-4-5", {"seed": 7}, "seed"),
    ],
)
async def test_further_fields_that_cannot_be_honoured_are_refused_by_name(
    file: File, target: str, fields: dict[str, Any], named: str
) -> None:
    language_model = file.written({"model_name": "asked", "litellm_params": {"model": target, "api_key": "sk-unused"}})

    with pytest.raises(PromptRejected, match=re.escape(f"'{named}' is not supported with the model 'asked'")):
        await ask(language_model, beyond("asked", **fields))
