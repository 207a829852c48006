"""The embedder of each vector store, whatever the setting is now."""

from collections.abc import Iterator

import pytest

from infra.embeddings.errors import EmbeddingRefused
from infra.resources import open_embedders
from infra.settings import Settings
from models.search_index import IndexedStore
from tests.infra.embeddings.scripted_endpoint import ScriptedEndpoint, running_endpoint

LOCAL = IndexedStore("vs_local", "local/minilm-int8", 384)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEndpoint]:
    with running_endpoint() as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        yield running


async def test_store_has_the_embedder_of_the_setting_where_it_is_of_its_model() -> None:
    async with open_embedders(Settings()) as embedders:
        assert await embedders.of(LOCAL) is embedders.for_new_stores
        assert await embedders.of(IndexedStore("vs_keywords", None, 0)) is None


async def test_local_model_of_an_older_store_is_opened_once() -> None:
    async with open_embedders(Settings(embedding_model="none")) as embedders:
        opened = await embedders.of(LOCAL)

        assert embedders.for_new_stores is None
        assert opened is not None
        assert opened is await embedders.of(LOCAL)
        [vector] = await opened.embed(["one"])
        assert len(vector) == LOCAL.dimensions


@pytest.mark.parametrize(
    ("model", "dimensions", "name", "sent"),
    [
        ("openai/bge-small", 8, "bge-small", None),
        ("openai/org/name@v2", 8, "org/name@v2", None),
        ("openai/text-embedding-3-small@256", 256, "text-embedding-3-small", 256),
    ],
)
async def test_endpoint_is_asked_for_the_model_that_a_store_remembers(
    model: str, dimensions: int, name: str, sent: int | None, endpoint: ScriptedEndpoint
) -> None:
    async with open_embedders(Settings()) as embedders:
        embedder = await embedders.of(IndexedStore("vs_older", model, dimensions))
        assert embedder is not None
        await embedder.embed(["one"])

        assert (embedder.model, embedder.dimensions) == (model, dimensions)
    [request] = endpoint.requests
    assert (request["model"], request.get("dimensions")) == (name, sent)


async def test_vectors_of_another_length_are_of_another_embedder(endpoint: ScriptedEndpoint) -> None:
    settings = Settings(embedding_model="openai/bge-small", embedding_dimensions=8)
    async with open_embedders(settings) as embedders:
        older = await embedders.of(IndexedStore("vs_older", "openai/bge-small", 16))
        assert older is not None
        with pytest.raises(EmbeddingRefused, match="vectors of 8 dimensions, not 16"):
            await older.embed(["one"])


async def test_unknown_model_is_refused() -> None:
    async with open_embedders(Settings()) as embedders:
        with pytest.raises(EmbeddingRefused, match="does not know the embedding model 'local/newer'"):
            await embedders.of(IndexedStore("vs_newer", "local/newer", 384))
