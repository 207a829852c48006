"""What every object store promises."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from infra.object_store.errors import ObjectMissing
from infra.ports import ObjectStore
from tests.infra.object_store.content import LARGE_BYTES, broken, chunks, keys, random_bytes, read, stalled

CLOCKS_DIFFER_BY = timedelta(minutes=1)


class SourceFailed(Exception):
    pass


@pytest.mark.parametrize("size", [0, 1, 5 * 1024 * 1024, LARGE_BYTES])
async def test_gives_back_what_was_put(store: ObjectStore, size: int) -> None:
    content = random_bytes(size)

    assert await store.put(f"whole/{size}", chunks(content)) == size

    assert await read(store.get(f"whole/{size}")) == content


async def test_reads_ranges(store: ObjectStore) -> None:
    content = random_bytes(LARGE_BYTES)
    await store.put("ranges/a", chunks(content))
    border = 5 * 1024 * 1024

    for first, last in [(0, 0), (0, 9), (border - 3, border + 3), (LARGE_BYTES - 1, LARGE_BYTES - 1), (7, border * 2)]:
        assert await read(store.get("ranges/a", first, last)) == content[first : last + 1]
    assert await read(store.get("ranges/a", LARGE_BYTES - 5)) == content[-5:]
    assert await read(store.get("ranges/a", LARGE_BYTES)) == b""


async def test_a_missing_object_is_found_missing_at_once(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing):
        await anext(store.get("missing/a"))
    with pytest.raises(ObjectMissing):
        await anext(store.get("missing/a", 0, 0))


async def test_deletes(store: ObjectStore) -> None:
    await store.put("deleted/a", chunks(b"content"))

    await store.delete("deleted/a")
    await store.delete("deleted/a")
    await store.delete("never/there")

    with pytest.raises(ObjectMissing):
        await anext(store.get("deleted/a"))


@pytest.mark.parametrize("size", [100, LARGE_BYTES])
async def test_nothing_is_stored_where_the_source_fails(store: ObjectStore, size: int) -> None:
    with pytest.raises(SourceFailed):
        await store.put(f"failed/{size}", broken(random_bytes(size), SourceFailed()))

    assert await keys(store, "failed/") == []


@pytest.mark.parametrize("size", [100, LARGE_BYTES])
async def test_nothing_is_stored_where_it_is_cancelled(store: ObjectStore, size: int) -> None:
    reached = asyncio.Event()
    putting = asyncio.create_task(store.put(f"cancelled/{size}", stalled(random_bytes(size), reached)))
    await asyncio.wait_for(reached.wait(), 30)

    putting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await keys(store, "cancelled/") == []


async def test_a_reader_may_leave_before_the_end(store: ObjectStore) -> None:
    content = random_bytes(LARGE_BYTES)
    await store.put("left/a", chunks(content))

    for _ in range(5):
        async with aclosing(store.get("left/a")) as source:
            assert content.startswith(await anext(source))

    assert await read(store.get("left/a")) == content


async def test_lists_pages_in_the_order_of_keys(store: ObjectStore) -> None:
    """Of the shape that keys have: of others with a slash more or less, SeaweedFS has an order of its own."""
    stored = sorted(["list/aa/x-1", "list/aa/x_1", "list/AB/x", "list/ab/x", "list/b-/x", "list/aa/X-1", "list/09/x"])
    for key in reversed(stored):
        await store.put(key, chunks(b"1234"))

    found = []
    after = "list/"
    while page := [each for each in await store.list_page(after, 2) if each.key.startswith("list/")]:
        found += page
        after = page[-1].key

    assert [each.key for each in found] == stored
    assert {each.size for each in found} == {4}
    for each in found:
        assert abs(datetime.now(UTC) - each.modified_at) < CLOCKS_DIFFER_BY


async def test_puts_at_once_do_not_mix(store: ObjectStore) -> None:
    contents = {f"together/{index}": random_bytes(6 * 1024 * 1024 + index) for index in range(4)}

    await asyncio.gather(*(store.put(key, chunks(content)) for key, content in contents.items()))

    for key, content in contents.items():
        assert await read(store.get(key)) == content


async def test_checks_without_leaving_an_object(store: ObjectStore) -> None:
    before = await store.list_page("", 1000)

    await store.check()

    assert await store.list_page("", 1000) == before
