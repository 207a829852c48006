"""Redirects: what a call carries goes to the operator's address alone, by both adapters and on every wire."""

from pathlib import Path
from typing import Any

import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.errors import ProviderRefused
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.ports import LanguageModel
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import Fails, Says
from tests.provider.scripted_provider import ScriptedProvider


def elsewhere(provider: ScriptedProvider, path: str) -> str:
    return f"{provider.root}{path}?key=s3cretkey".replace("127.0.0.1", "localhost")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_refused_and_not_followed(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, status: int
) -> None:
    headers = {"location": elsewhere(provider, "/v1/chat/completions"), "retry-after": "1"}
    provider.script(model, Fails(status, "Moved.", "rate_limit_exceeded", headers=headers), Says("From elsewhere."))

    await assert_refused(language_model, provider, model, status)


@pytest.mark.xdist_group("litellm")
@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("anthropic", "/v1/messages"),
        ("gemini", "/models/{model}:streamGenerateContent"),
        ("ollama_chat", "/api/chat"),
        ("bedrock/converse", "/model/{model}/converse-stream"),
        ("groq", "/v1/chat/completions"),
    ],
)
async def test_redirect_is_not_followed_on_wires_of_litellm(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, path: str
) -> None:
    base = provider.url if prefix == "groq" else provider.root
    params: dict[str, Any] = {**provider.litellm_params(f"{prefix}/{model}"), "api_base": base}
    models = provider.models_file(tmp_path, {"model_name": model, "litellm_params": params})
    location = elsewhere(provider, path.format(model=model))
    provider.script(model, Fails(307, "Moved.", headers={"location": location}), Says("From elsewhere."))

    await assert_refused(LitellmLanguageModel(ModelCatalogue.load(models)), provider, model, 307)


@pytest.mark.parametrize("headers", [{}, {"location": "/v2"}, {"location": "http://[x"}])
async def test_redirect_to_no_other_host_is_refused(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, headers: dict[str, str]
) -> None:
    provider.script(model, Fails(307, headers=headers))

    with pytest.raises(ProviderRefused, match="redirects are not followed"):
        await ask(language_model, saying(model))


async def assert_refused(language_model: LanguageModel, provider: ScriptedProvider, model: str, status: int) -> None:
    with pytest.raises(ProviderRefused, match="redirects are not followed") as refused:
        await ask(language_model, saying(model))

    assert f"The provider of '{model}' answered {status}" in str(refused.value)
    assert "to localhost:" in str(refused.value)
    assert "s3cretkey" not in str(refused.value)
    assert len(provider.requests(model)) == 1
