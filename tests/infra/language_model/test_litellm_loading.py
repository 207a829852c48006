import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openai._utils import _transform

from infra.language_model.litellm_model import LitellmLanguageModel
from models.language_model import AssistantTurn, TextPart, UserTurn
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import Says
from tests.provider.scripted_provider import ScriptedProvider

IMPORTING = """
import sys
import infra.resources, infra.language_model.catalogue, infra.language_model.litellm_model
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.litellm_model import LitellmLanguageModel
LitellmLanguageModel(ModelCatalogue())
ChatCompletionsLanguageModel(ModelCatalogue())
print([name for name in ("litellm", "openai", "httpx", "tiktoken") if name in sys.modules])
"""

CALLING = """
import asyncio, sys

def refuse(event, arguments):
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", "localhost", None):
        raise AssertionError(arguments)
    if event == "socket.connect" and arguments[1][0] not in ("127.0.0.1", "::1"):
        raise AssertionError(arguments)

sys.addaudithook(refuse)
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.litellm_model import LitellmLanguageModel
from models.language_model import ModelRequest, TextPart, UserTurn

async def call():
    language_model = LitellmLanguageModel(ModelCatalogue())
    await language_model.prepare()
    assert await language_model.context_window_tokens("gpt-4o")
    assert await language_model.count_tokens("gpt-4o", "Hello") == 1
    assert await language_model.count_tokens("claude-2", "Hello") == 1
    request = ModelRequest(sys.argv[1], (UserTurn((TextPart("Hello"),)),))
    print([delta async for delta in language_model.stream(request)][0])

asyncio.run(call())
"""


@pytest.mark.slow
def test_litellm_is_not_loaded_without_model_call() -> None:
    assert _run(IMPORTING) == "[]"


DIRECTLY = """
import asyncio, sys
from pathlib import Path
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.selection import LanguageModelByName
from models.language_model import Function, ModelRequest, TextPart, UserTurn

async def call():
    catalogue = ModelCatalogue.load(Path(sys.argv[2]))
    direct = ChatCompletionsLanguageModel(catalogue)
    language_model = LanguageModelByName(catalogue, direct, LitellmLanguageModel(catalogue))
    await language_model.prepare()
    assert await language_model.context_window_tokens("gpt-4o")
    assert "tiktoken" not in sys.modules
    assert await language_model.count_tokens("gpt-4o", "Hello") == 1
    assert await language_model.count_tokens("gpt-4o", "Hello " * 10_000) > 5_000
    request = ModelRequest(sys.argv[1], (UserTurn((TextPart("Hello"),)),), functions=(Function("f"),))
    print([delta async for delta in language_model.stream(request)][0])
    await direct.close()
    assert not {"litellm", "openai"} & sys.modules.keys()

asyncio.run(call())
"""


@pytest.mark.slow
def test_litellm_is_not_loaded_for_direct_models(provider: ScriptedProvider, model: str, tmp_path: Path) -> None:
    provider.script(model, Says("Hi."))

    assert _run(DIRECTLY, model, str(provider.models_file(tmp_path))) == "TextDelta(text='Hi.')"


@pytest.mark.slow
def test_first_call_contacts_only_provider(provider: ScriptedProvider, model: str) -> None:
    provider.script(model, Says("Hi."))

    output = _run(CALLING, f"openai/{model}", OPENAI_BASE_URL=provider.url, OPENAI_API_KEY="sk-scripted-provider")

    assert output == "TextDelta(text='Hi.')"


async def test_cost_of_preparing_call_does_not_depend_on_content(
    litellm_model: LitellmLanguageModel, provider: ScriptedProvider, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """openai's client visited every field of every message, on the event loop."""
    visited: list[object] = []
    visit = _transform._async_transform_recursive

    async def counted(data: object, *rest: Any, **named: Any) -> object:
        visited.append(data)
        return await visit(data, *rest, **named)

    monkeypatch.setattr(_transform, "_async_transform_recursive", counted)
    said = (UserTurn((TextPart("Hello"),)), AssistantTurn("Hi."))
    visits = []
    for length in (1, 100):
        provider.script(model, Says("Hi."))
        await ask(litellm_model, replace(saying(model), prompt=said * length))
        visits.append(len(visited))
        visited.clear()

    assert visits[0] == visits[1] > 0
    assert len(provider.requests(model)[1]["messages"]) == 200


def _run(program: str, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()
