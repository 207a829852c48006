"""The embedder of each vector store, whatever the setting is now."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.embeddings.errors import EmbeddingRefused
from infra.errors import StartFailed
from infra.language_model.catalogue import ModelCatalogue
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


def models_file(folder: Path, *entries: Mapping[str, Any]) -> ModelCatalogue:
    """One entry of the name `house-vectors` with each of these parameters, and its alias."""
    listed = [{"model_name": "house-vectors", "litellm_params": params} for params in entries]
    others = {"model_name": "*", "litellm_params": {"model": "openai/*"}}
    path = folder / "models.yaml"
    aliases = {"model_group_alias": {"old-vectors": "house-vectors"}} if entries else {}
    path.write_text(yaml.safe_dump({"model_list": [*listed, others], "router_settings": aliases}))
    return ModelCatalogue.load(path)


@pytest.mark.parametrize("name", ["house-vectors", "old-vectors"])
async def test_entry_of_the_models_file_is_asked_at_its_address(
    name: str, endpoint: ScriptedEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("HOUSE_KEY", "sk-house")
    params = {"model": "openai/bge-small", "api_base": endpoint.url, "api_key": "os.environ/HOUSE_KEY"}
    catalogue = models_file(tmp_path, params)

    async with open_embedders(Settings(embedding_model=name, embedding_dimensions=8), catalogue) as embedders:
        new = embedders.for_new_stores
        assert new is not None
        await new.embed(["one"])
        remembered = IndexedStore("vs_new", new.model, new.dimensions)
        assert await embedders.of(remembered) is new
    async with open_embedders(Settings(), catalogue) as embedders:
        again = await embedders.of(remembered)
        assert again is not None
        await again.embed(["two"])

    assert (new.model, new.dimensions) == (again.model, again.dimensions) == (f"{name}=openai/bge-small", 8)
    assert [request["model"] for request in endpoint.requests] == ["bge-small"] * 2
    assert endpoint.keys == ["Bearer sk-house"] * 2


async def test_vectors_of_an_entry_that_leads_elsewhere_now_are_not_mixed(
    endpoint: ScriptedEndpoint, tmp_path: Path
) -> None:
    catalogue = models_file(tmp_path, {"model": "openai/newer", "api_base": endpoint.url})
    async with open_embedders(Settings(), catalogue) as embedders:
        for remembered in ("house-vectors=openai/bge-small", "house-vectors=openai/text-embedding-3-small@256"):
            with pytest.raises(EmbeddingRefused, match="leads to 'openai/newer' now, not to 'openai/"):
                await embedders.of(IndexedStore("vs_older", remembered, 8))
    assert endpoint.requests == []


@pytest.mark.xdist_group("litellm")
@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([], "does not know the embedding model 'house-vectors', nor does the models file."),
        ([{"model": "openai/a"}, {"model": "openai/b"}], "has 2 entries for the embedding model 'house-vectors'"),
        ([{"model": "cohre/embed"}], "does not know the embedding model 'cohre/embed'"),
        ([{"model": "openai/a", "timeout": 5}], "takes no 'timeout'"),
        ([{"model": "openai/a", "api_key": "os.environ/NO_SUCH_KEY"}], "not set: NO_SUCH_KEY"),
    ],
)
async def test_unusable_entry_stops_the_start(entries: list[Any], said: str, tmp_path: Path) -> None:
    settings = Settings(embedding_model="house-vectors", embedding_dimensions=8)

    with pytest.raises(StartFailed, match="HOLDFAST_EMBEDDING_MODEL=house-vectors: ") as raised:
        async with open_embedders(settings, models_file(tmp_path, *entries)):
            pass

    assert said in str(raised.value)


@pytest.mark.xdist_group("litellm")
async def test_unknown_model_is_refused() -> None:
    async with open_embedders(Settings()) as embedders:
        with pytest.raises(EmbeddingRefused, match="does not know the embedding model 'local/newer'"):
            await embedders.of(IndexedStore("vs_newer", "local/newer", 384))
