"""Bodies of `/embeddings`."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from models.errors import ApiError, InvalidRequest
from models.wire import RequestBody, WireObject, branch, one_of

MAX_INPUTS = 2048
MAX_INPUT_TOKENS = 300_000
"""Of all inputs of a request together, as at OpenAI."""

Tokens = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=MAX_INPUT_TOKENS, fail_fast=True)]


def _kind(value: Any) -> str:
    match value:
        case str():
            return branch("text")
        case [int(), *_]:
            return branch("tokens")
        case [[*_], *_]:
            return branch("token lists")
    return branch("texts")


Input = Annotated[
    Annotated[str, Tag(branch("text"))]
    | Annotated[list[str], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True), Tag(branch("texts"))]
    | Annotated[Tokens, Tag(branch("tokens"))]
    | Annotated[list[Tokens], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True), Tag(branch("token lists"))],
    Discriminator(_kind),
    one_of("a string or an array", str, list),
]
EncodingFormat = Literal["float", "base64"]


class CreateEmbeddingRequest(RequestBody):
    """Tokens are those of cl100k, as LangChain sends them."""

    model: str = Field(max_length=256)
    input: Input
    encoding_format: EncodingFormat | None = None
    dimensions: int | None = Field(None, ge=1)


class Embedding(WireObject):
    """Base64 is of little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(WireObject):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(WireObject):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class UnusableInput(InvalidRequest):
    @classmethod
    def empty(cls) -> "UnusableInput":
        return cls("Invalid 'input': an input must not be empty.", "input", "invalid_value")

    @classmethod
    def too_long(cls, tokens: int) -> "UnusableInput":
        return cls(
            f"Invalid 'input': maximum request size is {MAX_INPUT_TOKENS} tokens, but it has at least {tokens}.",
            "input",
            "max_tokens_per_request",
        )

    @classmethod
    def unknown_tokens(cls) -> "UnusableInput":
        return cls("Invalid 'input': it has tokens that cl100k_base does not know.", "input", "invalid_value")


class WrongDimensions(InvalidRequest):
    def __init__(self, model: str, dimensions: int) -> None:
        super().__init__(
            f"Invalid 'dimensions': this server's vectors of '{model}' have {dimensions}.",
            "dimensions",
            "invalid_value",
        )


class EmbeddingModelFailed(ApiError):
    """The words are those of `infra.embeddings.errors`, which have no secrets."""

    def __init__(self, reason: str, is_retryable: bool) -> None:
        super().__init__(f"The embedding model failed: {reason}", code="embedding_failed")
        self.status = 503 if is_retryable else 502
