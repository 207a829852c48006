"""How many windows are asked for at first."""

import pytest

from infra.vector_index.windows_per_chunk import AT_FIRST, WindowsPerChunk
from models.search_index import IndexedStore

STORE, OTHER, THIRD = (IndexedStore(f"vs_{number}", "test/model", 4) for number in range(3))


def test_store_is_asked_for_what_searches_of_it_needed() -> None:
    windows = WindowsPerChunk()
    assert windows.of(STORE) == AT_FIRST

    windows.add(STORE, 50, 50)
    windows.add(OTHER, 150, 50)

    assert windows.of(STORE) == 1
    assert 3 < windows.of(OTHER) < 4


def test_search_that_needed_more_counts_at_once_and_one_that_needed_fewer_by_and_by() -> None:
    windows = WindowsPerChunk()
    windows.add(STORE, 50, 50)

    windows.add(STORE, 200, 50)
    most = windows.of(STORE)
    windows.add(STORE, 50, 50)
    after_one = windows.of(STORE)
    for _ in range(10):
        windows.add(STORE, 50, 50)

    assert most > after_one > windows.of(STORE) == pytest.approx(1, abs=0.01)
    assert most >= 4
    assert after_one > 2


def test_stores_that_were_not_searched_for_longest_are_forgotten() -> None:
    windows = WindowsPerChunk(most_stores=2)
    for store in (STORE, OTHER, STORE, THIRD):
        windows.add(store, 50, 50)

    assert [windows.of(store) for store in (STORE, OTHER, THIRD)] == [1, AT_FIRST, 1]
