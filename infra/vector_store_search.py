"""Searches vector stores: filter in SQL, candidates from the index, ranking by `models.ranking`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from infra.database import vector_store_files, vector_stores
from infra.database.engine import Database
from infra.embeddings.embedders import Embedders
from infra.ports import VectorIndex
from models.errors import NotFound
from models.ranking import RankedChunk, ranked
from models.search_index import Candidate, Candidates, IndexedFile, IndexedStore, IndexQuery, Vector
from models.vector_store_errors import VectorStoreExpired
from models.vector_store_search import Filter, RankingOptions, SearchRequest, SearchResult, SearchResultsPage
from models.vector_stores import TextContent

CANDIDATES = 50
NAMED_FILES = 500
"""Up to so many files are named to the index. Of more, it searches all, and what does not match is left out."""
# Of the first, some may be of files that are in progress; of the second, a quarter has to match the filter. To ask for
# more costs as much as to name the files.
ALL_FILES, FILTERED_FILES = CANDIDATES + 25, 4 * CANDIDATES


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
    """What a search of one store is of. `files` are those that match, or None where they are many."""

    store: IndexedStore
    is_use_due: bool
    filters: Filter | None
    files: Sequence[IndexedFile] | None


@dataclass(frozen=True)
class VectorStoreSearch:
    database: Database
    embedders: Embedders
    vector_index: VectorIndex

    async def search(self, project_id: str, store_id: str, request: SearchRequest) -> SearchResultsPage:
        """The best chunks for any of the queries. Raises `NotFound`, `VectorStoreExpired`, `EmbeddingFailed`,
        `VectorIndexUnavailable`.
        """
        scope = await self.database.read(_scope, project_id, store_id, request.filters)
        found = await self._passages([scope], request)
        return SearchResultsPage(search_query=request.query, data=[_result(passage) for passage in found])

    async def search_together(
        self, project_id: str, store_ids: Sequence[str], request: SearchRequest
    ) -> Sequence[FoundPassage]:
        """The best chunks of several stores. A store that was deleted or expired meanwhile adds nothing.

        Raises `EmbeddingFailed`, `VectorIndexUnavailable`.
        """
        scopes = await self.database.read(_scopes, project_id, store_ids, request.filters)
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
            if each.is_use_due:
                await self.database.write(vector_stores.touch, each.store.id)
        with_files = [each for each in scopes if each.files is None or each.files]
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

    async def _ranked(self, scopes: Sequence[_Scope], request: SearchRequest) -> Sequence[RankedChunk]:
        options = request.ranking_options or RankingOptions()
        vectors = await self._vectors(scopes[0].store, request.query)
        best: dict[tuple[str, int], RankedChunk] = {}
        for text, vector in zip(request.query, vectors, strict=True):
            candidates = _together([await self._candidates(each, text, vector) for each in scopes])
            for found in ranked(_by(options, candidates), request.max_num_results, options.score_threshold):
                key = (found.file_id, found.chunk.number)
                if key not in best or best[key].score < found.score:
                    best[key] = found
        return sorted(best.values(), key=lambda each: -each.score)[: request.max_num_results]

    async def _candidates(self, scope: _Scope, text: str, vector: Vector | None) -> Candidates:
        files = scope.files
        if files is None:
            asked = ALL_FILES if scope.filters is None else FILTERED_FILES
            found = await self.vector_index.search(scope.store, IndexQuery(text, vector, None, asked))
            among = {each.file_id for each in (*found.by_vector, *found.by_keywords)}
            named = (scope.store.id, scope.filters, among)
            matching = set(await self.database.read(vector_store_files.searchable_among, *named) if among else ())
            if _has_enough(found.by_vector, matching, asked) and _has_enough(found.by_keywords, matching, asked):
                return replace(
                    found,
                    by_vector=_of_files(found.by_vector, matching),
                    by_keywords=_of_files(found.by_keywords, matching),
                )
            files = await self.database.read(vector_store_files.searchable, scope.store.id, scope.filters)
        return await self.vector_index.search(scope.store, IndexQuery(text, vector, files, CANDIDATES))

    async def _vectors(self, store: IndexedStore, queries: Sequence[str]) -> Sequence[Vector | None]:
        """None for each query where the store has no vectors."""
        embedder = await self.embedders.of(store)
        if embedder is None:
            return [None] * len(queries)
        # A query longer than the model's window is searched by its beginning.
        return await embedder.embed([(await embedder.windows(query))[0] for query in queries])


def _scope(connection: Connection, project_id: str, store_id: str, filters: Filter | None) -> _Scope:
    row = vector_stores.find_open(connection, project_id, store_id)
    store, is_use_due = vector_stores.indexed(row), vector_stores.is_use_due(row)
    if filters is None and row.completed > NAMED_FILES:
        return _Scope(store, is_use_due, None, None)
    files = vector_store_files.searchable(connection, store_id, filters, NAMED_FILES + 1)
    return _Scope(store, is_use_due, filters, files if len(files) <= NAMED_FILES else None)


def _scopes(
    connection: Connection, project_id: str, store_ids: Sequence[str], filters: Filter | None
) -> Sequence[_Scope]:
    found: list[_Scope] = []
    for store_id in store_ids:
        try:
            found.append(_scope(connection, project_id, store_id, filters))
        except (NotFound, VectorStoreExpired):
            continue
    return found


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
    return [each for each in candidates if each.file in files][:CANDIDATES]


def _has_enough(candidates: Sequence[Candidate], files: Collection[IndexedFile], asked: int) -> bool:
    """Whether those of `files` are the best of them, as many as are ranked, or all that the index has."""
    return len(candidates) < asked or len(_of_files(candidates, files)) == CANDIDATES


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
