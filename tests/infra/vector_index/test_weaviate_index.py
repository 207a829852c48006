"""What the index in Weaviate alone promises: what it leaves there, and what outages become."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from weaviate.connect import v4 as weaviate_connection

from infra.errors import ConnectionFailed
from infra.vector_index import weaviate_index
from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_index.weaviate_index import WeaviateVectorIndex, open_weaviate_index
from infra.vector_index.weaviate_queries import Filter, Found, TenantQueries
from models.search_index import FileSelection, IndexedChunk, IndexedFile, IndexedStore, IndexQuery, Vector
from tests.cli.program import free_ports
from tests.weaviate_server import WEAVIATE, WeaviateServer, running_weaviate

pytestmark = WEAVIATE

STORE = IndexedStore("vs_one", "test/model", 4)
FILE = IndexedFile("file-one", 1)
NEAR = (1.0, 0.0, 0.0, 0.0)
QUERY = IndexQuery("pump", NEAR, FileSelection([FILE]))
SHORTLY = timedelta(seconds=0.5)


@pytest.fixture
async def index(weaviate: WeaviateServer) -> AsyncIterator[WeaviateVectorIndex]:
    weaviate.empty()
    async with open_weaviate_index(weaviate.url) as opened:
        yield opened


@pytest.fixture
def own_weaviate(tmp_path: Path) -> Iterator[WeaviateServer]:
    """One that the test may kill."""
    with running_weaviate(WeaviateServer(tmp_path)) as server:
        yield server


def _pumps(count: int, first: int = 0) -> list[IndexedChunk]:
    return [IndexedChunk(first + number, f"pump {number}", None, [NEAR]) for number in range(count)]


async def test_dropped_store_leaves_nothing(index: WeaviateVectorIndex, weaviate: WeaviateServer) -> None:
    other = IndexedStore("vs_two", STORE.embedding_model, STORE.dimensions)
    await index.upsert(STORE, FILE, _pumps(3))
    await index.upsert(other, FILE, _pumps(3))
    [collection] = weaviate.collections()
    assert sorted(weaviate.tenants(collection["class"])) == ["vs_one", "vs_two"]
    assert list(weaviate.data_folder.glob("**/vs_one/**/*"))

    await index.drop(STORE)

    assert weaviate.tenants(collection["class"]) == ["vs_two"]
    while list(weaviate.data_folder.glob("**/vs_one/**/*")):
        await asyncio.sleep(0.05)


async def test_searching_makes_nothing(index: WeaviateVectorIndex, weaviate: WeaviateServer) -> None:
    with pytest.raises(VectorIndexUnavailable) as raised:
        await index.search(STORE, QUERY)
    await index.delete_file(STORE, FILE.id)
    await index.drop(STORE)

    assert "before HOLDFAST_VECTOR_INDEX_URL was set" in raised.value.reason
    assert weaviate.collections() == []


async def test_model_has_a_collection_that_names_it(index: WeaviateVectorIndex, weaviate: WeaviateServer) -> None:
    await index.upsert(STORE, FILE, _pumps(1))

    [collection] = weaviate.collections()

    assert "test/model" in collection["description"]
    assert collection["invertedIndexConfig"]["bm25"] == {"b": 0, "k1": 1.2}
    assert collection["multiTenancyConfig"]["enabled"]


@pytest.mark.parametrize(
    ("text", "limit", "files", "counts", "asked"),
    [
        ("pump valve", 50, FileSelection([FILE]), (4, 2), 1),
        ("pump nowhere", 50, FileSelection([FILE]), (4, 4), 2),
        ("pump nowhere", 50, None, (4, 4), 1),
        # The best chunk has no valve.
        ("rare valve", 1, None, (1, 2), 2),
        # All scores are of both words.
        ("left right", 50, None, (3, 3), 3),
        # No score has one word alone, and large numbers of a word hardly differ.
        ("east west north south", 50, None, (1, 3, 2, 2), 5),
        ("café cafe", 50, None, (1,), 1),
        ("grüße grusse pump", 50, None, (1, 4), 1),
        ("ʠuartz pump", 50, None, (1, 4), 2),
    ],
)
async def test_most_that_keywords_could_score_follows_from_the_best_chunks(
    text: str,
    limit: int,
    files: FileSelection | None,
    counts: tuple[int, ...],
    asked: int,
    index: WeaviateVectorIndex,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`counts`: how many chunks have each word; `asked`: how many queries by keywords are made."""
    texts = ["pump", "pump pump valve", "pump", "valve valve pump", "left right", "right left", "left right"]
    texts += ["rare rare rare", "Café gasket", "grüße", "ʠuartz", "east west"]
    texts += ["west " * 40 + "north " + "south " * 100, "west " * 40 + "north " * 60 + "south " * 60]
    await index.upsert(STORE, FILE, [IndexedChunk(number, text, None, [NEAR]) for number, text in enumerate(texts)])
    queries = _counted_queries(monkeypatch)

    found = await index.search(STORE, IndexQuery(text, None, files, limit))

    expected = sum(math.log(1 + (len(texts) - count + 0.5) / (count + 0.5)) for count in counts)
    assert found.max_keyword_score == pytest.approx(expected, rel=1e-4)
    assert len(queries) == asked


