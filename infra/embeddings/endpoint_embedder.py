"""What embedders share whose model is asked over HTTP: the model's name, windows, and requests of bounded size."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from infra.embeddings.token_windows import token_windows


class Endpoint(Protocol):
    """`sent_dimensions` asks for shorter vectors than the model's own; stores find the model by `remembered_as`."""

    @property
    def remembered_as(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def sent_dimensions(self) -> int | None: ...
    @property
    def window_tokens(self) -> int: ...
    @property
    def texts_per_request(self) -> int: ...


class EndpointEmbedder(ABC):
    """An `Embedder` that sends texts in requests that the endpoint takes, one after the other."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._shape = endpoint

    @property
    def model(self) -> str:
        # Shortened vectors cannot be compared with whole ones.
        sent = self._shape.sent_dimensions
        return self._shape.remembered_as + (f"@{sent}" if sent else "")

    @property
    def dimensions(self) -> int:
        return self._shape.dimensions

    async def windows(self, text: str) -> Sequence[str]:
        return await asyncio.to_thread(token_windows, text, self._shape.window_tokens)

    async def embed(self, texts: Sequence[str], are_queries: bool = False) -> Sequence[Sequence[float]]:
        vectors: list[Sequence[float]] = []
        for at in range(0, len(texts), self._shape.texts_per_request):
            vectors += await self._embed(texts[at : at + self._shape.texts_per_request], are_queries)
        return vectors

    @abstractmethod
    async def _embed(self, texts: Sequence[str], are_queries: bool) -> Sequence[Sequence[float]]:
        """The vectors of one request."""
