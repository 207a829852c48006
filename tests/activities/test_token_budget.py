"""Prompts are counted exactly where it matters, and what a message costs beside its text is counted with it."""

from activities.token_budget import TokenBudget

A_WORD = "word "


async def words_of(text: str) -> int:
    return len(text.split())


async def test_what_fits_by_its_bytes_is_not_counted() -> None:
    async def count(text: str) -> int:
        raise AssertionError(text)

    assert await TokenBudget(100, count).takes("x" * 90, overhead=10)


async def test_what_does_not_fit_by_its_bytes_is_counted() -> None:
    budget = TokenBudget(100, words_of)

    assert await budget.takes(A_WORD * 90, overhead=10)
    assert not await budget.takes(A_WORD, overhead=0)


async def test_what_does_not_fit_takes_nothing() -> None:
    budget = TokenBudget(100, words_of)

    assert not await budget.takes(A_WORD * 101, overhead=0)
    assert await budget.takes(A_WORD * 100, overhead=0)


async def test_overhead_is_still_taken_once_its_text_is_counted() -> None:
    budget = TokenBudget(100, words_of)
    assert await budget.takes("an image", overhead=80)

    assert not await budget.takes(A_WORD * 19, overhead=0)
    assert await budget.takes(A_WORD * 18, overhead=0)
