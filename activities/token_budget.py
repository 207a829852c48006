"""Counts the tokens of a prompt against a limit, exactly only where it matters."""

from collections.abc import Awaitable, Callable

MESSAGE_OVERHEAD_TOKENS = 4
"""The tokens of a message beside its text (OpenAI's cookbook counts 3 to 4 for role and separators)."""


class TokenBudget:
    """Room for `limit` tokens.

    A text never has more tokens than bytes, so bytes are counted as tokens until the limit is reached. Only then the
    texts are counted by the model's tokenizer.
    """

    def __init__(self, limit: int, count_tokens: Callable[[str], Awaitable[int]]) -> None:
        self._limit = limit
        self._count_tokens = count_tokens
        self._counted = 0
        self._uncounted: list[str] = []
        self._uncounted_bytes = 0
        self._uncounted_overhead = 0

    async def takes(self, text: str, overhead: int = MESSAGE_OVERHEAD_TOKENS) -> bool:
        """Take room for a text and `overhead` tokens. Returns False, and takes nothing, if they do not fit."""
        size = len(text.encode())
        uncounted = self._uncounted_bytes + self._uncounted_overhead
        if self._counted + uncounted + size + overhead <= self._limit:
            self._uncounted.append(text)
            self._uncounted_bytes += size
            self._uncounted_overhead += overhead
            return True
        await self._count_taken()
        tokens = await self._count_tokens(text) + overhead
        if self._counted + tokens > self._limit:
            return False
        self._counted += tokens
        return True

    async def take_anyway(self, text: str, overhead: int = MESSAGE_OVERHEAD_TOKENS) -> None:
        """Take room for a text that is sent although it does not fit: nothing further fits then."""
        await self._count_taken()
        self._counted += await self._count_tokens(text) + overhead

    async def taken(self) -> int:
        """The tokens of all that was taken, counted exactly."""
        await self._count_taken()
        return self._counted

    async def _count_taken(self) -> None:
        if self._uncounted:
            tokens = await self._count_tokens("\n".join(self._uncounted))
            self._counted += tokens + self._uncounted_overhead
            self._uncounted, self._uncounted_bytes, self._uncounted_overhead = [], 0, 0


async def longest_beginning(text: str, limit: int, count_tokens: Callable[[str], Awaitable[int]]) -> str:
    """The longest beginning of `text` of at most `limit` tokens, without white space at its end."""
    fits, beyond = 0, len(text) + 1 if limit > 0 else 1
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if await count_tokens(text[:middle]) <= limit:
            fits = middle
        else:
            beyond = middle
    return text[:fits].rstrip()
