"""A project's collected pages in the vector index: adding one, and searching all."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from infra.database import web_collections
from infra.database.columns import AnyRow
from infra.database.engine import Database
from infra.documents.chunking import chunks
from infra.embeddings.embedders import Embedders
from infra.embeddings.windows import embedded_chunks
from infra.ports import VectorIndex
from models.answers import storable
from models.chunks import Chunk
from models.documents import Document, Page
from models.ranking import RankedChunk, ranked
from models.search_index import Candidate, Candidates, FileSelection, IndexedFile, IndexedStore, IndexQuery
from models.tool_calls import WebPassage, WebSource

CHUNK_TOKENS = 512
OVERLAP_TOKENS = 64
CHUNKS_AT_A_TIME = 16
MAX_PAGE_TOKENS = 200_000
NAMED_PAGES = 500
"""Up to so many are named to the index. Of more, it searches all, and those of another generation are left out."""

MAX_PAGES_OF_DOMAINS = 5_000
CANDIDATES = 50
OF_ALL_PAGES = 2 * CANDIDATES


@dataclass(frozen=True)
class WebCollectionSearch:
    database: Database
    embedders: Embedders
    vector_index: VectorIndex

    async def add(self, project_id: str, store: IndexedStore, page: IndexedFile, text: str) -> int | None:
        """Index a page in a new generation. Returns the number of its chunks; None: the collection was forgotten.

        All chunks are in the index, or none. Raises `EmbeddingFailed`, `VectorIndexUnavailable`, `DocumentTooLarge`.
        """
        document = Document([Page(None, text)])
        cut = await asyncio.to_thread(chunks, document, CHUNK_TOKENS, OVERLAP_TOKENS, MAX_PAGE_TOKENS)
        is_added = False
        try:
            is_added = await self._add_chunks(project_id, store, page, cut)
        finally:
            if not is_added:
                await self.vector_index.delete_generation(store, page)
        return len(cut) if is_added else None

    async def _add_chunks(self, project_id: str, store: IndexedStore, page: IndexedFile, cut: Sequence[Chunk]) -> bool:
        embedder = await self.embedders.of(store)
        for at in range(0, len(cut), CHUNKS_AT_A_TIME):
            end = at + CHUNKS_AT_A_TIME
            batch = await embedded_chunks(embedder, cut[at:end], next(iter(cut[end : end + 1]), None))
            # After the embedding, which may take a minute: chunks that came so late would stay in the index.
            if not await self.database.read(web_collections.is_there, project_id, store.id):
                return False
            await self.vector_index.upsert(store, page, batch)
        return True

    async def search(
        self, project_id: str, query: str, limit: int, domains: Collection[str] | None = None
    ) -> Sequence[WebPassage]:
        """The best passages of the project's pages. Raises `EmbeddingFailed`, `VectorIndexUnavailable`."""
        row = await self.database.read(web_collections.find, project_id)
        if row is None:
            return ()
        store = web_collections.indexed(row)
        most = NAMED_PAGES + 1 if domains is None else MAX_PAGES_OF_DOMAINS
        pages = await self.database.read(web_collections.searchable, store.id, domains, most)
        if not pages:
            return ()
        is_all = domains is None and len(pages) > NAMED_PAGES
        candidates = await self._candidates(store, query, None if is_all else pages)
        found = ranked(candidates, limit)
        rows, texts = await asyncio.gather(
            self.database.read(web_collections.named, store.id, {each.file_id for each in found}),
            self.vector_index.texts(store, [each.key for each in found]),
        )
        # A page that was removed meanwhile, or is collected anew, is not shown.
        return [
            _passage(each, rows[each.file_id], texts[each.key].text)
            for each in found
            if each.file_id in rows and each.key in texts
        ]

    async def _candidates(self, store: IndexedStore, query: str, pages: Sequence[IndexedFile] | None) -> Candidates:
        embedder = await self.embedders.of(store)
        vector = None
        if embedder is not None:
            [vector] = await embedder.embed([(await embedder.windows(query))[0]], are_queries=True)
        limit = CANDIDATES if pages is not None else OF_ALL_PAGES
        searched = None if pages is None else FileSelection(pages)
        found = await self.vector_index.search(store, IndexQuery(query, vector, searched, limit))
        if pages is not None:
            return found
        among = {each.key.file_id for each in (*found.by_vector, *found.by_keywords)}
        rows = await self.database.read(web_collections.named, store.id, among)
        return replace(found, by_vector=_current(found.by_vector, rows), by_keywords=_current(found.by_keywords, rows))


def _current(candidates: Sequence[Candidate], rows: Mapping[str, AnyRow]) -> Sequence[Candidate]:
    current = {IndexedFile(page_id, row.generation) for page_id, row in rows.items()}
    return [each for each in candidates if each.key.file in current]


def _passage(found: RankedChunk, row: AnyRow, text: str) -> WebPassage:
    return WebPassage(row.url, row.title, storable(text), WebSource.COLLECTION, row.depth, found.score)
