"""A shorter prompt in place of one that the provider refused as too large."""

import logging
from collections.abc import Awaitable, Callable

from activities.prompt import Question
from infra.language_model.errors import PromptTooLarge
from infra.language_model.request_sizes import RequestSize
from models.runs import RunIncompleteReason

MAX_SHORTENINGS = 4
"""In one attempt at a turn. A refused request costs nothing but its time."""

MARGIN = 0.95
"""Other texts have another number of characters to a token."""

Build = Callable[[int], Awaitable[Question | RunIncompleteReason]]
"""Builds the request of the turn with a prompt of so many tokens at most."""

log = logging.getLogger(__name__)


async def shorter_question(run_id: str, question: Question, error: PromptTooLarge, build: Build) -> Question | None:
    """The question with fewer messages and results of tools; None if nothing more can be left out."""
    tokens = await question.budget.taken()
    most = accepted_tokens(tokens, question.request.max_tokens or 0, error.size)
    if most is None:
        return None
    shorter = await build(most)
    if isinstance(shorter, RunIncompleteReason) or shorter.request.prompt == question.request.prompt:
        return None
    log.info("run.prompt_shortened", extra={"run_id": run_id, "tokens": tokens, "most_tokens": most})
    return shorter


def accepted_tokens(tokens: int, answer_tokens: int, size: RequestSize | None) -> int | None:
    """The tokens of a prompt that the provider may accept, where it refused one of `tokens` by our count.

    Its own count differs by a factor, and may include the tokens that the answer may have. Half of the prompt, if the
    provider did not say its limit; None if it refuses the room for the answer alone.
    """
    if size is None:
        return tokens // 2
    counts_answer = abs(size.requested - tokens - answer_tokens) < abs(size.requested - tokens)
    answer = answer_tokens if counts_answer else 0
    if min(size.limit, size.requested) <= answer:
        return None
    return int(tokens * (size.limit - answer) / (size.requested - answer) * MARGIN)
