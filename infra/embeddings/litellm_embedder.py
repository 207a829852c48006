"""Embedding models of providers with a wire of their own, by litellm's adapters."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from infra.embeddings.endpoint_embedder import EndpointEmbedder
from infra.embeddings.errors import EmbeddingRefused, EmbeddingUnavailable
from infra.embeddings.litellm_endpoint import LitellmEndpoint
from infra.embeddings.unit_vectors import unit_vector
from infra.language_model.failure_facts import facts_of
from infra.language_model.litellm_errors import translated
from infra.language_model.litellm_loading import load_litellm

TIMEOUT = timedelta(seconds=60)
CALL_TIMEOUT = timedelta(seconds=120)
"""Of a whole call: some adapters heed no other."""
# litellm takes such texts for files, which a provider would read in place of the text.
FILE_PREFIXES = ("data:", "gs://", "files/", "https://generativelanguage.googleapis.com/")
COMPARED_BY_LITELLM = "huggingface/sentence-transformers/"
UNREAD = (AttributeError, LookupError, TypeError, ValueError)
SECRETS = ("key", "key_id", "token", "credentials")
NO_RETRIES: Mapping[str, Any] = {"num_retries": 0, "max_retries": 0}


async def open_litellm_embedder(endpoint: LitellmEndpoint) -> "LitellmEmbedder":
    """Loads litellm, which takes seconds and asks nobody. Raises `EmbeddingRefused` where it cannot embed by it."""
    litellm = (await asyncio.to_thread(load_litellm)).module
    try:
        litellm.get_llm_provider(endpoint.name)
    except litellm.BadRequestError:
        raise EmbeddingRefused(
            f"This version of Holdfast does not know the embedding model '{endpoint.name}', nor does the models file."
        ) from None
    if endpoint.name.startswith(COMPARED_BY_LITELLM):
        raise EmbeddingRefused(
            f"litellm does not embed by '{endpoint.name}' but compares texts: serve it at an endpoint that speaks "
            "OpenAI's /v1/embeddings, and name it with openai/."
        )
    return LitellmEmbedder(endpoint, litellm)


class LitellmEmbedder(EndpointEmbedder):
    def __init__(self, endpoint: LitellmEndpoint, litellm: Any) -> None:
        super().__init__(endpoint)
        self._endpoint = endpoint
        self._litellm = litellm

    async def _embed(self, texts: Sequence[str], are_queries: bool) -> Sequence[Sequence[float]]:
        sent = self._endpoint.sent_dimensions
        parameters = {
            **self._endpoint.given,
            **self._endpoint.purpose(are_queries),
            **({"dimensions": sent} if sent else {}),
            **NO_RETRIES,
            "timeout": TIMEOUT.total_seconds(),
        }
        try:
            async with asyncio.timeout(CALL_TIMEOUT.total_seconds()):
                answer = await self._litellm.aembedding(
                    model=self._endpoint.name, input=[_sent(text) for text in texts], **parameters
                )
        except TimeoutError:
            raise EmbeddingUnavailable(f"{self._subject} does not answer: Timeout.") from None
        except Exception as error:
            raise self._failure(error) from error
        return self._vectors(answer, len(texts))

    def _vectors(self, answer: Any, count: int) -> Sequence[Sequence[float]]:
        try:
            found = [item["embedding"] for item in sorted(answer.data, key=lambda item: item["index"])]
        except (TypeError, KeyError, AttributeError):
            raise EmbeddingRefused(f"{self._subject} answered, but not with embeddings.") from None
        if len(found) != count:
            raise EmbeddingRefused(f"{self._subject} answered with {len(found)} vectors for {count} texts.")
        try:
            return [unit_vector(vector, self.dimensions, self._subject) for vector in found]
        except TypeError:
            raise EmbeddingRefused(f"{self._subject} answered, but not with embeddings.") from None

    def _failure(self, error: Exception) -> EmbeddingUnavailable | EmbeddingRefused:
        if _is_unread(error):
            return EmbeddingRefused(f"{self._subject} answered, but not with embeddings.")
        failure = translated(error, self._endpoint.name, has_begun=False)
        message = str(failure)
        for name, value in self._endpoint.given.items():
            if name.endswith(SECRETS) and value:
                message = message.replace(str(value), "***")
        if failure.is_retryable:
            return EmbeddingUnavailable(message, failure.retry_after)
        return EmbeddingRefused(message)

    @property
    def _subject(self) -> str:
        return f"The provider of embedding model '{self._endpoint.name}'"


def _is_unread(error: BaseException) -> bool:
    """Whether litellm could not read an answer: it reports that as a lost connection, which a retry may cure."""
    facts = facts_of(error)
    if facts.has_answer or facts.is_connection_failure:
        return False
    below: BaseException | None = error
    while below and not isinstance(below, UNREAD):
        below = below.__cause__ or below.__context__
    return below is not None


def _sent(text: str) -> str:
    # Providers refuse an empty text.
    if not text.strip():
        return "-"
    return f" {text}" if text.startswith(FILE_PREFIXES) else text
