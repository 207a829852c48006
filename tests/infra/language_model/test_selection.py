from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.errors import ProviderRefused
from infra.language_model.scripted import SCRIPTED_MODEL, ScriptedLanguageModel
from infra.language_model.selection import LanguageModelByName
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import Says
from tests.provider.scripted_provider import ScriptedProvider

INDIRECT = "anthropic/claude-sonnet-4-5"


class LiteLLMStub(ScriptedLanguageModel):
    """Stands for litellm's adapter, and records whether it was prepared."""

    is_prepared = False

    async def prepare(self) -> None:
        self.is_prepared = True


@pytest.fixture
async def direct(provider: ScriptedProvider, tmp_path: Path) -> AsyncIterator[ChatCompletionsLanguageModel]:
    language_model = ChatCompletionsLanguageModel(catalogue_of(provider, tmp_path))
    yield language_model
    await language_model.close()


def catalogue_of(provider: ScriptedProvider, folder: Path) -> ModelCatalogue:
    indirect = {"model_name": INDIRECT, "litellm_params": provider.litellm_params(INDIRECT)}
    return ModelCatalogue.load(provider.models_file(folder, indirect))


async def test_request_goes_to_adapter_of_its_model(
    direct: ChatCompletionsLanguageModel, provider: ScriptedProvider, tmp_path: Path, model: str
) -> None:
    provider.script(model, Says("I am the provider's."))
    selection = LanguageModelByName(catalogue_of(provider, tmp_path), direct, LiteLLMStub())

    assert (await ask(selection, saying(model))).text == "I am the provider's."
    assert (await ask(selection, saying(SCRIPTED_MODEL))).text == "You said: Hello"
    assert (await ask(selection, saying(INDIRECT))).text == "You said: Hello"
    assert await selection.context_window_tokens("openai/gpt-4o") is None
    assert await selection.count_tokens(SCRIPTED_MODEL, "antidisestablishmentarianism") == 1
    assert await selection.count_tokens(INDIRECT, "antidisestablishmentarianism") == 1
    assert await selection.count_tokens(model, "antidisestablishmentarianism") > 1


async def test_litellm_is_prepared_only_if_model_needs_it(
    direct: ChatCompletionsLanguageModel, provider: ScriptedProvider, tmp_path: Path
) -> None:
    needing, needless = LiteLLMStub(), LiteLLMStub()
    await LanguageModelByName(catalogue_of(provider, tmp_path), direct, needing).prepare()
    all_direct = ModelCatalogue.load(provider.models_file(tmp_path))
    other = ChatCompletionsLanguageModel(all_direct)
    await LanguageModelByName(all_direct, other, needless).prepare()
    await other.close()

    assert needing.is_prepared
    assert not needless.is_prepared


async def test_model_no_longer_offered_is_rejected() -> None:
    catalogue = ModelCatalogue(deployments=(), has_scripted=False)
    selection = LanguageModelByName(catalogue, ChatCompletionsLanguageModel(catalogue), LiteLLMStub())

    for name in (SCRIPTED_MODEL, "gone"):
        with pytest.raises(ProviderRefused, match=f"The model '{name}' is not offered here"):
            await ask(selection, saying(name))
