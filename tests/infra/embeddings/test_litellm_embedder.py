"""Providers with wires of their own, by litellm: Cohere's and Gemini's at the level of HTTP."""

import math
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from infra.embeddings import litellm_embedder
from infra.embeddings.errors import EmbeddingRefused, EmbeddingUnavailable
from infra.embeddings.litellm_endpoint import LitellmEndpoint
from infra.errors import StartFailed
from infra.language_model.litellm_loading import load_litellm
from infra.ports import Embedder
from infra.resources import open_embedders
from infra.settings import Settings
from models.search_index import IndexedStore
from tests.infra.embeddings.scripted_endpoint import Answer, running_endpoint
from tests.infra.embeddings.scripted_provider import COHERE, GEMINI, ScriptedProvider, of_vectors, running_provider
from tests.infra.embeddings.test_embedders import models_file

# Like all that use litellm.
pytestmark = pytest.mark.xdist_group("litellm")

KEY = "house-key-of-nine-words"
MODELS = {COHERE: "cohere/embed-english-v3.0", GEMINI: "gemini/gemini-embedding-001"}
PURPOSES = {
    COHERE: ("search_document", "search_query"),
    GEMINI: ("RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"),
}


@pytest.fixture
def vendor() -> Iterator[ScriptedProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture(params=[COHERE, GEMINI])
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture
async def embedder(wire: str, vendor: ScriptedProvider, tmp_path: Path) -> AsyncIterator[Embedder]:
    entry = {"model": MODELS[wire], "api_base": f"{vendor.url}/{wire}", "api_key": KEY}
    settings = Settings(embedding_model="house-vectors", embedding_dimensions=8)
    async with open_embedders(settings, models_file(tmp_path, entry)) as embedders:
        assert embedders.for_new_stores is not None
        yield embedders.for_new_stores


async def test_documents_and_queries_are_told_apart(embedder: Embedder, wire: str, vendor: ScriptedProvider) -> None:
    [document] = await embedder.embed(["one"])
    [query] = await embedder.embed(["two"], are_queries=True)

    assert [asked.purpose for asked in vendor.asked] == list(PURPOSES[wire])
    assert [asked.texts for asked in vendor.asked] == [["one"], ["two"]]
    assert {(asked.wire, asked.model, asked.key) for asked in vendor.asked} == {
        (wire, MODELS[wire].partition("/")[2], KEY)
    }
    assert [math.hypot(*vector) for vector in (document, query)] == pytest.approx([1, 1])


async def test_many_texts_are_several_requests_and_keep_their_order(
    embedder: Embedder, vendor: ScriptedProvider
) -> None:
    texts = [str(number) for number in range(130)]

    vectors = await embedder.embed(texts)

    assert [len(asked.texts) for asked in vendor.asked] == [64, 64, 2]
    assert vectors[70:71] == await embedder.embed(["70"])


async def test_text_that_looks_like_a_file_is_a_text(embedder: Embedder, vendor: ScriptedProvider) -> None:
    texts = ["gs://bucket/a.png", "data:image/png;base64,aGVsbG8=", "files/one", " \n"]

    await embedder.embed(texts)

    assert [asked.texts for asked in vendor.asked] == [[*(f" {text}" for text in texts[:3]), "-"]]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_passing_failures_may_be_retried(status: int, embedder: Embedder, vendor: ScriptedProvider) -> None:
    vendor.script.append(Answer(status, {"error": {"message": "busy"}, "message": "busy"}, {"retry-after": "7"}))

    with pytest.raises(EmbeddingUnavailable, match=f"answered {status}: .*busy") as raised:
        await embedder.embed(["one"])

    assert raised.value.retry_after == timedelta(seconds=7)
    assert len(vendor.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_lasting_failures_are_not_retried(status: int, embedder: Embedder, vendor: ScriptedProvider) -> None:
    said = f"not with {KEY}"
    vendor.script.append(Answer(status, {"error": {"message": said}, "message": said}))

    with pytest.raises(EmbeddingRefused, match="not with") as raised:
        await embedder.embed(["one"])

    assert KEY not in str(raised.value)
    assert len(vendor.asked) == 1


async def test_openai_s_client_asks_once(tmp_path: Path) -> None:
    """litellm embeds by it for Mistral and others."""
    settings = Settings(embedding_model="house-vectors", embedding_dimensions=8)
    with running_endpoint() as endpoint:
        entry = {"model": "mistral/mistral-embed", "api_base": endpoint.url, "api_key": KEY}
        endpoint.script.append(Answer(503, {"error": {"message": "busy"}}))
        async with open_embedders(settings, models_file(tmp_path, entry)) as embedders:
            assert embedders.for_new_stores is not None
            with pytest.raises(EmbeddingUnavailable, match=r"answered 503: .*busy"):
                await embedders.for_new_stores.embed(["one"])

        assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([], "0 vectors for 1 texts"),
        ([[0.0] * 8], "without a direction"),
        ([[1.2e154] * 8], "without a direction"),
        ([[10**400] * 8], "without a direction"),
        ([[1.0] * 9], "set HOLDFAST_EMBEDDING_DIMENSIONS=9"),
        ([["a"] * 8], "not with embeddings"),
    ],
)
async def test_answers_that_are_none_are_refused(
    vectors: Any, message: str, embedder: Embedder, wire: str, vendor: ScriptedProvider
) -> None:
    vendor.script.append(Answer(200, of_vectors(wire, vectors)))

    with pytest.raises(EmbeddingRefused, match=message):
        await embedder.embed(["one"])


