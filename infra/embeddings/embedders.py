"""The embedders of vector stores: each store keeps the model with which it was created."""

import asyncio
from collections.abc import Awaitable, Callable

from infra.ports import Embedder
from models.search_index import IndexedStore

Open = Callable[[str, int], Awaitable[Embedder]]
"""Opens the embedder of a model and a length of vectors. Raises `infra.embeddings.errors.EmbeddingRefused`."""


class Embedders:
    """That of the setting is open; one of a store from before the setting changed is opened when it is first used."""

    def __init__(self, for_new_stores: Embedder | None, open_another: Open) -> None:
        """`for_new_stores` is None where new stores are searched by keywords alone."""
        self.for_new_stores = for_new_stores
        self._open = open_another
        self._others: dict[tuple[str, int], Embedder] = {}
        self._opening = asyncio.Lock()

    async def of(self, store: IndexedStore) -> Embedder | None:
        """The embedder of the store's own model; None: it has no vectors. Raises `EmbeddingRefused`."""
        model, new = store.embedding_model, self.for_new_stores
        if model is None:
            return None
        if new is not None and (new.model, new.dimensions) == (model, store.dimensions):
            return new
        async with self._opening:
            key = (model, store.dimensions)
            if key not in self._others:
                self._others[key] = await self._open(*key)
            return self._others[key]
