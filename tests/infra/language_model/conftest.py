"""Models under test, and a guard: tests may connect to loopback only."""

import hashlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.ports import LanguageModel
from tests.infra.language_model.passed_on import Models
from tests.provider.scripted_provider import ScriptedProvider

Adapter = Callable[[ModelCatalogue], LanguageModel]

LOOPBACK = ("127.0.0.1", "::1", "localhost", b"localhost", None)
_is_guarding = False


def _refuse_other_hosts(event: str, arguments: tuple[object, ...]) -> None:
    if not _is_guarding or event not in {"socket.connect", "socket.getaddrinfo"}:
        return
    host = arguments[0]
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    if host not in LOOPBACK:
        raise AssertionError(f"{event} to {host!r}")


sys.addaudithook(_refuse_other_hosts)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process of pytest-xdist runs all that use litellm: it takes seconds to import, and 300 MB."""
    for item in items:
        uses = (item.nodeid, *getattr(item, "fixturenames", ()))
        if any("litellm" in each for each in uses) and item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("litellm"))


@pytest.fixture(autouse=True)
def _only_loopback() -> Iterator[None]:
    global _is_guarding
    _is_guarding = True
    yield
    _is_guarding = False


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """A model name that is unique to the test, and with it the script."""
    return f"model-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"


@pytest.fixture
def litellm_model(provider: ScriptedProvider, tmp_path: Path) -> LitellmLanguageModel:
    """Any model name reaches the scripted provider, through litellm's Router."""
    return LitellmLanguageModel(ModelCatalogue.load(provider.models_file(tmp_path)))


@pytest.fixture
def models(provider: ScriptedProvider, tmp_path: Path) -> Models:
    """Models files with the scripted provider behind entries of any wire."""
    return Models(provider, tmp_path)


@pytest.fixture
def open_litellm_model(provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch) -> LitellmLanguageModel:
    """Names are passed to litellm unchanged; `openai/…` reaches the scripted provider."""
    monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-scripted-provider")
    return LitellmLanguageModel(ModelCatalogue())


@pytest.fixture(params=["litellm", "direct"])
async def adapter(request: pytest.FixtureRequest) -> AsyncIterator[Adapter]:
    """Each adapter to providers, with a catalogue of the test."""
    opened: list[ChatCompletionsLanguageModel] = []

    def open_direct(catalogue: ModelCatalogue) -> LanguageModel:
        opened.append(ChatCompletionsLanguageModel(catalogue))
        return opened[-1]

    yield LitellmLanguageModel if request.param == "litellm" else open_direct
    for language_model in opened:
        await language_model.close()


@pytest.fixture
def language_model(adapter: Adapter, provider: ScriptedProvider, tmp_path: Path) -> LanguageModel:
    """Any model name reaches the scripted provider, by a models file."""
    return adapter(ModelCatalogue.load(provider.models_file(tmp_path)))


@pytest.fixture
def open_language_model(adapter: Adapter, open_litellm_model: LitellmLanguageModel) -> LanguageModel:
    """Without a models file: `openai/…` reaches the scripted provider."""
    return adapter(ModelCatalogue())
