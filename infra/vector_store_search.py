"""Searches a vector store: filter in SQL, candidates from the index, ranking by `models.ranking`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from infra.database import vector_store_files, vector_stores
from infra.database.columns import AnyRow
from infra.database.engine import Database
from infra.ports import Embedder, VectorIndex
from models.ranking import RankedChunk, ranked
from models.search_index import Candidates, IndexedFile, IndexedStore, IndexQuery, Vector
from models.vector_store_search import RankingOptions, SearchRequest, SearchResult, SearchResultsPage
from models.vector_stores import TextContent


@dataclass(frozen=True)
class VectorStoreSearch:
    database: Database
    embedder: Embedder | None
    vector_index: VectorIndex

    async def search(self, project_id: str, store_id: str, request: SearchRequest) -> SearchResultsPage:
        """The best chunks for any of the queries. Raises `NotFound`, `VectorStoreExpired`, `EmbeddingFailed`,
        `VectorIndexUnavailable`.
        """
        row, files = await self.database.read(_searched, project_id, store_id, request)
        if vector_stores.is_use_due(row):
            await self.database.write(vector_stores.touch, store_id)
        found = await self._ranked(vector_stores.indexed(row), files, request) if files else []
        rows = await self.database.read(vector_store_files.named, store_id, {each.file_id for each in found})
        # A file that was removed meanwhile is not shown.
        results = [_result(each, rows[each.file_id]) for each in found if each.file_id in rows]
        return SearchResultsPage(search_query=request.query, data=results)

    async def _ranked(
        self, store: IndexedStore, files: Sequence[IndexedFile], request: SearchRequest
    ) -> Sequence[RankedChunk]:
        options = request.ranking_options or RankingOptions()
        vectors = await self._vectors(store, request.query)
        best: dict[tuple[str, int], RankedChunk] = {}
        for text, vector in zip(request.query, vectors, strict=True):
            candidates = await self.vector_index.search(store, IndexQuery(text, vector, files))
            for each in ranked(_by(options, candidates), request.max_num_results, options.score_threshold):
                key = (each.file_id, each.chunk.number)
                if key not in best or best[key].score < each.score:
                    best[key] = each
        return sorted(best.values(), key=lambda each: -each.score)[: request.max_num_results]

    async def _vectors(self, store: IndexedStore, queries: Sequence[str]) -> Sequence[Vector | None]:
        """None for each query where the store has vectors of another model, or none."""
        if self.embedder is None or store.embedding_model != self.embedder.model:
            return [None] * len(queries)
        # A query longer than the model's window is searched by its beginning.
        return await self.embedder.embed([(await self.embedder.windows(query))[0] for query in queries])


def _searched(
    connection: Connection, project_id: str, store_id: str, request: SearchRequest
) -> tuple[AnyRow, Sequence[IndexedFile]]:
    row = vector_stores.find_open(connection, project_id, store_id)
    return row, vector_store_files.searchable(connection, store_id, request.filters)


def _by(options: RankingOptions, candidates: Candidates) -> Candidates:
    is_by_vectors_alone = options.ranker == "none" and candidates.by_vector
    return replace(candidates, by_keywords=()) if is_by_vectors_alone else candidates


def _result(found: RankedChunk, row: AnyRow) -> SearchResult:
    return SearchResult(
        file_id=found.file_id,
        filename=row.filename,
        score=found.score,
        attributes=row.attributes,
        content=[TextContent(text=found.chunk.text)],
    )
