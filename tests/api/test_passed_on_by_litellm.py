"""`/chat/completions` with the official SDK and models behind litellm: several choices, or a refusal by name."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError

from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Hangs
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import GeminiCandidates, gemini_candidate

# litellm is loaded, as by tests/infra/language_model.
pytestmark = [pytest.mark.any_database, pytest.mark.xdist_group("litellm")]

GEMINI, CLAUDE = "gemini-of-several-choices", "claude-of-one-choice"
HELLO: Any = [{"role": "user", "content": "Hello"}]
TOKENS: Any = {"chosenCandidates": [{"token": "Hi", "logProbability": -0.25}]}
BOTH = GeminiCandidates((gemini_candidate("Hi", logprobsResult=TOKENS), gemini_candidate("Hey", "MAX_TOKENS", index=1)))


@pytest.fixture(scope="module")
async def by_litellm(
    temporal_port: int, provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningHoldfast]:
    folder: Path = tmp_path_factory.mktemp("by-litellm")
    settings = settings_for(folder, temporal_port, provider)
    at_root = {"api_base": provider.root, "api_key": "k"}
    entries = [
        {"model_name": f"old-{name}", "litellm_params": {"model": f"{prefix}/{name}", **at_root}}
        for prefix, name in (("gemini", GEMINI), ("anthropic", CLAUDE))
    ]
    provider.models_file(folder, *entries, litellm_settings={"drop_params": True})
    async with running_holdfast(settings, with_worker=False) as running:
        # Not in the time of the first request.
        await running.resources.language_model.prepare()
        yield running


async def test_choices_come_back_whole_and_streamed_and_all_are_counted(
    by_litellm: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script(GEMINI, BOTH, BOTH)
    create, before = by_litellm.client.chat.completions.create, _output_tokens(by_litellm)

    whole = await create(model=f"old-{GEMINI}", messages=HELLO, n=2, logprobs=True)
    stream = await create(
        model=f"old-{GEMINI}", messages=HELLO, n=2, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = [chunk async for chunk in stream]

    said = [(choice.index, choice.message.content, choice.finish_reason) for choice in whole.choices]
    assert said == [(0, "Hi", "stop"), (1, "Hey", "length")]
    logprobs: Any = whole.choices[0].logprobs
    assert [(token.token, token.logprob) for token in logprobs.content] == [("Hi", -0.25)]
    assert (whole.object, whole.model) == ("chat.completion", f"old-{GEMINI}")
    choices = [chunk.choices[0] for chunk in chunks]
    assert [(each.index, each.delta.content, each.finish_reason) for each in choices] == [
        (0, "Hi", None),
        (0, None, "stop"),
        (1, "Hey", None),
        (1, None, "length"),
    ]
    assert {(chunk.id, chunk.object, chunk.model) for chunk in [*chunks, last]} == {
        (last.id, "chat.completion.chunk", f"old-{GEMINI}")
    }
    for usage in (whole.usage, last.usage):
        assert usage
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 5, 15)
    assert _output_tokens(by_litellm) - before == 2 * 5


@pytest.mark.parametrize("stream", [False, True])
async def test_field_that_the_provider_does_not_take_is_a_400_although_parameters_are_dropped(
    by_litellm: RunningHoldfast, provider: ScriptedProvider, stream: bool
) -> None:
    said = f"Unsupported parameter: 'n' is not supported with the model 'old-{CLAUDE}'"

    with pytest.raises(BadRequestError, match=said) as refused:
        await by_litellm.client.chat.completions.create(model=f"old-{CLAUDE}", messages=HELLO, n=2, stream=stream)

    assert (refused.value.type, refused.value.code) == ("invalid_request_error", "invalid_prompt")
    assert not provider.requests(CLAUDE)


@pytest.mark.parametrize("stream", [False, True])
async def test_call_ends_with_its_client(by_litellm: RunningHoldfast, provider: ScriptedProvider, stream: bool) -> None:
    provider.script(GEMINI, Hangs())
    create = by_litellm.client.chat.completions.create
    asking = asyncio.ensure_future(create(model=f"old-{GEMINI}", messages=HELLO, n=2, stream=stream))
    await provider.requested(GEMINI)

    asking.cancel()

    await provider.disconnected(GEMINI)


def _output_tokens(holdfast: RunningHoldfast) -> float:
    samples = (sample for family in holdfast.resources.metrics.tokens.collect() for sample in family.samples)
    return sum(each.value for each in samples if each.name.endswith("_total") and each.labels["direction"] == "output")
