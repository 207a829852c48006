"""Searches vector stores: filter in SQL, candidates from the index, ranking by `models.ranking`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from infra.database import vector_store_files, vector_stores
from infra.database.engine import Database
from infra.ports import Embedder, VectorIndex
from models.errors import NotFound, VectorStoreExpired
from models.ranking import RankedChunk, ranked
from models.search_index import Candidates, IndexedFile, IndexedStore, IndexQuery, Vector
from models.vector_store_search import Filter, RankingOptions, SearchRequest, SearchResult, SearchResultsPage
from models.vector_stores import TextContent


@dataclass(frozen=True)
class FoundPassage:
    """A chunk that a search found, with its file's name and attributes."""

    file_id: str
    filename: str
    attributes: Mapping[str, Any]
    score: float
    text: str
    page: int | None


@dataclass(frozen=True)
class _Searched:
    store: IndexedStore
    files: Sequence[IndexedFile]


@dataclass(frozen=True)
class VectorStoreSearch:
    database: Database
    embedder: Embedder | None
    vector_index: VectorIndex

    async def search(self, project_id: str, store_id: str, request: SearchRequest) -> SearchResultsPage:
        """The best chunks for any of the queries. Raises `NotFound`, `VectorStoreExpired`, `EmbeddingFailed`,
        `VectorIndexUnavailable`.
        """
        searched = await self.database.read(_searched, project_id, store_id, request.filters)
        found = await self._passages([searched], request)
        return SearchResultsPage(search_query=request.query, data=[_result(passage) for passage in found])

    async def search_together(
        self, project_id: str, store_ids: Sequence[str], request: SearchRequest
    ) -> Sequence[FoundPassage]:
        """The best chunks of several stores. A store that was deleted or expired meanwhile adds nothing.

        Raises `EmbeddingFailed`, `VectorIndexUnavailable`.
        """
        searched = await self.database.read(_searched_of, project_id, store_ids, request.filters)
        return await self._passages(searched, request)

    async def _passages(self, searched: Sequence[_Searched], request: SearchRequest) -> Sequence[FoundPassage]:
        best: list[FoundPassage] = []
        for group in _by_model(searched):
            best += await self._of_one_model(group, request)
        # A file that is in two stores is found in both.
        unique = {(passage.file_id, passage.text): passage for passage in sorted(best, key=lambda each: each.score)}
        return sorted(unique.values(), key=lambda each: -each.score)[: request.max_num_results]

    async def _of_one_model(self, searched: Sequence[_Searched], request: SearchRequest) -> Sequence[FoundPassage]:
        for each in searched:
            await self.database.write(vector_stores.touch, each.store.id)
        with_files = [each for each in searched if each.files]
        found = await self._ranked(with_files, request) if with_files else []
        rows: dict[str, Any] = {}
        for each in with_files:
            wanted = {chunk.file_id for chunk in found}
            rows |= await self.database.read(vector_store_files.named, each.store.id, wanted)
        # A file that was removed meanwhile is not shown.
        return [
            FoundPassage(
                chunk.file_id,
                rows[chunk.file_id].filename,
                rows[chunk.file_id].attributes,
                chunk.score,
                chunk.chunk.text,
                chunk.chunk.page,
            )
            for chunk in found
            if chunk.file_id in rows
        ]

    async def _ranked(self, searched: Sequence[_Searched], request: SearchRequest) -> Sequence[RankedChunk]:
        options = request.ranking_options or RankingOptions()
        vectors = await self._vectors(searched[0].store, request.query)
        best: dict[tuple[str, int], RankedChunk] = {}
        for text, vector in zip(request.query, vectors, strict=True):
            candidates = _together(
                [await self.vector_index.search(each.store, IndexQuery(text, vector, each.files)) for each in searched]
            )
            for found in ranked(_by(options, candidates), request.max_num_results, options.score_threshold):
                key = (found.file_id, found.chunk.number)
                if key not in best or best[key].score < found.score:
                    best[key] = found
        return sorted(best.values(), key=lambda each: -each.score)[: request.max_num_results]

    async def _vectors(self, store: IndexedStore, queries: Sequence[str]) -> Sequence[Vector | None]:
        """None for each query where the store has vectors of another model, or none."""
        if self.embedder is None or store.embedding_model != self.embedder.model:
            return [None] * len(queries)
        # A query longer than the model's window is searched by its beginning.
        return await self.embedder.embed([(await self.embedder.windows(query))[0] for query in queries])


def _searched(connection: Connection, project_id: str, store_id: str, filters: Filter | None) -> _Searched:
    store = vector_stores.find_open(connection, project_id, store_id)
    return _Searched(vector_stores.indexed(store), vector_store_files.searchable(connection, store_id, filters))


def _searched_of(
    connection: Connection, project_id: str, store_ids: Sequence[str], filters: Filter | None
) -> Sequence[_Searched]:
    found: list[_Searched] = []
    for store_id in store_ids:
        try:
            found.append(_searched(connection, project_id, store_id, filters))
        except (NotFound, VectorStoreExpired):
            continue
    return found


def _by_model(searched: Sequence[_Searched]) -> Sequence[Sequence[_Searched]]:
    """Groups whose scores can be compared: vectors of different models never are."""
    groups: dict[str | None, list[_Searched]] = {}
    for each in searched:
        groups.setdefault(each.store.embedding_model, []).append(each)
    return list(groups.values())


def _together(candidates: Sequence[Candidates]) -> Candidates:
    """The candidates of several stores as if they were of one."""
    return Candidates(
        by_vector=[each for found in candidates for each in found.by_vector],
        by_keywords=[each for found in candidates for each in found.by_keywords],
        max_keyword_score=max(found.max_keyword_score for found in candidates),
    )


def _by(options: RankingOptions, candidates: Candidates) -> Candidates:
    is_by_vectors_alone = options.ranker == "none" and candidates.by_vector
    return replace(candidates, by_keywords=()) if is_by_vectors_alone else candidates


def _result(found: FoundPassage) -> SearchResult:
    return SearchResult(
        file_id=found.file_id,
        filename=found.filename,
        score=found.score,
        attributes=dict(found.attributes),
        content=[TextContent(text=found.text)],
    )