def _counted_queries(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    queries: list[Sequence[str]] = []
    ask = TenantQueries.with_words

    async def counted(self: TenantQueries, words: Sequence[str], *more: Any, **named: Any) -> Sequence[Found]:
        queries.append(words)
        return await ask(self, words, *more, **named)

    monkeypatch.setattr(TenantQueries, "with_words", counted)
    return queries


async def test_store_whose_chunks_have_a_window_each_is_asked_for_no_more_windows_than_chunks(
    index: WeaviateVectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = _limits_of_windows(monkeypatch)
    await index.upsert(STORE, FILE, _pumps(300))
    half = FileSelection([FILE, *(IndexedFile(f"file-{number}", 1) for number in range(2_000))], share=0.5)

    for _ in range(2):
        found = await index.search(STORE, IndexQuery("pump", NEAR, half, limit=50))
        assert (len(found.by_vector), len(found.by_keywords)) == (50, 50)

    assert limits == [250, 125]


async def test_search_of_a_few_long_chunks_makes_those_of_others_no_dearer(
    index: WeaviateVectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = _limits_of_windows(monkeypatch)
    other = IndexedFile("file-other", 1)
    await index.upsert(STORE, FILE, [IndexedChunk(0, "pump", None, [(0.0, 1.0, 0.0, 0.0)] * 60)])
    await index.upsert(STORE, other, _pumps(60))

    assert len((await index.search(STORE, QUERY)).by_vector) == 1
    for files in (None, FileSelection([other])):
        assert len((await index.search(STORE, IndexQuery("pump", NEAR, files))).by_vector) == 50

    assert limits == [100] * 3


def _limits_of_windows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of the queries for windows that are made from now on."""
    limits: list[int] = []
    ask = TenantQueries.nearest

    async def seen(self: TenantQueries, vector: Vector, limit: int, files: Filter | None) -> Sequence[Found]:
        limits.append(limit)
        return await ask(self, vector, limit, files)

    monkeypatch.setattr(TenantQueries, "nearest", seen)
    return limits


async def test_file_of_more_chunks_than_a_query_finds_is_deleted(index: WeaviateVectorIndex) -> None:
    await index.upsert(STORE, FILE, [IndexedChunk(number, "pump") for number in range(10_500)])

    await index.delete_file(STORE, FILE.id)

    assert await index.chunks(STORE, FILE, -1, 10) == []


async def test_opening_asks_nobody_else(weaviate: WeaviateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(1)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        monkeypatch.setattr(weaviate_connection, "PYPI_PACKAGE_URL", url)
        async with open_weaviate_index(weaviate.url) as index:
            await index.check()

    assert asked == []


async def test_wrong_key_is_refused_and_not_shown(weaviate: WeaviateServer) -> None:
    url = weaviate.url.replace(weaviate.key, "verysecret")

    with pytest.raises(ConnectionFailed, match="check HOLDFAST_VECTOR_INDEX_URL") as raised:
        async with open_weaviate_index(url):
            pass

    assert "verysecret" not in str(raised.value)


async def test_wrong_port_of_queries_is_noticed_at_once(
    weaviate: WeaviateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.vector_index.weaviate_client.CONNECT_TIMEOUT", SHORTLY)
    url = weaviate.url.replace(str(weaviate.grpc_port), str(free_ports(1)[0]))

    with pytest.raises(ConnectionFailed, match=r"within 0.5 s"):
        async with open_weaviate_index(url):
            pass


async def test_killed_weaviate_is_unavailable_and_comes_back_with_all(
    own_weaviate: WeaviateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_weaviate_index(own_weaviate.url) as index:
        await index.upsert(STORE, FILE, _pumps(200))
        own_weaviate.kill()
        with monkeypatch.context() as patch:
            for name in ("CONNECT_TIMEOUT", "SEARCH_TIMEOUT", "WRITE_TIMEOUT"):
                patch.setattr(weaviate_index, name, SHORTLY)
            for call in (
                index.search(STORE, QUERY),
                index.chunks(STORE, FILE, -1, 10),
                index.upsert(STORE, FILE, _pumps(1)),
                index.delete_file(STORE, FILE.id),
                index.drop(STORE),
                index.check(),
            ):
                with pytest.raises(VectorIndexUnavailable):
                    await call

        own_weaviate.start()

        await index.check()
        assert len(await index.chunks(STORE, FILE, -1, 1000)) == 200
        assert len((await index.search(STORE, QUERY)).by_vector) == QUERY.limit


async def test_frozen_weaviate_is_unavailable_in_time(
    own_weaviate: WeaviateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_weaviate_index(own_weaviate.url) as index:
        await index.upsert(STORE, FILE, _pumps(1))
        monkeypatch.setattr(weaviate_index, "SEARCH_TIMEOUT", SHORTLY)
        own_weaviate.freeze()
        began = time.monotonic()

        with pytest.raises(VectorIndexUnavailable) as raised:
            await index.search(STORE, QUERY)

        assert time.monotonic() - began < 10
        assert "within 0.5 s" in raised.value.reason
        own_weaviate.thaw()
