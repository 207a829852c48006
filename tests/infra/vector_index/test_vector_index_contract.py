"""What every vector index promises."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

import pytest
import pytest_asyncio

from infra.ports import VectorIndex
from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_index.sqlite_index import SqliteVectorIndex
from infra.vector_index.weaviate_index import open_weaviate_index
from models.search_index import (
    Candidates,
    ChunkKey,
    DifferingFiles,
    FileSelection,
    IndexedChunk,
    IndexedFile,
    IndexedStore,
    IndexQuery,
)
from tests.weaviate_server import WEAVIATE, WeaviateServer

DIMENSIONS = 4
STORE = IndexedStore("vs_one", "test/model", DIMENSIONS)
FILE = IndexedFile("file-one", 1)
OTHER = IndexedFile("file-two", 1)
THIRD = IndexedFile("file-three", 1)

Opener = Callable[[Path], AbstractAsyncContextManager[VectorIndex]]


@asynccontextmanager
async def _open_sqlite(folder: Path) -> AsyncIterator[VectorIndex]:
    with closing(SqliteVectorIndex(folder / "vector_index", cache_bytes=1_000_000)) as index:
        yield index


@pytest.fixture(params=["sqlite", pytest.param("weaviate", marks=WEAVIATE)])
def opener(request: pytest.FixtureRequest) -> Opener:
    """Opens an index that is empty at first, any number of times."""
    if request.param == "sqlite":
        return _open_sqlite
    server: WeaviateServer = request.getfixturevalue("weaviate")
    server.empty()
    return lambda _: open_weaviate_index(server.url)


@pytest_asyncio.fixture
async def index(opener: Opener, tmp_path: Path) -> AsyncIterator[VectorIndex]:
    async with opener(tmp_path) as opened:
        yield opened


def _toward(degrees: float) -> tuple[float, ...]:
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0, 0.0


def _chunk(number: int, text: str = "text", *degrees: float, page: int | None = None) -> IndexedChunk:
    return IndexedChunk(number, text, page, [_toward(angle) for angle in degrees])


def _query(
    text: str = "", degrees: float | None = None, files: tuple[IndexedFile, ...] = (FILE,), limit: int = 50
) -> IndexQuery:
    return IndexQuery(text, None if degrees is None else _toward(degrees), FileSelection(files), limit)


def _near(found: Candidates) -> list[tuple[str, int]]:
    return [(candidate.key.file_id, candidate.key.number) for candidate in found.by_vector]


def _said(found: Candidates) -> list[tuple[str, int]]:
    return [(candidate.key.file_id, candidate.key.number) for candidate in found.by_keywords]


async def _texts(index: VectorIndex, store: IndexedStore, found: Candidates) -> list[str]:
    """Of both lists."""
    keys = [candidate.key for candidate in (*found.by_vector, *found.by_keywords)]
    texts = await index.texts(store, keys)
    return [texts[key].text for key in keys]


async def test_nearest_chunks_come_first_with_their_cosines(index: VectorIndex) -> None:
    await index.upsert(STORE, FILE, [_chunk(0, "far", 90), _chunk(1, "near", 10), _chunk(2, "nearer", 5)])

    found = await index.search(STORE, _query(degrees=0))

    assert _near(found) == [("file-one", 2), ("file-one", 1), ("file-one", 0)]
    expected = [math.cos(math.radians(angle)) for angle in (5, 10, 90)]
    assert [candidate.score for candidate in found.by_vector] == pytest.approx(expected, abs=1e-3)


async def test_chunk_of_several_windows_is_found_once_by_its_best(index: VectorIndex) -> None:
    await index.upsert(STORE, FILE, [_chunk(0, "long", 80, 2, 120), _chunk(1, "short", 30)])

    found = await index.search(STORE, _query(degrees=0))

    assert _near(found) == [("file-one", 0), ("file-one", 1)]
    assert found.by_vector[0].score == pytest.approx(math.cos(math.radians(2)), abs=1e-3)


async def test_chunks_may_share_windows(index: VectorIndex) -> None:
    await index.upsert(STORE, FILE, [_chunk(0, "a", 0, 40), _chunk(1, "b", 40, 80), _chunk(2, "c", 80, 120)])

    found = await index.search(STORE, _query(degrees=80))

    assert [candidate.score for candidate in found.by_vector[:2]] == pytest.approx([1.0, 1.0], abs=1e-3)
    assert _near(found)[2] == ("file-one", 0)


async def test_query_of_all_files_finds_every_generation_and_names_it(index: VectorIndex) -> None:
    again = IndexedFile(FILE.id, 2)
    await index.upsert(STORE, FILE, [_chunk(0, "pump", 5), _chunk(1, "valve", 50)])
    await index.upsert(STORE, again, [_chunk(0, "pump", 10)])
    await index.upsert(STORE, OTHER, [_chunk(0, "pump pump", 20)])

    found = await index.search(STORE, IndexQuery("pump", _toward(0), None, limit=3))

    assert [candidate.key.file for candidate in found.by_vector] == [FILE, again, OTHER]
    assert {candidate.key.file for candidate in found.by_keywords} == {FILE, again, OTHER}
    by_name = await index.search(STORE, _query("pump", 0, (FILE, again, OTHER), limit=3))
    assert found == by_name


async def test_keywords_find_chunks_with_most_of_the_rarest(index: VectorIndex) -> None:
    texts = ["The pump of the press", "The valve of the pump AX-4410/B", "A filter", "Grüße aus Köln", "A gasket"]
    await index.upsert(STORE, FILE, [_chunk(number, text, 0) for number, text in enumerate(texts)])

    assert _said(await index.search(STORE, _query("which pump has a valve?"))) == [("file-one", 1), ("file-one", 0)]
    assert _said(await index.search(STORE, _query("ax-4410/b"))) == [("file-one", 1)]
    assert _said(await index.search(STORE, _query("KÖLN"))) == [("file-one", 3)]
    assert _said(await index.search(STORE, _query("grüße"))) == [("file-one", 3)]
    assert _said(await index.search(STORE, _query("nothing-like-it"))) == []


async def test_keyword_scores_are_at_most_what_the_query_could_have(index: VectorIndex) -> None:
    texts = ["zebra", "zebra " * 30, "giraffe zebra", "lion", "lion tiger", "an elephant", "a stork", "a crane"]
    await index.upsert(STORE, FILE, [_chunk(number, text) for number, text in enumerate(texts)])

    found = await index.search(STORE, _query("zebra giraffe"))

    scores = [candidate.score for candidate in found.by_keywords]
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[0] <= found.max_keyword_score
    assert scores[0] > 0.3 * found.max_keyword_score


async def test_word_that_nearly_all_chunks_have_is_found(index: VectorIndex) -> None:
    await index.upsert(STORE, FILE, [_chunk(number, "the warranty") for number in range(3)])

    assert len((await index.search(STORE, _query("warranty"))).by_keywords) == 3


@pytest.mark.parametrize("text", ['"', "' OR 1=1 --", "NEAR(a, b)", "text:*", "^", "\0", "(((", "a" * 50_000, "the"])
async def test_no_query_is_an_error(text: str, index: VectorIndex) -> None:
    await index.upsert(STORE, FILE, [_chunk(0, "something", 0)])

    found = await index.search(STORE, _query(text, degrees=0))

    assert (_near(found), _said(found)) == ([("file-one", 0)], [])


async def test_only_the_named_files_and_generations_are_searched(index: VectorIndex) -> None:
    new = IndexedFile(FILE.id, 2)
    await index.upsert(STORE, FILE, [_chunk(0, "old pump", 0)])
    await index.upsert(STORE, new, [_chunk(0, "new pump", 1)])
    await index.upsert(STORE, OTHER, [_chunk(0, "other pump", 2)])
    absent = IndexedFile("file-absent", 1)

    found = await index.search(STORE, _query("pump", 0, files=(new, absent)))

    assert await _texts(index, STORE, found) == ["new pump"] * 2
    assert _near(await index.search(STORE, _query("pump", 0, files=()))) == []


@pytest.mark.parametrize(
    "files",
    [[FILE, OTHER], DifferingFiles(FileSelection([FILE, THIRD]), frozenset([THIRD]), frozenset([OTHER]))],
    ids=["named", "differing"],
)
async def test_selection_is_searched_again_as_the_index_changes(
    index: VectorIndex, files: list[IndexedFile] | DifferingFiles
) -> None:
    query = IndexQuery("pump", _toward(0), FileSelection(files, share=0.5))
    await index.upsert(STORE, THIRD, [_chunk(0, "pump", 0)])
    others = [IndexedFile(f"file-{number}", 1) for number in range(3)]

    async def found_after(change: Awaitable[None]) -> set[str]:
        await change
        found = await index.search(STORE, query)
        assert set(_near(found)) == set(_said(found))
        return {file_id for file_id, _ in _near(found)}

    assert await found_after(index.upsert(STORE, FILE, [_chunk(0, "pump", 10)])) == {FILE.id}
    assert await found_after(index.upsert(STORE, others[0], [_chunk(0, "pump", 0)])) == {FILE.id}
    assert await found_after(index.upsert(STORE, OTHER, [_chunk(0, "pump", 20)])) == {FILE.id, OTHER.id}
    assert await found_after(index.delete_file(STORE, FILE.id)) == {OTHER.id}
    assert await found_after(index.upsert(STORE, others[1], [_chunk(0, "pump", 0)])) == {OTHER.id}
    assert await found_after(index.upsert(STORE, FILE, [_chunk(0, "pump", 30)])) == {FILE.id, OTHER.id}
    await index.drop(STORE)
    await index.upsert(STORE, others[2], [_chunk(0, "pump", 0)])
    assert await found_after(index.upsert(STORE, OTHER, [_chunk(0, "pump", 20)])) == {OTHER.id}


async def test_files_that_are_not_searched_take_no_places(index: VectorIndex) -> None:
    await index.upsert(STORE, FILE, [_chunk(number, "pump pump pump", 0) for number in range(60)])
    await index.upsert(STORE, OTHER, [_chunk(0, "a pump and more words", 50), _chunk(1, "a filter", 50)])

    found = await index.search(STORE, _query("pump", 0, files=(OTHER,), limit=5))

    assert _near(found) == [("file-two", 0), ("file-two", 1)]
    assert _said(found) == [("file-two", 0)]


async def test_ten_thousand_files_are_searched(index: VectorIndex) -> None:
    others = [IndexedFile(f"file-{number}", 1) for number in range(9_999)]
    await index.upsert(STORE, FILE, [_chunk(number, "pump pump pump", 10 + number / 4) for number in range(150)])
    await index.upsert(STORE, OTHER, [_chunk(0, "a pump and more words", 50), _chunk(1, "a filter", 50)])
    await index.upsert(STORE, others[7], [_chunk(0, "a pump", 60)])

    found = await index.search(STORE, _query("pump", 0, files=(*others, OTHER)))
    some = await index.search(STORE, _query("pump", 0, files=(*others, FILE)))
    await index.upsert(STORE, others[-1], [_chunk(number, "pump pump pump pump", 5) for number in range(20)])
    half = await index.search(STORE, IndexQuery("pump", _toward(0), FileSelection([*others[:4_999], FILE], share=0.5)))
    most = await index.search(STORE, IndexQuery("pump", _toward(0), FileSelection([*others[:8_999], FILE], share=0.9)))

    assert _near(found) == [("file-two", 0), ("file-two", 1), ("file-7", 0)]
    assert set(_said(found)) == {("file-two", 0), ("file-7", 0)}
    for found in (some, half, most):
        assert _near(found) == [("file-one", number) for number in range(50)]
        assert set(_said(found)) <= {("file-one", number) for number in range(150)}
        assert len(_said(found)) == 50


async def test_chunks_of_many_windows_leave_places_to_others(index: VectorIndex) -> None:
    await index.upsert(STORE, FILE, [_chunk(0, "long", *(number / 10 for number in range(300))), _chunk(1, "near", 45)])
    await index.upsert(STORE, FILE, [_chunk(number, "far", 60 + number) for number in range(2, 8)])

    # The second search knows what the first one needed.
    for _ in range(2):
        found = await index.search(STORE, _query(degrees=0, limit=5))
        assert _near(found) == [("file-one", number) for number in range(5)]


async def test_lists_have_at_most_the_limit(index: VectorIndex) -> None:
    await index.upsert(STORE, FILE, [_chunk(number, f"pump {number}", number) for number in range(30)])

    found = await index.search(STORE, _query("pump", 0, limit=7))

    assert _near(found) == [("file-one", number) for number in range(7)]
    assert len(found.by_keywords) == 7


async def test_upserting_again_changes_nothing(index: VectorIndex) -> None:
    some = [_chunk(number, f"pump {number}", number * 10) for number in range(5)]
    await index.upsert(STORE, FILE, some[:3])
    await index.upsert(STORE, FILE, some)
    before = await index.search(STORE, _query("pump", 0))

    await index.upsert(STORE, FILE, some)

    assert await index.search(STORE, _query("pump", 0)) == before
    assert len(before.by_vector) == len(before.by_keywords) == 5


async def test_texts_are_read_of_chunks_that_are_still_there(index: VectorIndex) -> None:
    new, other_store = IndexedFile(FILE.id, 2), IndexedStore("vs_two", STORE.embedding_model, DIMENSIONS)
    await index.upsert(STORE, FILE, [_chunk(0, "old pump", 0, page=3), _chunk(1, "old valve", 5)])
    await index.upsert(STORE, OTHER, [_chunk(0, "other pump", 10, page=7)])
    keys = [each.key for each in (await index.search(STORE, _query("pump", 0, files=(FILE, OTHER)))).by_vector]

    assert await index.texts(STORE, keys) == {
        ChunkKey(STORE, FILE, 0): IndexedChunk(0, "old pump", 3),
        ChunkKey(STORE, FILE, 1): IndexedChunk(1, "old valve"),
        ChunkKey(STORE, OTHER, 0): IndexedChunk(0, "other pump", 7),
    }
    await index.upsert(STORE, new, [_chunk(0, "new pump", 0)])
    await index.delete_file(STORE, FILE.id, keep_generation=2)
    assert set(await index.texts(STORE, keys)) == {ChunkKey(STORE, OTHER, 0)}
    assert await index.texts(STORE, []) == {}
    await index.drop(STORE)
    assert await index.texts(STORE, keys) == {}
    assert await index.texts(other_store, [ChunkKey(other_store, FILE, 0)]) == {}


async def test_chunks_are_read_page_by_page(index: VectorIndex) -> None:
    some = [_chunk(number, f"text {number}", number, page=number // 2 + 1) for number in range(5)]
    await index.upsert(STORE, FILE, some[::-1])
    await index.upsert(STORE, OTHER, [_chunk(0, "other")])

    first = await index.chunks(STORE, FILE, after=-1, limit=3)
    second = await index.chunks(STORE, FILE, after=first[-1].number, limit=3)

    assert [*first, *second] == [IndexedChunk(chunk.number, chunk.text, chunk.page) for chunk in some]
    assert len(first) == 3
    assert await index.chunks(STORE, IndexedFile(FILE.id, 9), after=-1, limit=3) == []


async def test_deleted_file_leaves_nothing(index: VectorIndex) -> None:
    await index.upsert(STORE, FILE, [_chunk(number, "pump", 0) for number in range(3)])
    await index.upsert(STORE, OTHER, [_chunk(0, "pump", 5)])
    await index.search(STORE, _query("pump", 0, files=(FILE, OTHER)))

    await index.delete_file(STORE, FILE.id)

    found = await index.search(STORE, _query("pump", 0, files=(FILE, OTHER)))
    assert (_near(found), _said(found)) == ([("file-two", 0)], [("file-two", 0)])
    assert await index.chunks(STORE, FILE, after=-1, limit=3) == []


async def test_deleting_keeps_the_generation_that_is_named(index: VectorIndex) -> None:
    new = IndexedFile(FILE.id, 2)
    await index.upsert(STORE, FILE, [_chunk(0, "old", 0)])
    await index.upsert(STORE, new, [_chunk(0, "new", 0)])

    await index.delete_file(STORE, FILE.id, keep_generation=2)

    assert await index.chunks(STORE, FILE, after=-1, limit=3) == []
    assert [chunk.text for chunk in await index.chunks(STORE, new, after=-1, limit=3)] == ["new"]


async def test_deleting_keeps_newer_generations_than_the_one_that_is_named(index: VectorIndex) -> None:
    generations = [IndexedFile(FILE.id, number) for number in (1, 2, 3)]
    for generation in generations:
        await index.upsert(STORE, generation, [_chunk(0, "text", 0)])

    await index.delete_file(STORE, FILE.id, keep_generation=2)

    assert [len(await index.chunks(STORE, each, after=-1, limit=3)) for each in generations] == [0, 1, 1]


async def test_one_generation_alone_is_deleted(index: VectorIndex) -> None:
    generations = [IndexedFile(FILE.id, number) for number in (1, 2, 3)]
    for generation in (*generations, IndexedFile(OTHER.id, 2)):
        await index.upsert(STORE, generation, [_chunk(0, "text", 0)])

    await index.delete_generation(STORE, generations[1])

    left = [
        len(await index.chunks(STORE, each, after=-1, limit=3)) for each in (*generations, IndexedFile(OTHER.id, 2))
    ]
    assert left == [1, 0, 1, 1]


async def test_file_comes_back_after_it_was_deleted(index: VectorIndex) -> None:
    await index.upsert(STORE, FILE, [_chunk(0, "old", 0)])
    await index.search(STORE, _query("old", 0))
    await index.delete_file(STORE, FILE.id)

    await index.upsert(STORE, FILE, [_chunk(0, "new", 90)])

    found = await index.search(STORE, _query("old", 90))
    assert [candidate.score for candidate in found.by_vector] == pytest.approx([1.0], abs=1e-3)
    assert found.by_keywords == []


async def test_dropped_store_has_nothing_and_can_be_dropped_again(index: VectorIndex) -> None:
    await index.upsert(STORE, FILE, [_chunk(0, "old pump", 0)])
    await index.search(STORE, _query("pump", 0))

    await index.drop(STORE)
    await index.drop(STORE)

    assert await index.search(STORE, _query("pump", 0, files=())) == Candidates((), (), 0.0)
    await index.upsert(STORE, FILE, [_chunk(0, "new pump", 90)])
    found = await index.search(STORE, _query("pump", 90))
    assert (_near(found), await _texts(index, STORE, found)) == ([("file-one", 0)], ["new pump"] * 2)


async def test_stores_and_models_do_not_mix(index: VectorIndex) -> None:
    other_store = IndexedStore("vs_two", STORE.embedding_model, DIMENSIONS)
    other_model = IndexedStore(STORE.id, "test/other", 2)
    await index.upsert(STORE, FILE, [_chunk(0, "pump one", 0)])
    await index.upsert(other_store, FILE, [_chunk(0, "pump two", 0)])
    await index.upsert(other_model, FILE, [IndexedChunk(0, "pump three", None, [(1.0, 0.0)])])

    await index.drop(other_store)

    found = await index.search(STORE, _query("pump", 0))
    other = await index.search(other_model, IndexQuery("pump", (1.0, 0.0), FileSelection([FILE])))
    assert await _texts(index, STORE, found) == ["pump one"] * 2
    assert await _texts(index, other_model, other) == ["pump three"] * 2


async def test_store_without_a_model_is_searched_by_keywords(index: VectorIndex) -> None:
    store = IndexedStore("vs_words", None, 0)
    await index.upsert(store, FILE, [_chunk(0, "a pump"), _chunk(1, "a valve"), _chunk(2, "a filter")])

    found = await index.search(store, _query("pump"))

    assert (_near(found), _said(found)) == ([], [("file-one", 0)])


async def test_vector_of_a_wrong_length_is_an_error(index: VectorIndex) -> None:
    with pytest.raises(ValueError, match="3 dimensions in a store of 4"):
        await index.upsert(STORE, FILE, [IndexedChunk(0, "text", None, [(1.0, 0.0, 0.0)])])


async def test_store_that_has_nothing_yet_has_no_candidates(index: VectorIndex) -> None:
    assert await index.search(STORE, _query("pump", 0, files=())) == Candidates((), (), 0.0)
    assert await index.chunks(STORE, FILE, after=-1, limit=5) == []
    await index.delete_file(STORE, FILE.id)


async def test_files_that_were_added_to_another_index_are_not_passed_over(index: VectorIndex) -> None:
    with pytest.raises(VectorIndexUnavailable) as raised:
        await index.search(STORE, _query("pump", 0))

    # The log names the store and its place; clients and the Temporal UI see the text, which names nothing.
    assert STORE.id in raised.value.reason
    assert STORE.id in repr(raised.value)
    assert str(raised.value) == "The search index does not answer."


async def test_other_processes_see_what_one_writes(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as one, opener(tmp_path) as other:
        await one.upsert(STORE, FILE, [_chunk(0, "pump", 0)])
        assert len((await other.search(STORE, _query("pump", 0))).by_vector) == 1

        await one.upsert(STORE, FILE, [_chunk(1, "pump", 5)])
        assert len((await other.search(STORE, _query("pump", 0))).by_vector) == 2

        await one.delete_file(STORE, FILE.id)
        await one.upsert(STORE, FILE, [_chunk(7, "pump", 90)])
        assert _near(await other.search(STORE, _query("pump", 90))) == [("file-one", 7)]

        await one.drop(STORE)
        await one.upsert(STORE, OTHER, [_chunk(3, "pump", 45)])
        found = await other.search(STORE, _query("pump", 45, files=(FILE, OTHER)))
        assert [candidate.score for candidate in found.by_vector] == pytest.approx([1.0], abs=1e-3)


async def test_searches_beside_writes_see_whole_states(index: VectorIndex) -> None:
    async def write() -> None:
        for generation in range(1, 9):
            file = IndexedFile("file-busy", generation)
            await index.upsert(STORE, file, [_chunk(number, "busy pump", number) for number in range(20)])
            await index.delete_file(STORE, "file-busy", keep_generation=generation)

    await index.upsert(STORE, FILE, [_chunk(0, "calm pump", 0)])
    writing = asyncio.create_task(write())
    generations = tuple(IndexedFile("file-busy", generation) for generation in range(1, 9))
    while not writing.done():
        found = await index.search(STORE, _query("pump", 0, files=(FILE, *generations)))
        assert ("file-one", 0) in _near(found)
        assert ("file-one", 0) in _said(found)
    await writing

    assert len((await index.search(STORE, _query("pump", 0, files=generations))).by_vector) == 20


async def test_stores_written_at_once_for_the_first_time_lose_nothing(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as one, opener(tmp_path) as other:
        await asyncio.gather(
            *(
                index.upsert(STORE, IndexedFile(f"file-{number}", 1), [_chunk(0, "pump", 0)])
                for number, index in enumerate([one, other] * 8)
            )
        )

        files = tuple(IndexedFile(f"file-{number}", 1) for number in range(16))
        assert len((await one.search(STORE, _query("pump", 0, files=files))).by_vector) == 16


async def test_index_that_can_be_used_passes_its_check(index: VectorIndex) -> None:
    await index.check()
