"""What servers make of an event stream: both adapters read the same answer, and know an unfinished one."""

import json
from typing import Any

import pytest

from infra.language_model.errors import AnswerAborted, ModelStreamBroken
from infra.ports import LanguageModel
from models.language_model import FinishReason, TokenUsage
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import USAGE, Bytes, Chunks, Reply, chunk_of
from tests.provider.scripted_provider import ScriptedProvider

TEXT = "Grüße 👋, 你好"
STOP = chunk_of({}, "stop")


def event(chunk: dict[str, Any], line_end: str = "\n") -> str:
    envelope = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps({**envelope, **chunk}, ensure_ascii=False)}{line_end * 2}"


def stream(*parts: str, done: str = "data: [DONE]\n\n") -> bytes:
    return "".join([*parts, done]).encode()


SAYS, STOPS = event(chunk_of({"content": TEXT})), event(STOP)
COUNTS = event({"choices": [], "usage": dict(USAGE)})
NULL_USAGE = event({**chunk_of({"content": TEXT}), "usage": None})
WHOLE = stream(SAYS, STOPS, COUNTS)
WINDOWS = stream(
    *(event(each, "\r\n") for each in (chunk_of({"content": TEXT}), STOP, {"choices": [], "usage": dict(USAGE)})),
    done="data: [DONE]\r\n\r\n",
)
STREAMS: dict[str, tuple[bytes, ...]] = {
    "as OpenAI sends it": (WHOLE,),
    "CRLF": (WINDOWS,),
    "comments": (b": OPENROUTER PROCESSING\n\n", stream(SAYS, ": ping\n\n", STOPS, COUNTS, ":\n\n")),
    "[DONE] twice": (stream(SAYS, STOPS, COUNTS, "data: [DONE]\n\n"),),
    "no [DONE]": (stream(SAYS, STOPS, COUNTS, done=""),),
    "UTF-8 split at each byte": tuple(WHOLE[at : at + 1] for at in range(len(WHOLE))),
    "CRLF split at each byte": tuple(WINDOWS[at : at + 1] for at in range(len(WINDOWS))),
    "usage null before": (stream(NULL_USAGE, STOPS, COUNTS),),
}
WITHOUT_USAGE: dict[str, bytes] = {
    "missing": stream(SAYS, STOPS),
    "null": stream(NULL_USAGE, event({**STOP, "usage": None})),
    "null at the end": stream(SAYS, STOPS, event({"choices": [], "usage": None})),
}
TOOL_USE_FAILED = '{"error": {"message": "Failed to call a function.", "code": "tool_use_failed"}}'


@pytest.mark.parametrize("pieces", STREAMS.values(), ids=STREAMS)
async def test_answer_is_the_same(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, pieces: tuple[bytes, ...]
) -> None:
    provider.script(model, Bytes(pieces))

    answered = await ask(language_model, saying(model))

    assert (answered.text, answered.finish.reason) == (TEXT, FinishReason.STOP)
    assert answered.finish.usage == TokenUsage(USAGE["prompt_tokens"], USAGE["completion_tokens"])
    assert len(provider.requests(model)) == 1


@pytest.mark.parametrize("body", WITHOUT_USAGE.values(), ids=WITHOUT_USAGE)
async def test_answer_without_usage_is_whole_and_counted(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, body: bytes
) -> None:
    provider.script(model, Bytes((body,)))

    answered = await ask(language_model, saying(model))

    assert (answered.text, answered.finish.reason) == (TEXT, FinishReason.STOP)
    assert min(answered.finish.usage.prompt_tokens, answered.finish.usage.completion_tokens) > 0


@pytest.mark.parametrize("done", ["data: [DONE]\n\n", ""], ids=["with [DONE]", "without"])
@pytest.mark.parametrize("parts", [(SAYS,), (SAYS, COUNTS)], ids=["text", "text and usage"])
async def test_stream_without_finish_reason_is_an_unfinished_answer(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, parts: tuple[str, ...], done: str
) -> None:
    provider.script(model, Bytes((stream(*parts, done=done),)))

    with pytest.raises(ModelStreamBroken):
        await ask(language_model, saying(model))


@pytest.mark.parametrize(
    "reply",
    [Chunks(TOOL_USE_FAILED), Chunks(chunk_of({"content": "Let me see."}), TOOL_USE_FAILED)],
    ids=["at once", "after text"],
)
async def test_call_that_the_provider_could_not_read_is_tried_again(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, reply: Reply
) -> None:
    """As a response with status 400 in `test_failures.py`."""
    provider.script(model, reply)

    with pytest.raises(AnswerAborted) as failure:
        await ask(language_model, saying(model))

    assert failure.value.is_retryable
