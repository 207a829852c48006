"""A model's refusal is a content part of its own kind, and later turns receive it."""

import pytest
from openai.types.beta.threads import Message, Run

from tests.holdfast import RunningHoldfast
from tests.provider.replies import Chunks, Says, chunk_of
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

TEXT_PART = {"type": "text", "text": {"value": "Well.", "annotations": []}}
REFUSAL_PART = {"type": "refusal", "refusal": "I can't help with that."}


def refuses(*, said: str = "", called: str | None = None, finish: str = "stop") -> Chunks:
    before = [chunk_of({"content": said})] if said else []
    calls = [chunk_of({"tool_calls": [{"index": 0, "id": "c", "function": {"name": called, "arguments": "{}"}}]})]
    pieces = [chunk_of({"refusal": "I can't "}), chunk_of({"refusal": "help with that."})]
    return Chunks(*before, *pieces, *(calls if called else []), chunk_of({}, finish))


async def test_refusal_alone_is_only_part(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("refuses", refuses())

    done = await holdfast.until(await holdfast.run(await holdfast.assistant("refuses")))

    message = await newest(holdfast, done)
    assert (done.status, message.status) == ("completed", "completed")
    assert parts(message) == [REFUSAL_PART]


async def test_refusal_follows_text(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("refuses-after-text", refuses(said="Well."))

    done = await holdfast.until(await holdfast.run(await holdfast.assistant("refuses-after-text")))

    assert parts(await newest(holdfast, done)) == [TEXT_PART, REFUSAL_PART]


async def test_refusal_before_calls_is_message(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("refuses-and-calls", refuses(called="weather", finish="tool_calls"))

    waiting = await holdfast.until(await holdfast.run(await holdfast.assistant("refuses-and-calls", "weather")))

    assert waiting.status == "requires_action"
    assert parts(await newest(holdfast, waiting)) == [REFUSAL_PART]


async def test_partial_refusal_is_stored(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("refuses-filtered", refuses(finish="content_filter"))

    failed = await holdfast.until(await holdfast.run(await holdfast.assistant("refuses-filtered")))

    message = await newest(holdfast, failed)
    assert (failed.status, message.status) == ("failed", "incomplete")
    assert parts(message) == [REFUSAL_PART]


async def test_later_prompt_contains_refusal(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("refused-before", refuses(said="Well."), Says("As I said."))
    assistant = await holdfast.assistant("refused-before")
    first = await holdfast.until(await holdfast.run(assistant))
    create = holdfast.client.beta.threads.runs.create

    again: Run = await create(
        first.thread_id, assistant_id=assistant, additional_messages=[{"role": "user", "content": "Why?"}]
    )
    await holdfast.until(again)

    assert provider.requests("refused-before")[1]["messages"] == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Well.\nI can't help with that."},
        {"role": "user", "content": "Why?"},
    ]


async def newest(holdfast: RunningHoldfast, run: Run) -> Message:
    message: Message = (await holdfast.client.beta.threads.messages.list(run.thread_id, limit=1)).data[0]
    return message


def parts(message: Message) -> list[dict[str, object]]:
    return [part.model_dump() for part in message.content]
