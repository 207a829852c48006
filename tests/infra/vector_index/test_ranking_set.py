"""Whether the right passage is found: a labelled set, the real model, the real indexes, the real fusion."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from infra.embeddings.windows import embedded_chunks
from infra.ports import Embedder, VectorIndex
from infra.resources import open_embedder, open_vector_index
from infra.settings import Settings
from models.chunks import Chunk
from models.ranking import ranked
from models.search_index import FileSelection, IndexedFile, IndexedStore, IndexQuery
from tests.weaviate_server import WEAVIATE

SET: dict[str, Any] = json.loads((Path(__file__).parent / "ranking_set.json").read_text())
PARAPHRASED_PASSAGES = 100
FILE = IndexedFile("file-one", 1)


@dataclass(frozen=True)
class Searched:
    embedder: Embedder
    index: VectorIndex
    store: IndexedStore

    async def share_found(self, questions: Sequence[dict[str, Any]], first: int) -> float:
        """How many of the questions have their passage among the `first` chunks."""
        found = [await self.finds(item["question"], item["passage"], first) for item in questions]
        return sum(found) / len(found)

    async def finds(self, question: str, passage: int, first: int) -> bool:
        [vector] = await self.embedder.embed([question])
        candidates = await self.index.search(self.store, IndexQuery(question, vector, FileSelection([FILE])))
        return passage in [item.key.number for item in ranked(candidates, limit=first)]


@pytest_asyncio.fixture(scope="module", params=["sqlite", pytest.param("weaviate", marks=WEAVIATE)])
async def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Searched, Searched]]:
    """One of the passages that are asked for in other words, and one of all."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("weaviate").url
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), embedding_threads=1, vector_index_url=url)
    async with open_embedder(settings) as embedder, open_vector_index(settings) as index:
        assert embedder is not None
        indexed = await embedded_chunks(embedder, [Chunk(number, text) for number, text in enumerate(SET["passages"])])
        paraphrased = IndexedStore("vs_paraphrased", embedder.model, embedder.dimensions)
        every = IndexedStore("vs_every", embedder.model, embedder.dimensions)
        await index.upsert(paraphrased, FILE, indexed[:PARAPHRASED_PASSAGES])
        await index.upsert(every, FILE, indexed)
        yield Searched(embedder, index, paraphrased), Searched(embedder, index, every)


async def test_questions_in_other_words_find_their_passages(stores: tuple[Searched, Searched]) -> None:
    paraphrased, _ = stores

    assert await paraphrased.share_found(SET["paraphrases"], first=1) >= 27 / 30
    assert await paraphrased.share_found(SET["paraphrases"], first=5) >= 29 / 30


async def test_part_numbers_among_others_like_them_are_found_first(stores: tuple[Searched, Searched]) -> None:
    _, every = stores

    assert len(SET["part_numbers"]) == 20
    assert await every.share_found(SET["part_numbers"], first=1) == 1.0


async def test_rare_words_are_found_first(stores: tuple[Searched, Searched]) -> None:
    _, every = stores

    assert await every.share_found(SET["keywords"], first=1) == 1.0
