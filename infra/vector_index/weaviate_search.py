"""The candidates for a query in one tenant: vectors, keywords and counts of the query's words are asked for at once."""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from weaviate.classes.query import Filter, FilterReturn, MetadataQuery
from weaviate.collections.collection import CollectionAsync
from weaviate.outputs.query import Object

from infra.vector_index.weaviate_objects import (
    BM25_K1,
    CHUNK,
    PAGE,
    SOURCE,
    TEXT,
    WINDOW,
    chunk_of,
    file_of,
    object_id,
    source,
)
from models.search_index import Candidate, Candidates, FileSelection, IndexedStore, IndexQuery
from models.search_terms import search_terms

WINDOWS_PER_CHUNK = 2
MOST_WINDOWS = 8_000
"""With a quarter more, it is the default limit of a server on the results of one query."""
FILES_PER_OBJECT = 20
"""An object more in an answer costs about as much CPU, 30 to 60 µs, as so many files more in a filter."""
UNFILTERED_EXCESS = 1.25
"""Of former generations, and of files that are in progress, there are chunks as well."""

_FREQUENCY = re.compile(r"_frequency:(\d+)")

ChunkKey = tuple[str, int]
Tenant = CollectionAsync[Any, Any]
Filters = FilterReturn | None
Found = Object[Any, Any]
Ask = Callable[[int, Filters], Awaitable[Sequence[Found]]]


@dataclass(frozen=True)
class _Searched:
    """The sources that are searched, a filter that names them, and which part they are of the store's files."""

    sources: frozenset[str]
    filter: FilterReturn
    share: float


Files = _Searched | None
"""None for all."""
_SEARCHED: WeakKeyDictionary[FileSelection, _Searched] = WeakKeyDictionary()


async def search_tenant(tenant: Tenant, store: IndexedStore, query: IndexQuery) -> Candidates:
    """Raises what `weaviate_client.in_time` translates."""
    files = None if query.files is None else _searched(query.files)
    words = list(dict.fromkeys(word for term in search_terms(query.text) for word in term))
    by_vector, by_keywords, max_score = await asyncio.gather(
        _by_vector(tenant, store, query, files),
        _by_keywords(tenant, query, words, files),
        _max_score(tenant, words),
    )
    return Candidates(by_vector, by_keywords, max_score)


async def _by_vector(tenant: Tenant, store: IndexedStore, query: IndexQuery, files: Files) -> Sequence[Candidate]:
    if query.vector is None or not store.embedding_model:
        return []
    vector, windows = list(query.vector), query.limit * WINDOWS_PER_CHUNK

    async def nearest(limit: int, filters: Filters) -> Sequence[Found]:
        return (
            await tenant.query.near_vector(
                vector,
                limit=limit,
                filters=filters,
                return_metadata=MetadataQuery(distance=True),
                return_properties=[SOURCE, CHUNK, WINDOW, PAGE, TEXT],
            )
        ).objects

    found = await _of_files(nearest, files, windows)
    while len(best := _best_windows(found)) < query.limit and len(found) == windows < MOST_WINDOWS:
        # The nearest windows are of a few chunks.
        windows = min(windows * 4, MOST_WINDOWS)
        found = await _of_files(nearest, files, windows)
    texts = {_key(each): each.properties for each in found if each.properties[WINDOW] == 0}
    order = sorted(best, key=lambda key: (-best[key], key))[: query.limit]
    texts |= await _texts(tenant, store, [key for key in order if key not in texts])
    return [Candidate(file_of(key[0]), chunk_of(texts[key]), best[key]) for key in order if key in texts]


def _best_windows(found: Sequence[Found]) -> dict[ChunkKey, float]:
    """The cosine of each chunk's nearest window."""
    best: dict[ChunkKey, float] = {}
    for each in found:
        best.setdefault(_key(each), 1 - (each.metadata.distance or 0.0))
    return best


async def _texts(tenant: Tenant, store: IndexedStore, chunks: Collection[ChunkKey]) -> Mapping[ChunkKey, Any]:
    """The first windows of chunks. One that was deleted meanwhile is left out."""
    if not chunks:
        return {}
    found = await tenant.query.fetch_objects_by_ids(
        [object_id(store, *key) for key in chunks],
        limit=len(chunks),
        return_properties=[SOURCE, CHUNK, PAGE, TEXT],
    )
    return {_key(each): each.properties for each in found.objects}


async def _by_keywords(tenant: Tenant, query: IndexQuery, words: Sequence[str], files: Files) -> Sequence[Candidate]:
    if not words:
        return []
    text = " ".join(words)

    async def best(limit: int, filters: Filters) -> Sequence[Found]:
        return (
            await tenant.query.bm25(
                text,
                query_properties=[TEXT],
                limit=limit,
                filters=filters,
                return_metadata=MetadataQuery(score=True),
                return_properties=[SOURCE, CHUNK, PAGE, TEXT],
            )
        ).objects

    candidates = [
        Candidate(file_of(each.properties[SOURCE]), chunk_of(each.properties), each.metadata.score or 0.0)
        for each in await _of_files(best, files, query.limit)
    ]
    return sorted(candidates, key=lambda each: (-each.score, each.file_id, each.chunk.number))


async def _of_files(ask: Ask, files: Files, count: int) -> Sequence[Found]:
    """The first `count` objects of the files that a query finds, or all."""
    if files is None:
        return await ask(count, None)
    asked = math.ceil(count / files.share * UNFILTERED_EXCESS)
    if len(files.sources) > (asked - count) * FILES_PER_OBJECT:
        found = await ask(asked, None)
        among = [each for each in found if each.properties[SOURCE] in files.sources]
        if len(among) >= count or len(found) < asked:
            return among[:count]
    return await ask(count, files.filter)


def _searched(selection: FileSelection) -> _Searched:
    known = _SEARCHED.get(selection)
    if known is None:
        sources = frozenset(map(source, selection.files))
        known = _Searched(sources, Filter.by_property(SOURCE).contains_any(list(sources)), selection.share)
        _SEARCHED[selection] = known
    return known


async def _max_score(tenant: Tenant, words: Sequence[str]) -> float:
    """The score of a word in a chunk is its idf x f / (f + k1), where it is there f times: less than the idf."""
    found = [idf for idf in await asyncio.gather(*(_idf(tenant, word) for word in words)) if idf is not None]
    # A word that no chunk has counts as much as the rarest that one has.
    return sum(found) + (len(words) - len(found)) * max(found, default=0.0)


async def _idf(tenant: Tenant, word: str) -> float | None:
    """By the score of the best chunk for it: Weaviate reports neither idfs nor, at little cost, numbers of chunks."""
    best = await tenant.query.bm25(
        word,
        query_properties=[TEXT],
        limit=1,
        return_metadata=MetadataQuery(score=True, explain_score=True),
        return_properties=[CHUNK],
    )
    for each in best.objects:
        explained = _FREQUENCY.search(each.metadata.explain_score or "")
        frequency = float(explained[1]) if explained else 1.0
        return (each.metadata.score or 0.0) * (frequency + BM25_K1) / frequency
    return None


def _key(found: Found) -> ChunkKey:
    return found.properties[SOURCE], int(found.properties[CHUNK])
