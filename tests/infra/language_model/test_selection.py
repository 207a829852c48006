from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.scripted import SCRIPTED_MODEL, ScriptedLanguageModel
from infra.language_model.selection import LanguageModelByName
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import Says
from tests.provider.scripted_provider import ScriptedProvider


async def test_a_request_goes_to_the_model_it_names(
    litellm_model: LitellmLanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Says("I am the provider's."))
    selection = LanguageModelByName({SCRIPTED_MODEL: ScriptedLanguageModel()}, otherwise=litellm_model)

    assert (await ask(selection, saying(model))).text == "I am the provider's."
    assert (await ask(selection, saying(SCRIPTED_MODEL))).text == "You said: Hello"
    assert await selection.context_window_tokens("openai/gpt-4o") is None
    assert await selection.count_tokens(SCRIPTED_MODEL, "antidisestablishmentarianism") == 1
    assert await selection.count_tokens(model, "antidisestablishmentarianism") > 1
