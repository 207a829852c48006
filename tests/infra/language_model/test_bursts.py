"""Thousands of chunks that arrive in one piece are read without blocking the event loop."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.language_model.call_pieces import CallPieces
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.react.answer import ReactAnswer
from infra.ports import LanguageModel
from models.answers import PieceMender
from models.language_model import Finish, FinishReason, Function, TokenUsage
from tests.infra.language_model.answers import ask, saying
from tests.infra.language_model.conftest import Adapter
from tests.provider.bedrock import BedrockSays
from tests.provider.replies import Bytes, Chunks, InOnePiece, Reply, Says, chunk_of
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import ClaudeSays, GeminiSays

pytestmark = pytest.mark.slow

CHUNKS = 6_000
LONGEST_CPU_SECONDS = 0.8
"""Other requests stay below a second. Without yielding, litellm's reading takes several."""
FUNCTION = Function("f")
FINISH = Finish(FinishReason.STOP, TokenUsage())


@asynccontextmanager
async def loop_stays_free() -> AsyncIterator[None]:
    """Asserts that other tasks run. Measured in the thread's own CPU time: the machine may be busy."""
    gaps: list[float] = []

    async def take_turns() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            gaps.append(time.thread_time() - last)
            last = time.thread_time()

    other = asyncio.create_task(take_turns())
    await asyncio.sleep(0)
    yield
    await asyncio.sleep(0)
    other.cancel()
    assert max(gaps) < LONGEST_CPU_SECONDS


@contextmanager
def cpu_below(seconds: float) -> Iterator[None]:
    began = time.thread_time()
    yield
    assert time.thread_time() - began < seconds


def call_piece(**function: str) -> dict[str, Any]:
    return chunk_of({"tool_calls": [{"index": 0, "function": function}]})


BURSTS: dict[str, list[dict[str, Any]]] = {
    "words": [chunk_of({"content": "word "})] * CHUNKS,
    "nothing": [chunk_of({})] * CHUNKS,
    "arguments": [call_piece(name="f", arguments="["), *[call_piece(arguments="0,")] * CHUNKS],
    "named arguments": [call_piece(name="f", arguments="{},")] * CHUNKS,
}


@pytest.mark.parametrize("chunks", BURSTS.values(), ids=BURSTS)
async def test_burst_does_not_block_event_loop_and_is_requested_once(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, chunks: list[dict[str, Any]]
) -> None:
    await language_model.prepare()
    provider.script(model, InOnePiece(Chunks(*chunks, chunk_of({}, "stop"))))

    async with loop_stays_free():
        answered = await ask(language_model, replace(saying(model), functions=(FUNCTION,)))

    assert len(answered.text) + sum(len(arguments) for _, arguments in answered.calls) == sum(
        len(str(said.get("content", "")))
        + sum(len(piece["function"]["arguments"]) for piece in said.get("tool_calls", ()))
        for said in (chunk["choices"][0]["delta"] for chunk in chunks)
    )
    assert len(provider.requests(model)) == 1


async def test_burst_of_actions_does_not_block_event_loop(
    adapter: Adapter, provider: ScriptedProvider, tmp_path: Path, model: str
) -> None:
    models = provider.models_file(tmp_path, provider.without_functions(model))
    language_model = adapter(ModelCatalogue.load(models))
    await language_model.prepare()
    values = ", ".join(f'"{number}": {number}' for number in range(CHUNKS // 2))
    provider.script(model, InOnePiece(Says(f"Action: f\nAction Input: {{{values}}}")))

    async with loop_stays_free():
        answered = await ask(language_model, replace(saying(model), functions=(FUNCTION,)))

    assert answered.calls == [("f", f"{{{values}}}")]
    assert len(provider.requests(model)) == 1


@pytest.mark.parametrize(
    ("prefix", "reply"),
    [
        ("anthropic", ClaudeSays(({"type": "text", "text": "one two "},) * (CHUNKS // 2))),
        ("gemini", GeminiSays(({"text": "one two "},) * CHUNKS)),
        ("bedrock/converse", Bytes((b"".join(BedrockSays(({"text": "one two "},) * (CHUNKS // 2)).events()),))),
    ],
)
async def test_burst_on_wire_that_litellm_reads_does_not_block_event_loop(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, reply: Reply
) -> None:
    at = {**provider.litellm_params(f"{prefix}/{model}"), "api_base": provider.root}
    models = provider.models_file(tmp_path, {"model_name": model, "litellm_params": at})
    language_model = LitellmLanguageModel(ModelCatalogue.load(models))
    await language_model.prepare()
    provider.script(model, InOnePiece(reply))

    async with loop_stays_free():
        answered = await ask(language_model, saying(model))

    assert answered.text.count("two") == (CHUNKS if prefix == "gemini" else CHUNKS // 2)
    assert len(provider.requests(model)) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["Action: f\nAction Input: {", *['"a": 1, '] * 20_000],
        ["Thought: ", *["one: two "] * 20_000],
        ["Thought: ", *["> # "] * 20_000, ":"],
        ["x ", *["Action: "] * 20_000],
        ["Action: none\n"] * 5_000,
        ["Observation of x\n"] * 5_000,
        ["Action: {\n"] * 5_000,
    ],
)
def test_cost_of_reading_react_answer_is_linear(words: list[str]) -> None:
    answer = ReactAnswer(replace(saying("m"), functions=(FUNCTION,), parallel_tool_calls=False))

    with cpu_below(5):
        for word in words:
            list(answer.feed(word))
        list(answer.end(FINISH))


def test_cost_of_name_in_every_piece_is_linear() -> None:
    pieces = CallPieces()

    with cpu_below(3):
        for _ in range(20_000):
            list(pieces.add(0, "c", "f", '"a": 1, '))


def test_cost_of_repairing_json_is_linear() -> None:
    mender, halves = PieceMender(), ("\ud83d", "\ude00")

    with cpu_below(3):
        mended = [mender.mend(halves[number % 2]) for number in range(100_000)]

    assert mended[:4] == ["", "\N{GRINNING FACE}"] * 2
