"""A prompt that the provider refuses as too large is made shorter, where the run lets messages be left out."""

from typing import Any

import pytest
from openai.types.beta.threads import Run

from activities.shorter_prompts import MAX_SHORTENINGS
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Fails, Reply, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

TOO_LONG = "This model's maximum context length is {} tokens. However, your messages resulted in {} tokens."
SENTENCE = "a b c d e f g h i j k l m n o p q r s t"
MESSAGES = 8


def too_large(limit: int, requested: int, status: int = 429) -> Fails:
    said = f"Request too large on tokens per minute (TPM): Limit {limit}, Requested {requested}."
    return Fails(status, said, "rate_limit_exceeded", "tokens")


async def _ended(
    holdfast: RunningHoldfast, provider: ScriptedProvider, model: str, *replies: Reply, **fields: Any
) -> Run:
    provider.script(model, *replies)
    thread = {"messages": [{"role": "user", "content": f"{number} {SENTENCE}"} for number in range(MESSAGES)]}
    return await holdfast.until(await holdfast.run(await holdfast.assistant(model), thread=thread, **fields))


def _numbers(provider: ScriptedProvider, model: str) -> list[list[int]]:
    """The messages in each request."""
    texts = [[part["content"] for part in body["messages"]] for body in provider.requests(model)]
    return [[int(text.split()[0]) for each in said for text in each.split("\n\n")] for said in texts]


@pytest.mark.parametrize(
    "refusal",
    [
        too_large(500, 1_000),
        too_large(500, 1_000, status=413),
        Fails(400, TOO_LONG.format(500, 1_000), "context_length_exceeded"),
        Fails(400, "Too long.", "context_length_exceeded"),
    ],
    ids=["429", "413", "context", "without numbers"],
)
async def test_oldest_messages_are_left_out_to_the_providers_limit(
    holdfast: RunningHoldfast, provider: ScriptedProvider, refusal: Fails, request: pytest.FixtureRequest
) -> None:
    model = f"shortened-{request.node.callspec.id}"

    run = await _ended(holdfast, provider, model, refusal, Says("Here I am."))

    assert (run.status, run.last_error) == ("completed", None)
    whole, half = _numbers(provider, model)
    assert whole == list(range(MESSAGES))
    assert half == whole[-len(half) :]
    assert len(half) in (MESSAGES // 2 - 1, MESSAGES // 2)


async def test_prompt_is_shortened_until_it_fits(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    refusals = (too_large(750, 1_000), too_large(600, 750))

    run = await _ended(holdfast, provider, "shortened-twice", *refusals, Says("Here I am."))

    assert run.status == "completed"
    first, second, third = _numbers(provider, "shortened-twice")
    assert len(first) > len(second) > len(third) > 1


async def test_shortening_is_bounded(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    # Each time a message less.
    refusals = [too_large(99, 100)] * (MAX_SHORTENINGS + 2)

    run = await _ended(holdfast, provider, "shortened-in-vain", *refusals)

    assert (run.status, run.last_error and run.last_error.code) == ("failed", "invalid_prompt")
    assert run.last_error is not None
    assert "Limit 99, Requested 100" in run.last_error.message
    assert len(provider.requests("shortened-in-vain")) == MAX_SHORTENINGS + 1


@pytest.mark.parametrize("fields", [{}, {"max_prompt_tokens": 50_000}], ids=["unlimited", "limited"])
async def test_newest_message_alone_cannot_be_shortened(
    holdfast: RunningHoldfast, provider: ScriptedProvider, fields: Any
) -> None:
    run = await _ended(holdfast, provider, "shortened-to-one", too_large(1, 1_000), too_large(1, 100), **fields)

    assert (run.status, run.last_error and run.last_error.code) == ("failed", "invalid_prompt")
    assert [len(sent) for sent in _numbers(provider, "shortened-to-one")] == [MESSAGES, 1]


async def test_messages_that_the_client_chose_are_not_left_out(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    chosen = {"type": "last_messages", "last_messages": 4}

    run = await _ended(holdfast, provider, "chosen-messages", too_large(500, 1_000), truncation_strategy=chosen)

    assert (run.status, run.last_error and run.last_error.code) == ("failed", "invalid_prompt")
    assert [len(sent) for sent in _numbers(provider, "chosen-messages")] == [4]
