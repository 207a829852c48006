"""Chunks in Weaviate, which APIs and workers on any number of machines share."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from weaviate import WeaviateAsyncClient
from weaviate.classes.query import Filter, Sort
from weaviate.collections.classes.filters import FilterReturn
from weaviate.collections.collection import CollectionAsync
from weaviate.exceptions import UnexpectedStatusCodeError

from infra.errors import ConnectionFailed
from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_index.weaviate_client import (
    CONNECT_TIMEOUT,
    SEARCH_TIMEOUT,
    WRITE_TIMEOUT,
    check_queries,
    in_time,
    open_client,
)
from infra.vector_index.weaviate_objects import (
    CHUNK,
    FILE,
    GENERATION,
    PAGE,
    SOURCE,
    TEXT,
    WINDOW,
    chunk_of,
    collection_name,
    collection_settings,
    objects_of,
    source,
)
from infra.vector_index.weaviate_queries import WeaviateQueries, open_queries
from infra.vector_index.weaviate_search import search_tenant, texts_of
from infra.vector_index.weaviate_url import WeaviateAddress, parse_weaviate_url
from infra.vector_index.windows_per_chunk import WindowsPerChunk
from models.search_index import Candidates, ChunkKey, IndexedChunk, IndexedFile, IndexedStore, IndexQuery

OBJECTS_PER_REQUEST = 200
ALREADY_EXISTS = "already exists"

Objects = CollectionAsync[Any, Any]


class WeaviateVectorIndex:
    """A write can be read by all as soon as it returns. It survives a `kill -9` of Weaviate."""

    def __init__(self, client: WeaviateAsyncClient, queries: WeaviateQueries, address: WeaviateAddress) -> None:
        self._client = client
        self._queries = queries
        self._address = address
        self._windows_per_chunk = WindowsPerChunk()

    async def upsert(self, store: IndexedStore, file: IndexedFile, chunks: Sequence[IndexedChunk]) -> None:
        objects = [each for chunk in chunks for each in objects_of(store, file, chunk)]
        async with in_time(WRITE_TIMEOUT):
            await self._make_collection(store)
        for at in range(0, len(objects), OBJECTS_PER_REQUEST):
            async with in_time(WRITE_TIMEOUT):
                done = await self._tenant(store).data.insert_many(objects[at : at + OBJECTS_PER_REQUEST])
            for error in done.errors.values():
                raise VectorIndexUnavailable(f"Weaviate takes no chunks: {error.message}")

    async def search(self, store: IndexedStore, query: IndexQuery) -> Candidates:
        if query.files is not None and not query.files:
            return Candidates((), (), 0.0)
        try:
            async with in_time(SEARCH_TIMEOUT):
                return await search_tenant(self._queries.of(store), store, query, self._windows_per_chunk)
        except VectorIndexUnavailable as error:
            if await self._has(store):
                raise
            raise VectorIndexUnavailable(
                f"Weaviate has nothing of {store.id}: was it indexed before HOLDFAST_VECTOR_INDEX_URL was set?"
            ) from error

    async def texts(self, store: IndexedStore, keys: Collection[ChunkKey]) -> Mapping[ChunkKey, IndexedChunk]:
        if not keys:
            return {}
        try:
            async with in_time(SEARCH_TIMEOUT):
                return await texts_of(self._queries.of(store), keys)
        except VectorIndexUnavailable:
            if await self._has(store):
                raise
            return {}

    async def chunks(self, store: IndexedStore, file: IndexedFile, after: int, limit: int) -> Sequence[IndexedChunk]:
        try:
            async with in_time(SEARCH_TIMEOUT):
                found = await self._tenant(store).query.fetch_objects(
                    filters=Filter.by_property(SOURCE).equal(source(file))
                    & Filter.by_property(WINDOW).equal(0)
                    & Filter.by_property(CHUNK).greater_than(after),
                    sort=Sort.by_property(CHUNK),
                    limit=limit,
                    return_properties=[CHUNK, PAGE, TEXT],
                )
        except VectorIndexUnavailable:
            if await self._has(store):
                raise
            return []
        return [chunk_of(each.properties) for each in found.objects]

    async def delete_file(self, store: IndexedStore, file_id: str, keep_generation: int | None = None) -> None:
        unwanted = Filter.by_property(FILE).equal(file_id)
        if keep_generation is not None:
            unwanted &= Filter.by_property(GENERATION).less_than(keep_generation)
        await self._delete(store, unwanted, file_id)

    async def delete_generation(self, store: IndexedStore, file: IndexedFile) -> None:
        await self._delete(store, Filter.by_property(SOURCE).equal(source(file)), file.id)

    async def _delete(self, store: IndexedStore, unwanted: FilterReturn, file_id: str) -> None:
        if not await self._has(store):
            return
        while True:
            async with in_time(WRITE_TIMEOUT):
                # So many at a time as one query of this server may find.
                done = await self._tenant(store).data.delete_many(unwanted)
            if done.failed:
                raise VectorIndexUnavailable(f"Weaviate has not deleted {done.failed} chunks of {file_id}")
            if not done.matches:
                return

    async def drop(self, store: IndexedStore) -> None:
        if await self._has(store):
            async with in_time(WRITE_TIMEOUT):
                await self._collection(store).tenants.remove(store.id)

    async def check(self) -> None:
        async with in_time(CONNECT_TIMEOUT):
            if not await self._client.is_ready():
                raise VectorIndexUnavailable("Weaviate is not ready.")
            await check_queries(self._address)

    def _collection(self, store: IndexedStore) -> Objects:
        return self._client.collections.use(collection_name(store))

    def _tenant(self, store: IndexedStore) -> Objects:
        return self._collection(store).with_tenant(store.id)

    async def _has(self, store: IndexedStore) -> bool:
        async with in_time(SEARCH_TIMEOUT):
            collection = self._collection(store)
            return await collection.exists() and await collection.tenants.exists(store.id)

    async def _make_collection(self, store: IndexedStore) -> None:
        if await self._collection(store).exists():
            return
        try:
            await self._client.collections.create(collection_name(store), **collection_settings(store))
        except UnexpectedStatusCodeError as error:
            # Another process indexes a first file of this model.
            if ALREADY_EXISTS not in str(error):
                raise


@asynccontextmanager
async def open_weaviate_index(url: str) -> AsyncIterator[WeaviateVectorIndex]:
    """Raises `ConnectionFailed` where the URL names no Weaviate, or it does not answer or let us in."""
    address = parse_weaviate_url(url)
    async with AsyncExitStack() as opened:
        try:
            client = await opened.enter_async_context(open_client(address))
        except VectorIndexUnavailable as error:
            raise ConnectionFailed(
                f"{error.reason} Start Weaviate at {address} or check HOLDFAST_VECTOR_INDEX_URL."
            ) from error
        queries = await opened.enter_async_context(open_queries(address))
        yield WeaviateVectorIndex(client, queries, address)
