"""Chunks with a vector for each of their windows, and windows that chunks share."""

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from infra.documents.chunking import chunks
from infra.embeddings.windows import embedded_chunks
from infra.ports import Embedder
from infra.resources import open_embedder
from infra.settings import Settings
from models.chunks import Chunk
from models.documents import Document, Page

TEXT = " ".join(f"The machine number {number} has a valve, a filter and a pump." for number in range(130))


class CountingEmbedder:
    """The real one, with the texts that it embeds."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.model = embedder.model
        self.dimensions = embedder.dimensions
        self.texts: list[str] = []

    async def windows(self, text: str) -> Sequence[str]:
        return await self._embedder.windows(text)

    async def embed(self, texts: Sequence[str], are_queries: bool = False) -> Sequence[Sequence[float]]:
        self.texts += texts
        return await self._embedder.embed(texts)


@pytest_asyncio.fixture(scope="module")
async def local() -> AsyncIterator[Embedder]:
    async with open_embedder(Settings(embedding_threads=1)) as opened:
        assert opened is not None
        yield opened


@pytest.fixture
def embedder(local: Embedder) -> CountingEmbedder:
    return CountingEmbedder(local)


async def test_long_chunk_has_a_vector_for_each_window(embedder: CountingEmbedder) -> None:
    [indexed] = await embedded_chunks(embedder, [Chunk(0, TEXT[:3000], page=4)])

    assert "".join(embedder.texts) == TEXT[:3000]
    assert len(indexed.vectors) == len(embedder.texts) > 2
    assert (indexed.number, indexed.text, indexed.page) == (0, TEXT[:3000], 4)


async def test_windows_that_chunks_share_are_embedded_once(embedder: CountingEmbedder) -> None:
    cut = chunks(Document([Page(None, TEXT)]))

    indexed = await embedded_chunks(embedder, cut)

    assert "".join(embedder.texts) == TEXT
    assert [len(chunk.vectors) for chunk in indexed[:-1]] == [4] * (len(cut) - 1)
    assert indexed[0].vectors[2:] == indexed[1].vectors[:2]


async def test_batches_give_the_vectors_of_the_whole(embedder: CountingEmbedder) -> None:
    cut = chunks(Document([Page(None, TEXT)]), 600, 300)

    whole = await embedded_chunks(embedder, cut)
    parts = [*await embedded_chunks(embedder, cut[:1], following=cut[1]), *await embedded_chunks(embedder, cut[1:])]

    assert parts == whole


async def test_short_overlaps_have_no_window_of_their_own(embedder: CountingEmbedder) -> None:
    await embedded_chunks(embedder, [Chunk(0, "x " * 50), Chunk(1, "x " * 50, overlap=10)])

    assert embedder.texts == ["x " * 50]


async def test_without_an_embedder_chunks_have_no_vectors() -> None:
    [indexed] = await embedded_chunks(None, [Chunk(0, "text")])

    assert indexed.vectors == ()
