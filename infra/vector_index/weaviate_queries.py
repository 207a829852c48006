"""Queries in Weaviate's own messages, over a connection of their own.

The functions of Weaviate's client make objects of all that could be in an answer, and ask the server for it: with them
a search takes half as much CPU again. The messages are the client's.
"""

import json
import struct
import uuid
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc
from weaviate.proto.v1 import base_pb2, base_search_pb2, search_get_pb2, weaviate_pb2_grpc

from infra.vector_index.weaviate_client import RECONNECT, query_channel
from infra.vector_index.weaviate_objects import CHUNK, PAGE, SOURCE, TEXT, collection_name
from infra.vector_index.weaviate_url import WeaviateAddress
from models.search_index import IndexedChunk, IndexedStore, Vector

LONGEST_SECONDS = 10.0
"""Longer than a search waits: a query ends that is still asked when another one of its search has failed."""

# As the client does, but sooner: a connection that was lost is noticed by the query that uses it.
_RETRIES = {
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_OPTIONS = [
    *RECONNECT,
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    (
        "grpc.service_config",
        json.dumps({"methodConfig": [{"name": [{"service": "weaviate.v1.Weaviate"}], "retryPolicy": _RETRIES}]}),
    ),
]
_NAMES = search_get_pb2.PropertiesRequest(non_ref_properties=[SOURCE, CHUNK])
_TEXTS = search_get_pb2.PropertiesRequest(non_ref_properties=[CHUNK, PAGE, TEXT])
_DISTANCE = search_get_pb2.MetadataRequest(distance=True)
_EXPLAINED = search_get_pb2.MetadataRequest(score=True, explain_score=True)
_ID = search_get_pb2.MetadataRequest(uuid=True)

Filter = base_pb2.Filters


class Found(NamedTuple):
    """A window or a chunk that a query finds, by its source and number: its cosine or its explained BM25."""

    source: str
    chunk: int
    score: float
    explanation: str = ""


def any_of(name: str, values: Iterable[str]) -> Filter:
    """Objects whose property is one of `values`."""
    return Filter(
        operator=Filter.OPERATOR_CONTAINS_ANY,
        target=base_pb2.FilterTarget(property=name),
        value_text_array=base_pb2.TextArray(values=values),
    )


class TenantQueries:
    """Queries of one store. They raise what `weaviate_client.in_time` translates, and wait for Weaviate until then."""

    def __init__(self, stub: Any, metadata: Sequence[tuple[str, str]], store: IndexedStore) -> None:
        self._stub = stub
        self._metadata = metadata
        self._collection = collection_name(store)
        self._tenant = store.id

    async def nearest(self, vector: Vector, limit: int, files: Filter | None) -> Sequence[Found]:
        """Windows, nearest first."""
        vectors = base_pb2.Vectors(
            vector_bytes=struct.pack(f"<{len(vector)}f", *vector), type=base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32
        )
        found = await self._search(
            limit=limit,
            filters=files,
            near_vector=base_search_pb2.NearVector(vectors=[vectors]),
            properties=_NAMES,
            metadata=_DISTANCE,
        )
        return [Found(*_named(each), 1 - each.metadata.distance) for each in found]

    async def with_words(self, words: Sequence[str], limit: int, files: Filter | None = None) -> Sequence[Found]:
        """Chunks that have any of the words, best first."""
        found = await self._search(
            limit=limit,
            filters=files,
            bm25_search=base_search_pb2.BM25(query=" ".join(words), properties=[TEXT]),
            properties=_NAMES,
            metadata=_EXPLAINED,
        )
        return [Found(*_named(each), each.metadata.score, each.metadata.explain_score) for each in found]

    async def chunks(self, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, IndexedChunk]:
        """Those that there are."""
        found = await self._search(
            limit=len(ids), filters=any_of("_id", map(str, ids)), properties=_TEXTS, metadata=_ID
        )
        return {uuid.UUID(each.metadata.id): _chunk(each.properties.non_ref_props.fields) for each in found}

    async def _search(self, **query: Any) -> Sequence[Any]:
        request = search_get_pb2.SearchRequest(
            collection=self._collection,
            tenant=self._tenant,
            uses_123_api=True,
            uses_125_api=True,
            uses_127_api=True,
            **query,
        )
        answer = await self._stub.Search(request, metadata=self._metadata, timeout=LONGEST_SECONDS, wait_for_ready=True)
        found: Sequence[Any] = answer.results
        return found


class WeaviateQueries:
    def __init__(self, channel: grpc.aio.Channel, key: str) -> None:
        self._stub = weaviate_pb2_grpc.WeaviateStub(channel)  # type: ignore[no-untyped-call]
        self._metadata = [("authorization", f"Bearer {key}")] if key else []

    def of(self, store: IndexedStore) -> TenantQueries:
        return TenantQueries(self._stub, self._metadata, store)


@asynccontextmanager
async def open_queries(address: WeaviateAddress) -> AsyncIterator[WeaviateQueries]:
    """Connects at the first query."""
    async with query_channel(address, _OPTIONS) as channel:
        yield WeaviateQueries(channel, address.key)


def _named(found: Any) -> tuple[str, int]:
    fields = found.properties.non_ref_props.fields
    return fields[SOURCE].text_value, fields[CHUNK].int_value


def _chunk(fields: Mapping[str, Any]) -> IndexedChunk:
    page = fields[PAGE]
    return IndexedChunk(
        fields[CHUNK].int_value, fields[TEXT].text_value, page.int_value if page.HasField("int_value") else None
    )
