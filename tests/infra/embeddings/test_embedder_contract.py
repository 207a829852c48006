"""What every embedder promises: the local model, really run, an endpoint of OpenAI's kind, and one by litellm."""

import asyncio
import math
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio

from infra.embeddings.openai_compatible import EmbeddingEndpoint
from infra.ports import Embedder
from infra.resources import open_embedder
from infra.settings import Settings
from tests.infra.embeddings.scripted_endpoint import running_endpoint
from tests.infra.embeddings.scripted_provider import running_provider

LONG = " ".join(f"Sentence {number} tells of the warehouse, its shelves and naïve façades." for number in range(200))


# One process of pytest-xdist runs all that use litellm: it takes seconds to import.
BY_LITELLM = pytest.param("gemini/gemini-embedding-001", marks=pytest.mark.xdist_group("litellm"))


@pytest_asyncio.fixture(scope="module", params=["local/minilm-int8", "openai/text-embedding-3-small", BY_LITELLM])
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[Embedder]:
    with running_endpoint() as endpoint, running_provider() as provider, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", endpoint.url)
        patch.setenv("GEMINI_API_BASE", provider.url)
        patch.setenv("GEMINI_API_KEY", "any")
        settings = Settings(embedding_model=request.param, embedding_window_tokens=300, embedding_threads=1)
        async with open_embedder(settings) as opened:
            assert opened is not None
            endpoint.dimensions = provider.dimensions = opened.dimensions
            yield opened


async def test_vectors_have_the_promised_length_and_unit_norm(embedder: Embedder) -> None:
    vectors = await embedder.embed(["one", "two words", "ein dritter Text", ""])

    assert [len(vector) for vector in vectors] == [embedder.dimensions] * 4
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1.0] * 4, abs=1e-5)


async def test_vector_depends_on_its_text_alone(embedder: Embedder) -> None:
    texts = ["a short one", LONG[:700], "another"]

    together = await embedder.embed(texts)
    alone = [(await embedder.embed([text]))[0] for text in texts]

    assert together == alone


async def test_many_texts_keep_their_order(embedder: Embedder) -> None:
    texts = [f"text {number}" for number in range(70)]

    together, some = await asyncio.gather(embedder.embed(texts), embedder.embed(texts[60:]))

    assert together[60:] == some
    assert len({tuple(vector) for vector in together}) == 70


async def test_no_texts_have_no_vectors(embedder: Embedder) -> None:
    assert await embedder.embed([]) == []


@pytest.mark.parametrize("text", [LONG, "x" * 5000, "漢字" * 900, "🧑🏽‍🚀" * 400, " " * 3000 + "word", "a"])
async def test_windows_are_the_whole_text(embedder: Embedder, text: str) -> None:
    assert "".join(await embedder.windows(text)) == text


async def test_windows_are_cut_at_words_and_of_one_size(embedder: Embedder) -> None:
    windows = await embedder.windows(LONG)

    assert len(windows) > 5
    assert max(map(len, windows)) < 1.3 * min(map(len, windows))
    assert not any(before[-1].isalnum() and after[0].isalnum() for before, after in pairwise(windows))


async def test_short_text_is_one_window(embedder: Embedder) -> None:
    assert await embedder.windows("a short text") == ["a short text"]


def test_endpoint_is_openai_s_unless_the_environment_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)

    assert EmbeddingEndpoint.from_environment("text-embedding-3-large", 0, 300).url == "https://api.openai.com/v1"
    assert EmbeddingEndpoint.from_environment("text-embedding-3-large", 0, 300).dimensions == 3072


async def test_none_is_no_embedder() -> None:
    async with open_embedder(Settings(embedding_model="none")) as opened:
        assert opened is None
