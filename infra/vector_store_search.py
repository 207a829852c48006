"""Searches a vector store: filter in SQL, candidates from the index, ranking by `models.ranking`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from infra.database import vector_store_files, vector_stores
from infra.database.engine import Database
from infra.database.tables import AnyRow
from infra.embeddings.embedders import Embedders
from infra.ports import VectorIndex
from models.ranking import RankedChunk, ranked
from models.search_index import Candidate, Candidates, IndexedFile, IndexedStore, IndexQuery, Vector
from models.vector_store_search import Filter, RankingOptions, SearchRequest, SearchResult, SearchResultsPage
from models.vector_stores import TextContent

CANDIDATES = 50
NAMED_FILES = 500
"""Up to so many files are named to the index. Of more, it searches all, and what does not match is left out."""
# With the first, some of the best may be of files that are in progress; of those that match a filter, at least each
# twentieth counts in a full store.
ALL_FILES, FILTERED_FILES = CANDIDATES + 25, 12 * CANDIDATES


@dataclass(frozen=True)
class _Scope:
    """What a search is of. `files` are those that match, or None where they are many."""

    store: IndexedStore
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
        await self.database.write(vector_stores.touch, store_id)
        found = [] if scope.files is not None and not scope.files else await self._ranked(scope, request)
        rows = await self.database.read(vector_store_files.named, store_id, {each.file_id for each in found})
        # A file that was removed meanwhile is not shown.
        results = [_result(each, rows[each.file_id]) for each in found if each.file_id in rows]
        return SearchResultsPage(search_query=request.query, data=results)

    async def _ranked(self, scope: _Scope, request: SearchRequest) -> Sequence[RankedChunk]:
        options = request.ranking_options or RankingOptions()
        vectors = await self._vectors(scope.store, request.query)
        best: dict[tuple[str, int], RankedChunk] = {}
        for text, vector in zip(request.query, vectors, strict=True):
            candidates = await self._candidates(scope, text, vector)
            for each in ranked(_by(options, candidates), request.max_num_results, options.score_threshold):
                key = (each.file_id, each.chunk.number)
                if key not in best or best[key].score < each.score:
                    best[key] = each
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
    store = vector_stores.find_open(connection, project_id, store_id)
    if filters is None and store.completed > NAMED_FILES:
        return _Scope(vector_stores.indexed(store), None, None)
    files = vector_store_files.searchable(connection, store_id, filters, NAMED_FILES + 1)
    return _Scope(vector_stores.indexed(store), filters, files if len(files) <= NAMED_FILES else None)


def _of_files(candidates: Sequence[Candidate], files: Collection[IndexedFile]) -> Sequence[Candidate]:
    return [each for each in candidates if each.file in files][:CANDIDATES]


def _has_enough(candidates: Sequence[Candidate], files: Collection[IndexedFile], asked: int) -> bool:
    """Whether those of `files` are the best of them, as many as are ranked, or all that the index has."""
    return len(candidates) < asked or len(_of_files(candidates, files)) == CANDIDATES


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