@pytest.mark.parametrize("body", [b"<html>", {"surprise": 1}], ids=["html", "other"])
async def test_answers_without_embeddings_are_refused(body: Any, embedder: Embedder, vendor: ScriptedProvider) -> None:
    vendor.script.append(Answer(200, body))

    with pytest.raises(EmbeddingRefused):
        await embedder.embed(["one"])


async def test_redirects_are_not_followed(embedder: Embedder, vendor: ScriptedProvider) -> None:
    with running_provider() as elsewhere:
        vendor.script.append(Answer(307, b"", {"location": f"{elsewhere.url}/x"}))

        with pytest.raises(EmbeddingRefused, match="redirects are not followed"):
            await embedder.embed(["one"])

        assert elsewhere.asked == []


def test_blocking_connections_follow_no_redirects(vendor: ScriptedProvider) -> None:
    """Some adapters have no others."""
    load_litellm()
    from litellm.llms.custom_httpx.http_handler import HTTPHandler

    with running_provider() as elsewhere, closing(HTTPHandler()) as connection:
        vendor.script.append(Answer(307, b"", {"location": f"{elsewhere.url}/x"}))

        with pytest.raises(httpx.HTTPStatusError):
            connection.post(vendor.url, headers={"authorization": KEY}, json={"model": "m", "texts": ["one"]})

        assert (len(vendor.asked), elsewhere.asked) == (1, [])


async def test_provider_that_does_not_answer_is_unavailable(
    embedder: Embedder, vendor: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm_embedder, "CALL_TIMEOUT", timedelta(seconds=0.2))
    vendor.may_answer.clear()

    with pytest.raises(EmbeddingUnavailable, match="does not answer"):
        await embedder.embed(["one"])


async def test_provider_that_is_gone_is_unavailable(wire: str, tmp_path: Path) -> None:
    with running_provider() as gone:
        entry = {"model": MODELS[wire], "api_base": gone.url, "api_key": KEY}
    settings = Settings(embedding_model="house-vectors", embedding_dimensions=8)

    async with open_embedders(settings, models_file(tmp_path, entry)) as embedders:
        assert embedders.for_new_stores is not None
        with pytest.raises(EmbeddingUnavailable):
            await embedders.for_new_stores.embed(["one"])


