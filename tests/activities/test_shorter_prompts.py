"""How much shorter a prompt becomes that the provider refused as too large."""

import pytest

from activities.shorter_prompts import MARGIN, accepted_tokens
from infra.language_model.request_sizes import RequestSize


@pytest.mark.parametrize(
    ("tokens", "answer_tokens", "size", "accepted"),
    [
        (1_000, 0, RequestSize(500, 1_000), 500 * MARGIN),
        # The provider's tokens are half as long as ours.
        (1_000, 0, RequestSize(500, 2_000), 250 * MARGIN),
        # It counts room for the answer, which stays.
        (1_000, 400, RequestSize(700, 1_400), 300 * MARGIN),
        (1_000, 400, RequestSize(500, 1_000), 500 * MARGIN),
        (1_000, 400, RequestSize(300, 1_400), None),
        # It counts the larger of the prompt and the answer.
        (500, 16_384, RequestSize(10_000, 16_384), None),
        (500, 16_384, RequestSize(10_000, 16_000), None),
        (1_000, 0, None, 500),
        (0, 0, RequestSize(500, 1_000), 0),
    ],
)
def test_prompt_is_shortened_to_what_the_provider_accepts(
    tokens: int, answer_tokens: int, size: RequestSize | None, accepted: float | None
) -> None:
    assert accepted_tokens(tokens, answer_tokens, size) == (None if accepted is None else int(accepted))
