"""Searches vector stores: filter in SQL, candidates from the index, ranking by `models.ranking`."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from infra.database import vector_store_files, vector_stores
from infra.database.columns import AnyRow
from infra.database.engine import Database
from infra.embeddings.embedders import Embedders
from infra.ports import VectorIndex
from infra.searchable_files import SearchableFiles
from models.errors import NotFound
from models.ranking import RankedChunk, ranked
from models.search_index import (
    Candidate,
    Candidates,
    ChunkKey,
    FileSelection,
    IndexedChunk,
    IndexedFile,
    IndexedStore,
    IndexQuery,
    Vector,
)
from models.vector_store_errors import VectorStoreExpired
from models.vector_store_search import Filter, RankingOptions, SearchRequest, SearchResult, SearchResultsPage
from models.vector_stores import TextContent

CANDIDATES = 50
NAMED_FILES = 500
"""Without a filter, up to so many files are named to the index. Of more, it searches all, and the best are looked up:
so a store to which files are being added need not be read as a whole for each search."""
ALL_FILES = CANDIDATES + 25
"""So many of all: some may be of files that are in progress."""


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
class _Scope:
    """What a search of one store is of. `files` are those that match; None: there is no filter, and they are many."""

    row: AnyRow
    files: FileSelection | None

    @property
    def store(self) -> IndexedStore:
        return vector_stores.indexed(self.row)


@dataclass(frozen=True)
class VectorStoreSearch:
    database: Database
    embedders: Embedders
    vector_index: VectorIndex
    searchable_files: SearchableFiles = field(default_factory=SearchableFiles)

    async def search(self, project_id: str, store_id: str, request: SearchRequest) -> SearchResultsPage:
        """The best chunks for any of the queries. Raises `NotFound`, `VectorStoreExpired`, `EmbeddingFailed`,
        `VectorIndexUnavailable`.
        """
        scope = await self.database.read(self._scope, project_id, store_id, request.filters)
        found = await self._passages([scope], request)
        return SearchResultsPage(search_query=request.query, data=[_result(passage) for passage in found])

    async def search_together(
        self, project_id: str, store_ids: Sequence[str], request: SearchRequest
    ) -> Sequence[FoundPassage]:
        """The best chunks of several stores. A store that was deleted or expired meanwhile adds nothing.

        Raises `EmbeddingFailed`, `VectorIndexUnavailable`.
        """
        scopes = await self.database.read(self._scopes, project_id, store_ids, request.filters)
        return await self._passages(scopes, request)

    async def _passages(self, scopes: Sequence[_Scope], request: SearchRequest) -> Sequence[FoundPassage]:
        best: list[FoundPassage] = []
        for group in _by_model(scopes):
            best += await self._of_one_model(group, request)
        # A file that is in two stores is found in both.
        unique = {(passage.file_id, passage.text): passage for passage in sorted(best, key=lambda each: each.score)}
        return sorted(unique.values(), key=lambda each: -each.score)[: request.max_num_results]

    async def _of_one_model(self, scopes: Sequence[_Scope], request: SearchRequest) -> Sequence[FoundPassage]:
        for each in scopes:
            if vector_stores.is_use_due(each.row):
                await self.database.write(vector_stores.touch, each.store.id)
        with_files = [each for each in scopes if each.files is None or len(each.files)]
        found = await self._ranked(with_files, request) if with_files else []
        rows, texts = await asyncio.gather(self._rows(with_files, found), self._texts(found))
        # A file that was removed meanwhile is not shown, nor a chunk of a generation that was.
        passages: list[FoundPassage] = []
        for chunk in found:
            row = rows.get((chunk.key.store, chunk.file_id))
            text = texts.get(chunk.key)
            if row is not None and text is not None:
                passages.append(
                    FoundPassage(chunk.file_id, row.filename, row.attributes, chunk.score, text.text, text.page)
                )
        return passages

    async def _rows(
        self, scopes: Sequence[_Scope], found: Sequence[RankedChunk]
    ) -> Mapping[tuple[IndexedStore, str], AnyRow]:
        """A file has attributes of its own in each store."""
        rows: dict[tuple[IndexedStore, str], AnyRow] = {}
        for each in scopes:
            store = each.store
            wanted = {chunk.file_id for chunk in found if chunk.key.store == store}
            named = await self.database.read(vector_store_files.named, store.id, wanted) if wanted else {}
            rows |= {(store, file_id): row for file_id, row in named.items()}
        return rows

    async def _texts(self, found: Sequence[RankedChunk]) -> Mapping[ChunkKey, IndexedChunk]:
        by_store: dict[IndexedStore, list[ChunkKey]] = {}
        for chunk in found:
            by_store.setdefault(chunk.key.store, []).append(chunk.key)
        texts: dict[ChunkKey, IndexedChunk] = {}
        for store, keys in by_store.items():
            texts |= await self.vector_index.texts(store, keys)
        return texts

    async def _ranked(self, scopes: Sequence[_Scope], request: SearchRequest) -> Sequence[RankedChunk]:
        options = request.ranking_options or RankingOptions()
        vectors = await self._vectors(scopes[0].store, request.query)
        # Whether chunks of a file that is in several stores are the same is seen by their texts alone.
        limit = request.max_num_results * len(scopes)
        best: dict[ChunkKey, RankedChunk] = {}
        for text, vector in zip(request.query, vectors, strict=True):
            candidates = _together([await self._candidates(each, text, vector) for each in scopes])
            alone = options.ranker == "none"
            for found in ranked(candidates, limit, options.score_threshold, alone):
                if found.key not in best or best[found.key].score < found.score:
                    best[found.key] = found
        return sorted(best.values(), key=lambda each: -each.score)[:limit]

    async def _candidates(self, scope: _Scope, text: str, vector: Vector | None) -> Candidates:
        files = scope.files
        if files is None:
            found = await self.vector_index.search(scope.store, IndexQuery(text, vector, None, ALL_FILES))
            among = {each.key.file_id for each in (*found.by_vector, *found.by_keywords)}
            matching = set(
                await self.database.read(vector_store_files.searchable_among, scope.store.id, among) if among else ()
            )
            if _has_enough(found.by_vector, matching) and _has_enough(found.by_keywords, matching):
                return replace(
                    found,
                    by_vector=_of_files(found.by_vector, matching),
                    by_keywords=_of_files(found.by_keywords, matching),
                )
            files = await self.database.read(self._all_files, scope.store.id)
        if not len(files):
            # The store was deleted or emptied meanwhile.
            return Candidates((), (), 0.0)
        return await self.vector_index.search(scope.store, IndexQuery(text, vector, files, CANDIDATES))

    def _scope(self, connection: Connection, project_id: str, store_id: str, filters: Filter | None) -> _Scope:
        row = vector_stores.find_open(connection, project_id, store_id)
        if filters is None and row.completed > NAMED_FILES:
            return _Scope(row, None)
        return _Scope(row, self.searchable_files.of(connection, row, filters))

    def _all_files(self, connection: Connection, store_id: str) -> FileSelection:
        row = vector_stores.find_any(connection, store_id)
        return self.searchable_files.of(connection, row, None) if row else FileSelection(())

    def _scopes(
        self, connection: Connection, project_id: str, store_ids: Sequence[str], filters: Filter | None
    ) -> Sequence[_Scope]:
        found: list[_Scope] = []
        for store_id in store_ids:
            try:
                found.append(self._scope(connection, project_id, store_id, filters))
            except (NotFound, VectorStoreExpired):
                continue
        return found

    async def _vectors(self, store: IndexedStore, queries: Sequence[str]) -> Sequence[Vector | None]:
        """None for each query where the store has no vectors."""
        embedder = await self.embedders.of(store)
        if embedder is None:
            return [None] * len(queries)
        # A query longer than the model's window is searched by its beginning.
        first = [(await embedder.windows(query))[0] for query in queries]
        return await embedder.embed(first, are_queries=True)


def _by_model(scopes: Sequence[_Scope]) -> Sequence[Sequence[_Scope]]:
    """Groups whose scores can be compared: vectors of different models never are."""
    groups: dict[tuple[str | None, int], list[_Scope]] = {}
    for each in scopes:
        groups.setdefault((each.store.embedding_model, each.store.dimensions), []).append(each)
    return list(groups.values())


def _together(candidates: Sequence[Candidates]) -> Candidates:
    """The candidates of several stores as if they were of one."""
    return Candidates(
        by_vector=[each for found in candidates for each in found.by_vector],
        by_keywords=[each for found in candidates for each in found.by_keywords],
        max_keyword_score=max(found.max_keyword_score for found in candidates),
    )


def _of_files(candidates: Sequence[Candidate], files: Collection[IndexedFile]) -> Sequence[Candidate]:
    return [each for each in candidates if each.key.file in files][:CANDIDATES]


def _has_enough(candidates: Sequence[Candidate], files: Collection[IndexedFile]) -> bool:
    """Whether those of `files` are the best of them, as many as are ranked, or all that the index has."""
    return len(candidates) < ALL_FILES or len(_of_files(candidates, files)) == CANDIDATES


def _result(found: FoundPassage) -> SearchResult:
    return SearchResult(
        file_id=found.file_id,
        filename=found.filename,
        score=found.score,
        attributes=dict(found.attributes),
        content=[TextContent(text=found.text)],
    )