async def test_model_of_the_environment_is_found_again_with_its_length(
    vendor: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    monkeypatch.setenv("GEMINI_API_BASE", vendor.url)
    async with open_embedders(Settings(embedding_model=MODELS[GEMINI], embedding_dimensions=8)) as embedders:
        new = embedders.for_new_stores
        assert new is not None
        await new.embed(["one"])
        remembered = IndexedStore("vs_new", new.model, new.dimensions)
        assert await embedders.of(remembered) is new
    async with open_embedders(Settings()) as embedders:
        again = await embedders.of(remembered)
        assert again is not None
        await again.embed(["two"])

    assert (new.model, again.model, again.dimensions) == (f"{MODELS[GEMINI]}@8", f"{MODELS[GEMINI]}@8", 8)
    assert [(asked.model, asked.dimensions, asked.key) for asked in vendor.asked] == [
        ("gemini-embedding-001", 8, KEY)
    ] * 2


async def test_store_whose_entry_leads_elsewhere_now_is_refused(vendor: ScriptedProvider, tmp_path: Path) -> None:
    catalogue = models_file(tmp_path, {"model": MODELS[COHERE], "api_base": vendor.url})
    async with open_embedders(Settings(), catalogue) as embedders:
        with pytest.raises(EmbeddingRefused, match=f"leads to '{MODELS[COHERE]}' now, not to 'cohere/embed-v4.0@256'"):
            await embedders.of(IndexedStore("vs_older", "house-vectors=cohere/embed-v4.0@256", 256))
    assert vendor.asked == []


@pytest.mark.parametrize(
    ("model", "dimensions", "said"),
    [
        ("cohre/embed", 8, "does not know the embedding model 'cohre/embed'"),
        ("cohere/embed-english-v3.0", 0, "Set HOLDFAST_EMBEDDING_DIMENSIONS"),
        ("huggingface/sentence-transformers/x", 8, "does not embed by"),
    ],
)
async def test_unusable_model_stops_the_start(model: str, dimensions: int, said: str) -> None:
    with pytest.raises(StartFailed, match=f"HOLDFAST_EMBEDDING_MODEL={model}: ") as raised:
        async with open_embedders(Settings(embedding_model=model, embedding_dimensions=dimensions)):
            pass

    assert said in str(raised.value)


async def test_provider_without_embeddings_is_refused_by_the_first_text() -> None:
    async with open_embedders(Settings(embedding_model="anthropic/claude", embedding_dimensions=8)) as embedders:
        assert embedders.for_new_stores is not None
        with pytest.raises(EmbeddingRefused, match="Unmapped LLM provider"):
            await embedders.for_new_stores.embed(["one"])


@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        ("voyage/voyage-4", {"input_type": "query"}),
        ("bedrock/cohere.embed-english-v3", {"input_type": "search_query"}),
        ("bedrock/amazon.titan-embed-text-v2:0", {}),
        ("mistral/mistral-embed", {}),
    ],
)
def test_only_providers_that_ask_for_it_are_told_the_purpose(name: str, purpose: Mapping[str, str]) -> None:
    assert LitellmEndpoint.of(name, 8, 4096, {}, name).purpose(are_queries=True) == purpose


@pytest.mark.parametrize(
    ("name", "window_tokens", "texts"),
    [
        ("cohere/embed-english-v3.0", 384, 64),
        ("voyage/voyage-4", 4096, 24),
        ("voyage/not-listed", 4096, 24),
        ("gemini/gemini-embedding-001", 1536, 64),
    ],
)
def test_requests_and_windows_are_within_the_provider_s_bounds(name: str, window_tokens: int, texts: int) -> None:
    endpoint = LitellmEndpoint.of(name, 8, 4096, {}, name)

    assert (endpoint.window_tokens, endpoint.texts_per_request) == (window_tokens, texts)
