"""The seams between Holdfast and what it stands on. Each port has two or more real implementations in this package."""

from collections.abc import AsyncGenerator
from typing import Protocol

from models.language_model import ModelDelta, ModelRequest


class LanguageModel(Protocol):
    """A model that answers in a stream.

    Implementations never retry by themselves (Temporal owns retries) and translate every vendor error into a
    `infra.language_model.errors.ModelCallFailed`.
    """

    async def prepare(self) -> None:
        """Load what the first call needs, so that it need not wait. May take seconds; a second call does nothing."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        """Yield the answer piece by piece; the last piece is a `Finish`. Closing the iterator ends the call.

        Raises a subclass of `ModelCallFailed` before or between pieces; a stream that breaks off without its end is
        `ModelStreamBroken`, never a shortened answer.
        """
        ...

    async def context_window_tokens(self, model: str) -> int | None:
        """How many tokens of prompt the model takes, None where nobody knows."""
        ...

    async def count_tokens(self, model: str, text: str) -> int:
        """Tokens of `text` for `model`: exact where its tokenizer is at hand, otherwise a close estimate."""
        ...
