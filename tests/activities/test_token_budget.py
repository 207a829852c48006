"""Prompts are counted exactly only near the limit, and the overhead of each message is counted with it."""

from activities.token_budget import TokenBudget

A_WORD = "word "


async def words_of(text: str) -> int:
    return len(text.split())


async def test_texts_that_fit_by_their_bytes_are_not_counted() -> None:
    async def count(text: str) -> int:
        raise AssertionError(text)

    assert await TokenBudget(100, count).takes("x" * 90, overhead=10)


async def test_texts_that_do_not_fit_by_their_bytes_are_counted() -> None:
    budget = TokenBudget(100, words_of)

    assert await budget.takes(A_WORD * 90, overhead=10)
    assert not await budget.takes(A_WORD, overhead=0)


async def test_a_text_that_does_not_fit_takes_nothing() -> None:
    budget = TokenBudget(100, words_of)

    assert not await budget.takes(A_WORD * 101, overhead=0)
    assert await budget.takes(A_WORD * 100, overhead=0)


async def test_overhead_is_still_taken_once_its_text_is_counted() -> None:
    budget = TokenBudget(100, words_of)
    assert await budget.takes("an image", overhead=80)

    assert not await budget.takes(A_WORD * 19, overhead=0)
    assert await budget.takes(A_WORD * 18, overhead=0)
