"""An endpoint that speaks OpenAI's `/v1/embeddings`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import httpx
from pydantic import BaseModel, ValidationError

from infra import openai_api
from infra.embeddings.endpoint_embedder import EndpointEmbedder
from infra.embeddings.errors import EmbeddingRefused, EmbeddingUnavailable
from infra.embeddings.unit_vectors import unit_vector
from infra.errors import StartFailed

OWN_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
TIMEOUT = timedelta(seconds=60)
CONNECT_TIMEOUT = timedelta(seconds=10)
MAX_TEXTS_PER_REQUEST = 64
MAX_REASON_CHARACTERS = 300
RETRYABLE_STATUSES = frozenset({408, 409, 429})


@dataclass(frozen=True)
class EmbeddingEndpoint:
    """`sent_dimensions` asks the model for shorter vectors than its own; None leaves it to the model.

    `remembered_as` is the name by which vector stores find it again.
    """

    url: str
    key: str
    remembered_as: str
    dimensions: int
    sent_dimensions: int | None
    window_tokens: int

    @classmethod
    def from_environment(cls, name: str, dimensions: int, window_tokens: int) -> "EmbeddingEndpoint":
        """Raises `StartFailed` where `dimensions` is 0 and the model `name` is not one that is known here."""
        return cls.at("", "", name, dimensions, window_tokens, remembered_as=f"openai/{name}")

    @classmethod
    def at(
        cls, url: str, key: str, name: str, dimensions: int, window_tokens: int, remembered_as: str
    ) -> "EmbeddingEndpoint":
        """An empty `url` or `key` is that of the environment. Raises as `from_environment`."""
        own = OWN_DIMENSIONS.get(name)
        if not dimensions and not own:
            raise StartFailed(f"Set HOLDFAST_EMBEDDING_DIMENSIONS to the length of the vectors of '{name}'.")
        return cls(
            url=(url or openai_api.base_url()).rstrip("/"),
            key=key or openai_api.api_key() or "",
            remembered_as=remembered_as,
            dimensions=dimensions or own or 0,
            sent_dimensions=dimensions if own and dimensions and dimensions != own else None,
            window_tokens=window_tokens,
        )

    @property
    def texts_per_request(self) -> int:
        return MAX_TEXTS_PER_REQUEST


def own_name(remembered: str) -> str:
    """The model's name at its endpoint, of one that a vector store remembers: see `OpenAiEmbedder.model`."""
    name, _, sent = remembered.rpartition("@")
    return name if name in OWN_DIMENSIONS and sent.isdecimal() else remembered


@asynccontextmanager
async def open_openai_embedder(name: str, endpoint: EmbeddingEndpoint) -> AsyncIterator["OpenAiEmbedder"]:
    timeout = httpx.Timeout(TIMEOUT.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds())
    headers = openai_api.account_headers()
    if endpoint.key:
        headers["authorization"] = f"Bearer {endpoint.key}"
    async with httpx.AsyncClient(timeout=timeout, headers=headers) as client:
        yield OpenAiEmbedder(name, endpoint, client)


class _Embedding(BaseModel):
    index: int
    embedding: list[float]


class _Answer(BaseModel):
    data: list[_Embedding]


class OpenAiEmbedder(EndpointEmbedder):
    def __init__(self, name: str, endpoint: EmbeddingEndpoint, client: httpx.AsyncClient) -> None:
        super().__init__(endpoint)
        self._name = name
        self._endpoint = endpoint
        self._client = client

    async def _embed(self, texts: Sequence[str], are_queries: bool) -> Sequence[Sequence[float]]:
        # The endpoint refuses an empty text.
        body: dict[str, Any] = {
            "model": self._name,
            "input": [text if text.strip() else "-" for text in texts],
            "encoding_format": "float",
        }
        if self._endpoint.sent_dimensions:
            body["dimensions"] = self._endpoint.sent_dimensions
        try:
            response = await self._client.post(f"{self._endpoint.url}/embeddings", json=body)
        except httpx.TransportError as error:
            raise EmbeddingUnavailable(f"{self._subject} does not answer: {type(error).__name__}.") from error
        if not response.is_success:
            self._fail(response)
        return self._vectors(response, len(texts))

    def _vectors(self, response: httpx.Response, count: int) -> Sequence[Sequence[float]]:
        try:
            found = sorted(_Answer.model_validate_json(response.content).data, key=lambda item: item.index)
        except ValidationError:
            raise EmbeddingRefused(f"{self._subject} answered, but not with embeddings.") from None
        if [item.index for item in found] != list(range(count)):
            raise EmbeddingRefused(f"{self._subject} answered with {len(found)} vectors for {count} texts.")
        return [unit_vector(item.embedding, self.dimensions, self._subject) for item in found]

    def _fail(self, response: httpx.Response) -> NoReturn:
        error = _error_of(response)
        reason = str(error.get("message") or response.reason_phrase)[:MAX_REASON_CHARACTERS]
        if self._endpoint.key:
            reason = reason.replace(self._endpoint.key, "***")
        message = f"{self._subject} answered {response.status_code}: {reason}"
        if {error.get("code"), error.get("type")} & openai_api.QUOTA_CODES:
            raise EmbeddingRefused(message)
        if response.status_code in RETRYABLE_STATUSES or response.status_code >= 500:
            raise EmbeddingUnavailable(message, openai_api.retry_after(response.headers))
        raise EmbeddingRefused(message)

    @property
    def _subject(self) -> str:
        return f"The endpoint of embedding model 'openai/{self._name}'"


def _error_of(response: httpx.Response) -> Mapping[str, Any]:
    with suppress(ValueError):
        body = response.json()
        if isinstance(body, dict) and isinstance(body.get("error"), dict):
            error: Mapping[str, Any] = body["error"]
            return error
    return {}
