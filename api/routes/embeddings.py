"""`/embeddings`: the vectors of the server's own embedding model, that of vector stores."""

import struct
from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request

from api.dependencies import ProjectDep, ResourcesDep
from api.deployments import DeploymentRoute
from infra.embeddings.errors import EmbeddingFailed
from infra.embeddings.inputs import embed_whole
from infra.ports import Embedder
from infra.resources import Resources
from infra.tokenizers import encoding
from models.embeddings import (
    MAX_INPUT_TOKENS,
    MAX_INPUTS,
    CreateEmbeddingRequest,
    Embedding,
    EmbeddingList,
    EmbeddingModelFailed,
    EmbeddingUsage,
    EncodingFormat,
    Input,
    UnusableInput,
    WrongDimensions,
)
from models.errors import ModelNotFound

if TYPE_CHECKING:
    from tiktoken import Encoding

COUNTED_CHARACTERS = 100_000
"""At a time: a cut within a word adds a token."""


class EmbeddingsRoute(DeploymentRoute):
    """Tokens are values of the body."""

    max_values = MAX_INPUT_TOKENS + 2 * MAX_INPUTS


router = APIRouter(prefix="/embeddings", tags=["Embeddings"], route_class=EmbeddingsRoute)


@router.post("", operation_id="createEmbedding")
async def create_embeddings(
    body: CreateEmbeddingRequest, request: Request, resources: ResourcesDep, _: ProjectDep
) -> EmbeddingList:
    """Not durable: a request that is cut off has no effect."""
    embedder = _named(resources, body.model)
    if body.dimensions not in (None, embedder.dimensions):
        raise WrongDimensions(body.model, embedder.dimensions)
    # One at a time: the tokens of one request may take 30 MB.
    one_at_a_time: CapacityLimiter = request.app.state.large_bodies
    texts, tokens = await to_thread.run_sync(_texts, body.input, limiter=one_at_a_time)
    try:
        vectors = await embed_whole(embedder, texts)
    except EmbeddingFailed as error:
        raise EmbeddingModelFailed(str(error), error.is_retryable) from error
    encoded = await to_thread.run_sync(_encoded, vectors, body.encoding_format, limiter=one_at_a_time)
    return EmbeddingList(
        data=encoded, model=body.model, usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
    )


def _named(resources: Resources, model: str) -> Embedder:
    """The embedder of the setting, under its name with or without `openai/`."""
    embedder, name = resources.embedders.for_new_stores, resources.settings.embedding_model
    if embedder is None or model not in (name, name.removeprefix("openai/")):
        raise ModelNotFound(model)
    return embedder


def _texts(given: Input) -> tuple[list[str], int]:
    """The inputs as texts, and the number of their tokens."""
    items = [given] if isinstance(given, str) or isinstance(given[0], int) else given
    vocabulary, texts, tokens = encoding(), [], 0
    for item in items:
        text = item if isinstance(item, str) else _decoded(vocabulary, item)
        if not text:
            raise UnusableInput.empty()
        texts.append(text)
        tokens += _count(vocabulary, text) if isinstance(item, str) else len(item)
        if tokens > MAX_INPUT_TOKENS:
            raise UnusableInput.too_long(tokens)
    return texts, tokens


def _decoded(vocabulary: "Encoding", tokens: Sequence[int]) -> str:
    try:
        return vocabulary.decode(tokens)
    except (KeyError, OverflowError):
        raise UnusableInput.unknown_tokens() from None


def _count(vocabulary: "Encoding", text: str) -> int:
    """The tokens of `text`, or so many that they are too many: a text of 8 MB may have as many tokens."""
    count = 0
    for start in range(0, len(text), COUNTED_CHARACTERS):
        count += len(vocabulary.encode_ordinary(text[start : start + COUNTED_CHARACTERS]))
        if count > MAX_INPUT_TOKENS:
            break
    return count


def _encoded(vectors: Sequence[Sequence[float]], encoding_format: EncodingFormat | None) -> list[Embedding]:
    if encoding_format == "base64":
        packed = (struct.pack(f"<{len(vector)}f", *vector) for vector in vectors)
        return [Embedding(index=index, embedding=b64encode(each).decode()) for index, each in enumerate(packed)]
    return [
        Embedding(index=index, embedding=[float(value) for value in vector]) for index, vector in enumerate(vectors)
    ]
