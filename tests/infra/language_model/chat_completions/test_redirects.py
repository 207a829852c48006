"""Redirects: what a call carries goes to the operator's address alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.errors import ProviderRefused
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import Fails, Says
from tests.provider.scripted_provider import ScriptedProvider


@pytest.fixture
async def direct(provider: ScriptedProvider, tmp_path: Path) -> AsyncIterator[ChatCompletionsLanguageModel]:
    language_model = ChatCompletionsLanguageModel(ModelCatalogue.load(provider.models_file(tmp_path)))
    yield language_model
    await language_model.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_refused_and_not_followed(
    direct: ChatCompletionsLanguageModel, provider: ScriptedProvider, model: str, status: int
) -> None:
    elsewhere = f"{provider.url}/chat/completions?key=s3cretkey".replace("127.0.0.1", "localhost")
    moved = Fails(status, "Moved.", "rate_limit_exceeded", headers={"location": elsewhere, "retry-after": "1"})
    provider.script(model, moved, Says("From elsewhere."))

    with pytest.raises(ProviderRefused, match="redirects are not followed") as refused:
        await ask(direct, saying(model))

    assert f"The provider of '{model}' answered {status}" in str(refused.value)
    assert "to localhost:" in str(refused.value)
    assert "s3cretkey" not in str(refused.value)
    assert len(provider.requests(model)) == 1


@pytest.mark.parametrize("headers", [{}, {"location": "/v2"}, {"location": "http://[x"}])
async def test_redirect_to_no_other_host_is_refused(
    direct: ChatCompletionsLanguageModel, provider: ScriptedProvider, model: str, headers: dict[str, str]
) -> None:
    provider.script(model, Fails(307, headers=headers))

    with pytest.raises(ProviderRefused, match="redirects are not followed"):
        await ask(direct, saying(model))
