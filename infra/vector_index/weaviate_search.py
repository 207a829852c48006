"""The candidates for a query in one tenant: vectors and keywords are asked for at once, and for no texts."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from weakref import WeakKeyDictionary

from infra.vector_index.weaviate_idfs import distinct, max_score
from infra.vector_index.weaviate_objects import SOURCE, file_of, object_id, source
from infra.vector_index.weaviate_queries import Filter, Found, TenantQueries, any_of
from infra.vector_index.windows_per_chunk import WindowsPerChunk
from models.search_index import (
    Candidate,
    Candidates,
    ChunkKey,
    DifferingFiles,
    FileSelection,
    IndexedChunk,
    IndexedFile,
    IndexedStore,
    IndexQuery,
)
from models.search_terms import search_terms

LEAST_WINDOWS = 100
"""Weaviate looks at twice as many as it is asked for, and finds fewer of the nearest where it looks at fewer."""
MOST_WINDOWS = 8_000
"""With a quarter more, it is the default limit of a server on the results of one query."""
NAMED_FILES = 1_000
"""Up to so many are always named: Weaviate compares the vectors of a few files exactly."""
FILES_PER_OBJECT = 10
"""An object more in an answer costs about as much CPU, 15 to 25 µs, as so many files more in a filter."""
UNFILTERED_EXCESS = 1.25
"""Of former generations, and of files that are in progress, there are chunks as well."""

ChunkName = tuple[str, int]
Ask = Callable[[int, Filter | None], Awaitable[Sequence[Found]]]


@dataclass(frozen=True)
class _Searched:
    """The sources that are searched, `base` without `lacks` and with `adds`, and which part of the store's they are."""

    # Not as one set: to copy thousands takes longer than to look up the few that are found.
    base: frozenset[str]
    lacks: frozenset[str]
    adds: frozenset[str]
    share: float

    def __len__(self) -> int:
        return len(self.base) - len(self.lacks) + len(self.adds)

    def __contains__(self, source: str) -> bool:
        return source in self.adds or (source in self.base and source not in self.lacks)

    @cached_property
    def filter(self) -> Filter:
        """Names them."""
        return any_of(SOURCE, self.base - self.lacks | self.adds if self.lacks or self.adds else self.base)


Files = _Searched | None
"""None for all."""
_SEARCHED: WeakKeyDictionary[FileSelection, _Searched] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Answer:
    """`found` are those of `objects` that are of the files that are searched. `is_all`: the query finds no others."""

    objects: Sequence[Found]
    found: Sequence[Found]
    is_all: bool
    is_of_all_files: bool


async def search_tenant(
    tenant: TenantQueries, store: IndexedStore, query: IndexQuery, windows_per_chunk: WindowsPerChunk
) -> Candidates:
    """Raises what `weaviate_client.in_time` translates."""
    files = None if query.files is None else _searched(query.files)
    by_vector, (by_keywords, max_keyword_score) = await asyncio.gather(
        _by_vector(tenant, store, query, files, windows_per_chunk), _by_keywords(tenant, store, query, files)
    )
    return Candidates(by_vector, by_keywords, max_keyword_score)


async def texts_of(tenant: TenantQueries, keys: Collection[ChunkKey]) -> Mapping[ChunkKey, IndexedChunk]:
    """Those of the chunks that the tenant has. Raises what `weaviate_client.in_time` translates."""
    by_id = {object_id(key.store, source(key.file), key.number): key for key in keys}
    found = await tenant.chunks(by_id)
    return {by_id[chunk_id]: chunk for chunk_id, chunk in found.items()}


async def _by_vector(
    tenant: TenantQueries, store: IndexedStore, query: IndexQuery, files: Files, windows_per_chunk: WindowsPerChunk
) -> Sequence[Candidate]:
    if query.vector is None or not store.embedding_model:
        return []
    nearest = partial(tenant.nearest, query.vector)
    windows = min(math.ceil(query.limit * windows_per_chunk.of(store)), MOST_WINDOWS)
    answer = await _of_files(nearest, files, windows, LEAST_WINDOWS)
    while len(best := _best_windows(answer.found)) < query.limit and not answer.is_all and windows < MOST_WINDOWS:
        # The nearest windows are of a few chunks.
        windows = min(max(windows, LEAST_WINDOWS) * 4, MOST_WINDOWS)
        answer = await _of_files(nearest, files, windows, LEAST_WINDOWS)
    if best:
        windows_per_chunk.add(store, _needed(answer.found, query.limit), query.limit)
    order = sorted(best, key=lambda name: (-best[name], name))[: query.limit]
    return [Candidate(_key(store, name), best[name]) for name in order]


def _best_windows(found: Sequence[Found]) -> dict[ChunkName, float]:
    """The cosine of each chunk's nearest window."""
    best: dict[ChunkName, float] = {}
    for each in found:
        best.setdefault(_name(each), each.score)
    return best


def _needed(found: Sequence[Found], limit: int) -> int:
    """How many of the nearest windows are of `limit` chunks; all, where they are of fewer."""
    chunks: set[ChunkName] = set()
    for windows, each in enumerate(found, 1):
        chunks.add(_name(each))
        if len(chunks) == limit:
            return windows
    return len(found)


async def _by_keywords(
    tenant: TenantQueries, store: IndexedStore, query: IndexQuery, files: Files
) -> tuple[Sequence[Candidate], float]:
    """And what BM25 a chunk could have at most."""
    words = distinct(word for term in search_terms(query.text) for word in term)
    if not words:
        return [], 0.0

    answer = await _of_files(partial(tenant.with_words, words), files, query.limit)
    candidates = [Candidate(_key(store, _name(each)), each.score) for each in answer.found]
    candidates.sort(key=lambda each: (-each.score, each.key.file_id, each.key.number))
    has_all = answer.is_all and answer.is_of_all_files
    return candidates[: query.limit], await max_score(tenant, words, answer.objects, has_all)


async def _of_files(ask: Ask, files: Files, count: int, least: int = 0) -> _Answer:
    """At least the first `count` objects of the files that a query finds, or all. `least` are asked for in any case."""
    if files is not None:
        asked = max(math.ceil(count / files.share * UNFILTERED_EXCESS), least)
        if len(files) > max((asked - max(count, least)) * FILES_PER_OBJECT, NAMED_FILES):
            objects = await ask(asked, None)
            found = [each for each in objects if each.source in files]
            if len(found) >= count or len(objects) < asked:
                return _Answer(objects, found, len(objects) < asked, is_of_all_files=True)
    asked = max(count, least)
    objects = await ask(asked, None if files is None else files.filter)
    return _Answer(objects, objects, len(objects) < asked, is_of_all_files=files is None)


def _searched(selection: FileSelection) -> _Searched:
    known = _SEARCHED.get(selection)
    if known is None:
        files = selection.files
        if isinstance(files, DifferingFiles):
            base, lacks, adds = _searched(files.base).base, _sources(files.lacks), _sources(files.adds)
        else:
            base, lacks, adds = _sources(files), _sources(()), _sources(())
        known = _SEARCHED[selection] = _Searched(base, lacks, adds, selection.share)
    return known


def _sources(files: Collection[IndexedFile]) -> frozenset[str]:
    return frozenset(map(source, files))


def _name(found: Found) -> ChunkName:
    return found.source, found.chunk


def _key(store: IndexedStore, name: ChunkName) -> ChunkKey:
    return ChunkKey(store, file_of(name[0]), name[1])
