"""How many windows the nearest chunks of a store have among the nearest windows, by what earlier searches saw."""

from collections import OrderedDict

from models.search_index import IndexedStore

AT_FIRST = 2.0
MORE = 1.25
"""Searches of one store differ in what they need."""
MOST_STORES = 10_000
"""Of those searched last: 2 MB."""


class WindowsPerChunk:
    """1 in a store whose chunks are short: no more windows need to be asked for than chunks are wanted."""

    def __init__(self, most_stores: int = MOST_STORES) -> None:
        self._most_stores = most_stores
        self._seen: OrderedDict[IndexedStore, float] = OrderedDict()

    def of(self, store: IndexedStore) -> float:
        seen = self._seen.get(store)
        return AT_FIRST if seen is None else 1 + (seen - 1) * MORE

    def add(self, store: IndexedStore, windows: int, limit: int) -> None:
        """A search for `limit` chunks needed so many windows, or there were no more."""
        now = max(windows / limit, 1.0)
        # One that needed more counts at once, one that needed fewer by and by: to ask again costs most.
        self._seen[store] = max(now, (now + self._seen.pop(store, now)) / 2)
        if len(self._seen) > self._most_stores:
            self._seen.popitem(last=False)
