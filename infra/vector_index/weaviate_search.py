"""The candidates for a query in one tenant: vectors, keywords and counts of the query's words are asked for at once."""

import asyncio
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from weaviate.classes.query import Filter, MetadataQuery
from weaviate.collections.collection import CollectionAsync

from infra.vector_index.weaviate_objects import CHUNK, PAGE, SOURCE, TEXT, WINDOW, chunk_of, object_id, source
from models.search_index import Candidate, Candidates, IndexedFile, IndexedStore, IndexQuery
from models.search_terms import search_terms

WINDOWS_PER_CHUNK = 2
MOST_WINDOWS = 10_000
"""What a server lets one query find, unless it is told otherwise."""

ChunkKey = tuple[str, int]
Tenant = CollectionAsync[Any, Any]


async def search_tenant(tenant: Tenant, store: IndexedStore, query: IndexQuery) -> Candidates:
    """Raises what `weaviate_client.in_time` translates."""
    files = {source(file): file for file in query.files}
    words = list(dict.fromkeys(word for term in search_terms(query.text) for word in term))
    by_vector, by_keywords, max_score = await asyncio.gather(
        _by_vector(tenant, store, query, files),
        _by_keywords(tenant, query, words, files),
        _max_score(tenant, words),
    )
    return Candidates(by_vector, by_keywords, max_score)


async def _by_vector(
    tenant: Tenant, store: IndexedStore, query: IndexQuery, files: Mapping[str, IndexedFile]
) -> Sequence[Candidate]:
    if query.vector is None or not store.embedding_model:
        return []
    cosines: dict[ChunkKey, float] = {}
    windows, texts = query.limit * WINDOWS_PER_CHUNK, dict[ChunkKey, Any]()
    while True:
        found = await tenant.query.near_vector(
            list(query.vector),
            limit=windows,
            filters=_among(files),
            return_metadata=MetadataQuery(distance=True),
            return_properties=[SOURCE, CHUNK, WINDOW, PAGE, TEXT],
        )
        for each in found.objects:
            key = _key(each.properties)
            cosines.setdefault(key, 1 - (each.metadata.distance or 0.0))
            if each.properties[WINDOW] == 0:
                texts[key] = each.properties
        if len(cosines) >= query.limit or len(found.objects) < windows or windows == MOST_WINDOWS:
            break
        # The nearest windows are of a few chunks.
        windows = min(windows * 4, MOST_WINDOWS)
    best = sorted(cosines, key=lambda key: (-cosines[key], key))[: query.limit]
    texts |= await _texts(tenant, store, [key for key in best if key not in texts])
    return [Candidate(files[key[0]].id, chunk_of(texts[key]), cosines[key]) for key in best if key in texts]


async def _texts(tenant: Tenant, store: IndexedStore, chunks: Collection[ChunkKey]) -> Mapping[ChunkKey, Any]:
    """The first windows of chunks. One that was deleted meanwhile is left out."""
    if not chunks:
        return {}
    found = await tenant.query.fetch_objects_by_ids(
        [object_id(store, *key) for key in chunks],
        limit=len(chunks),
        return_properties=[SOURCE, CHUNK, PAGE, TEXT],
    )
    return {_key(each.properties): each.properties for each in found.objects}


async def _by_keywords(
    tenant: Tenant, query: IndexQuery, words: Sequence[str], files: Mapping[str, IndexedFile]
) -> Sequence[Candidate]:
    if not words:
        return []
    found = await tenant.query.bm25(
        " ".join(words),
        query_properties=[TEXT],
        limit=query.limit,
        filters=_among(files),
        return_metadata=MetadataQuery(score=True),
        return_properties=[SOURCE, CHUNK, PAGE, TEXT],
    )
    candidates = [
        Candidate(files[each.properties[SOURCE]].id, chunk_of(each.properties), each.metadata.score or 0.0)
        for each in found.objects
    ]
    return sorted(candidates, key=lambda each: (-each.score, each.file_id, each.chunk.number))


async def _max_score(tenant: Tenant, words: Sequence[str]) -> float:
    """Weaviate's BM25 of a word is less than its idf."""
    if not words:
        return 0.0
    total, *counts = await asyncio.gather(_count(tenant, None), *(_count(tenant, word) for word in words))
    return sum(math.log(1 + (max(total, count) - count + 0.5) / (count + 0.5)) for count in counts)


async def _count(tenant: Tenant, word: str | None) -> int:
    filters = Filter.by_property(TEXT).equal(word) if word is not None else None
    counted = await tenant.aggregate.over_all(filters=filters, total_count=True)
    return counted.total_count or 0


def _among(files: Mapping[str, IndexedFile]) -> Any:
    return Filter.by_property(SOURCE).contains_any(list(files))


def _key(properties: Mapping[str, Any]) -> ChunkKey:
    return properties[SOURCE], int(properties[CHUNK])
