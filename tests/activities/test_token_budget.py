"""Prompts are counted exactly only near the limit, and the overhead of each message is counted with it."""

import pytest

from activities.token_budget import TokenBudget, longest_beginning

A_WORD = "word "


async def words_of(text: str) -> int:
    return len(text.split())


async def test_texts_within_budget_by_bytes_are_not_tokenized() -> None:
    async def count(text: str) -> int:
        raise AssertionError(text)

    assert await TokenBudget(100, count).takes("x" * 90, overhead=10)


async def test_texts_over_budget_by_bytes_are_tokenized() -> None:
    budget = TokenBudget(100, words_of)

    assert await budget.takes(A_WORD * 90, overhead=10)
    assert not await budget.takes(A_WORD, overhead=0)


async def test_rejected_text_uses_no_budget() -> None:
    budget = TokenBudget(100, words_of)

    assert not await budget.takes(A_WORD * 101, overhead=0)
    assert await budget.takes(A_WORD * 100, overhead=0)


async def test_overhead_remains_counted_after_tokenization() -> None:
    budget = TokenBudget(100, words_of)
    assert await budget.takes("an image", overhead=80)

    assert not await budget.takes(A_WORD * 19, overhead=0)
    assert await budget.takes(A_WORD * 18, overhead=0)


@pytest.mark.parametrize(
    ("limit", "beginning"), [(-3, ""), (0, ""), (1, "one"), (2, "one two"), (3, "one two three"), (9, "one two three")]
)
async def test_longest_beginning_has_as_many_tokens_as_allowed(limit: int, beginning: str) -> None:
    assert await longest_beginning("one two three", limit, words_of) == beginning


async def test_text_that_is_sent_anyway_leaves_no_room() -> None:
    budget = TokenBudget(100, words_of)
    assert await budget.takes(A_WORD * 10, overhead=1)

    await budget.take_anyway(A_WORD * 200, overhead=2)

    assert not await budget.takes("", overhead=0)
    assert await budget.taken() == 213
