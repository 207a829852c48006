"""Streams of runs: the events, their order and shapes, and the objects that the SDK accumulates."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from openai import AsyncAssistantEventHandler
from openai.types.beta.threads import Message, Run

from tests.holdfast import RunningHoldfast
from tests.provider.replies import BreaksOff, Calls, Chunks, Fails, Hangs, Held, Says, chunk_of
from tests.provider.scripted_provider import ScriptedProvider
from tests.sse import Sent, following, names, parsed
from tests.streams import THREAD, followed, followed_again, streamed, submitted

RUN_BEGUN = ["run.created", "run.queued", "run.in_progress"]
MESSAGE_BEGUN = ["run.step.created", "run.step.in_progress", "message.created", "message.in_progress", "message.delta"]
MESSAGE_DONE = ["message.completed", "run.step.completed"]
CALLS_BEGUN = ["run.step.created", "run.step.in_progress", "run.step.delta"]
CALL_CHUNK = chunk_of({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]})


@pytest.mark.any_database
async def test_message_events(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-message", Says("It is sunny."))

    events = await streamed(holdfast, await holdfast.assistant("stream-message"))

    assert names(events) == ["created", *RUN_BEGUN, *MESSAGE_BEGUN, *MESSAGE_DONE, "run.completed", "done"]
    assert events[-1].data == "[DONE]"
    deltas = [event.json["delta"]["content"] for event in events if event.name == "thread.message.delta"]
    assert deltas[0] == [{"index": 0, "type": "text", "text": {"value": "It", "annotations": []}}]
    assert deltas[1:] == [[{"index": 0, "type": "text", "text": {"value": text}}] for text in (" is", " sunny.")]


async def test_objects_of_events_equal_stored_objects(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-stored", Says("It is sunny."))

    events = {event.name: event for event in await streamed(holdfast, await holdfast.assistant("stream-stored"))}

    run = events["thread.run.completed"].json
    thread = f"/{run['thread_id']}"
    async with httpx.AsyncClient(base_url=f"{holdfast.url}/v1/threads") as http:
        assert (await http.get(f"{thread}/runs/{run['id']}")).json() == run
        step = events["thread.run.step.completed"].json
        assert (await http.get(f"{thread}/runs/{run['id']}/steps/{step['id']}")).json() == step
        message = events["thread.message.completed"].json
        assert (await http.get(f"{thread}/messages/{message['id']}")).json() == message
        assert (await http.get(thread)).json() == events["thread.created"].json
    assert events["thread.message.created"].json == {
        **message,
        "status": "in_progress",
        "content": [],
        "completed_at": None,
    }
    assert events["thread.run.step.created"].json["step_details"] == step["step_details"]
    statuses = [events[f"thread.run.{name}"].json["status"] for name in ("created", "queued", "in_progress")]
    assert statuses == ["queued", "queued", "in_progress"]


async def test_function_call_ends_stream_and_submit_continues_it(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("stream-call", Calls(("get_weather", '{"city": "Paris"}')), Says("It is sunny."))

    asked = await streamed(holdfast, await holdfast.assistant("stream-call", "get_weather"))
    run = asked[-2].json
    answered = await submitted(holdfast, run, "sunny")

    assert names(asked) == ["created", *RUN_BEGUN, *CALLS_BEGUN, "run.requires_action", "done"]
    deltas = [event.json["delta"]["step_details"]["tool_calls"][0] for event in asked if "step.delta" in event.name]
    call_id = run["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]
    assert deltas[0] == {
        "index": 0,
        "id": call_id,
        "type": "function",
        "function": {"name": "get_weather", "arguments": "", "output": None},
    }
    assert all(set(delta) == {"index", "type", "function"} for delta in deltas[1:])
    assert "".join(delta["function"]["arguments"] for delta in deltas) == '{"city": "Paris"}'
    resumed = ["run.step.completed", "run.queued", "run.in_progress"]
    assert names(answered) == [*resumed, *MESSAGE_BEGUN, *MESSAGE_DONE, "run.completed", "done"]
    assert answered[0].json["step_details"]["tool_calls"][0]["function"]["output"] == "sunny"


@pytest.mark.any_database
async def test_parallel_calls_have_distinct_indexes(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-parallel", Calls(("a", '{"x": 1}'), ("b", "")))

    events = await streamed(holdfast, await holdfast.assistant("stream-parallel", "a", "b"))

    arguments = {0: "", 1: ""}
    for event in events:
        if event.name == "thread.run.step.delta":
            for call in event.json["delta"]["step_details"]["tool_calls"]:
                arguments[call["index"]] += call["function"]["arguments"]
    asked = events[-2].json["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert [call["function"]["arguments"] for call in asked] == list(arguments.values()) == ['{"x": 1}', "{}"]


@pytest.mark.any_database
async def test_text_before_calls_is_separate_message(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-both", Calls(("get_weather", "{}"), text="Let me look."))

    events = await streamed(holdfast, await holdfast.assistant("stream-both", "get_weather"))

    shown = [*MESSAGE_BEGUN, *MESSAGE_DONE, *CALLS_BEGUN]
    assert names(events) == ["created", *RUN_BEGUN, *shown, "run.requires_action", "done"]


@pytest.mark.any_database
async def test_failed_run_events(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    filtered = Says("Once upon", finish="content_filter")
    provider.script("stream-failed", filtered)

    events = await streamed(holdfast, await holdfast.assistant("stream-failed"))

    failed = ["message.incomplete", "run.step.failed", "run.failed", "done"]
    assert names(events) == ["created", *RUN_BEGUN, *MESSAGE_BEGUN, *failed]
    assert events[-4].json["content"][0]["text"]["value"] == "Once upon"
    assert events[-2].json["last_error"]["code"] == "invalid_prompt"


@pytest.mark.any_database
async def test_run_that_fails_without_answer_events(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-refused", Fails(401, "No such key."))

    events = await streamed(holdfast, await holdfast.assistant("stream-refused"))

    assert names(events) == ["created", *RUN_BEGUN, "run.failed", "done"]


@pytest.mark.any_database
async def test_answer_cut_at_length_events(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-length", Says("Once upon a", finish="length"))

    events = await streamed(holdfast, await holdfast.assistant("stream-length"))

    cut = ["message.incomplete", "run.step.completed", "run.incomplete", "done"]
    assert names(events) == ["created", *RUN_BEGUN, *MESSAGE_BEGUN, *cut]
    assert events[-4].json["incomplete_details"] == {"reason": "max_tokens"}


@pytest.mark.any_database
async def test_calls_cut_at_length_events(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-cut-call", Calls(("get_weather", '{"city": "Pa'), finish="length"))

    events = await streamed(holdfast, await holdfast.assistant("stream-cut-call", "get_weather"))

    assert names(events) == ["created", *RUN_BEGUN, *CALLS_BEGUN, "run.step.completed", "run.incomplete", "done"]
    step = events[-3].json
    assert step["step_details"]["tool_calls"][0]["function"]["arguments"] == '{"city": "Pa'


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("reply", "begun", "closed"),
    [
        pytest.param(Hangs("Once"), MESSAGE_BEGUN, ["message.incomplete", "run.step.cancelled"], id="text"),
        pytest.param(Hangs(chunks=(CALL_CHUNK,)), CALLS_BEGUN, ["run.step.cancelled"], id="calls"),
    ],
)
async def test_cancelled_run_events(
    holdfast: RunningHoldfast, provider: ScriptedProvider, reply: Hangs, begun: list[str], closed: list[str]
) -> None:
    model = f"stream-cancelled-{'text' if reply.after else 'calls'}"
    provider.script(model, reply)
    events: list[Sent] = []
    run: Any = None

    async with followed(holdfast, await holdfast.assistant(model, "f")) as stream:
        async for event in stream:
            events.append(event)
            if event.name.endswith(".delta") and not run:
                run = events[1].json
                await holdfast.client.beta.threads.runs.cancel(run["id"], thread_id=run["thread_id"])

    assert names(events) == ["created", *RUN_BEGUN, *begun, "run.cancelling", *closed, "run.cancelled", "done"]


@pytest.mark.any_database
async def test_expired_run_events(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-expired", Hangs("Once upon"))

    assistant_id = await holdfast.assistant("stream-expired")
    events = await streamed(holdfast, assistant_id, expires_after={"anchor": "created_at", "seconds": 3})

    expired = ["message.incomplete", "run.step.expired", "run.expired", "done"]
    assert names(events) == ["created", *RUN_BEGUN, *MESSAGE_BEGUN, *expired]


@pytest.mark.any_database
async def test_expired_calls_events(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-unanswered", Calls(("f", "{}")))
    assistant_id = await holdfast.assistant("stream-unanswered", "f")
    expiry = {"anchor": "created_at", "seconds": 3}
    run = (await streamed(holdfast, assistant_id, expires_after=expiry))[-2].json

    async with followed_again(holdfast, run) as stream:
        events = [event async for event in stream]

    assert names(events)[-4:] == ["run.requires_action", "run.step.expired", "run.expired", "done"]


@pytest.mark.any_database
async def test_retried_answer_is_separate_from_aborted_one(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("stream-again", BreaksOff(after="Once upon"), Says("There was."))

    events = await streamed(holdfast, await holdfast.assistant("stream-again"))

    given_up = [*MESSAGE_BEGUN, "message.incomplete", "run.step.failed"]
    shown = ["created", *RUN_BEGUN, *given_up, *MESSAGE_BEGUN, *MESSAGE_DONE]
    assert names(events) == [*shown, "run.completed", "done"]
    texts: dict[str, str] = {}
    for event in events:
        if event.name == "thread.message.delta":
            text = event.json["delta"]["content"][0]["text"]["value"]
            texts[event.json["id"]] = texts.get(event.json["id"], "") + text
    assert list(texts.values()) == ["Once upon", "There was."]
    incomplete = next(event.json for event in events if event.name == "thread.message.incomplete")
    assert incomplete["content"][0]["text"]["value"] == "Once upon"
    assert await holdfast.texts(Run.construct(thread_id=events[0].json["id"])) == ["Hello", "There was."]


@pytest.mark.any_database
async def test_retried_calls_are_separate_from_aborted_ones(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("stream-calls-again", Chunks(CALL_CHUNK, done=False), Calls(("f", "{}")))

    events = await streamed(holdfast, await holdfast.assistant("stream-calls-again", "f"))

    shown = [*CALLS_BEGUN, "run.step.failed", *CALLS_BEGUN, "run.requires_action", "done"]
    assert names(events) == ["created", *RUN_BEGUN, *shown]


async def test_surrogates_are_joined_or_replaced(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    halves = [chunk_of({"content": text}) for text in ("\ud83d", "\ude00 and \ud83d", " and\ud83d")]
    provider.script("stream-halves", Chunks(*halves, chunk_of({}, "stop")))

    events = await streamed(holdfast, await holdfast.assistant("stream-halves"))

    said = "".join(e.json["delta"]["content"][0]["text"]["value"] for e in events if e.name == "thread.message.delta")
    stored = next(event.json for event in events if event.name == "thread.message.completed")
    assert said == stored["content"][0]["text"]["value"] == "\U0001f600 and \ufffd and\ufffd"


@pytest.mark.any_database
@pytest.mark.parametrize("kinds", [("refusal",), ("content", "refusal"), ("refusal", "content")])
async def test_refusal_is_separate_content_part(
    holdfast: RunningHoldfast, provider: ScriptedProvider, kinds: tuple[str, ...]
) -> None:
    model = f"stream-{'-'.join(kinds)}"
    pieces = [chunk_of({kind: f"{kind} {half}."}) for kind in kinds for half in (1, 2)]
    provider.script(model, Chunks(*pieces, chunk_of({}, "stop")))

    stream = holdfast.client.beta.threads.create_and_run_stream
    async with stream(assistant_id=await holdfast.assistant(model), thread=THREAD) as handler:
        seen = [event.data.delta.content[0] async for event in handler if event.event == "thread.message.delta"]  # type: ignore[index]
        [message] = await handler.get_final_messages()

    assert [part.index for part in seen] == [place for place, _ in enumerate(kinds) for _ in (1, 2)]
    assert [part.type for part in message.content] == ["text" if kind == "content" else kind for kind in kinds]
    said = [part.text.value if part.type == "text" else getattr(part, "refusal", "") for part in message.content]
    assert said == [f"{kind} 1.{kind} 2." for kind in kinds]


@pytest.mark.any_database
async def test_v1_clients_get_v1_objects(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-v1", Says("Once upon a", finish="length"))
    body = {"assistant_id": await holdfast.assistant("stream-v1"), "thread": THREAD, "stream": True}

    async with httpx.AsyncClient(timeout=30, headers={"OpenAI-Beta": "assistants=v1"}) as http:
        events = parsed((await http.post(f"{holdfast.url}/v1/threads/runs", json=body)).text)

    assert names(events)[-2:] == ["run.completed", "done"]
    assert events[-2].json["status"] == "completed"
    assert events[-2].json["file_ids"] == []


@pytest.mark.any_database
async def test_v1_clients_get_refusal_as_text(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    pieces = [chunk_of({"refusal": text}) for text in ("I ", "won't.")]
    provider.script("stream-v1-refusal", Chunks(*pieces, chunk_of({}, "stop")))
    body = {"assistant_id": await holdfast.assistant("stream-v1-refusal"), "thread": THREAD, "stream": True}

    async with httpx.AsyncClient(timeout=30, headers={"OpenAI-Beta": "assistants=v1"}) as http:
        events = parsed((await http.post(f"{holdfast.url}/v1/threads/runs", json=body)).text)

    parts = [event.json["delta"]["content"][0] for event in events if event.name == "thread.message.delta"]
    assert [(part["type"], part["text"]["value"]) for part in parts] == [("text", "I "), ("text", "won't.")]
    done = next(event.json for event in events if event.name == "thread.message.completed")
    assert done["content"][0]["text"]["value"] == "I won't."


@pytest.mark.any_database
async def test_repeated_request_gets_same_stream(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-once", Calls(("f", "{}")), Says("Done."))
    assistant_id = await holdfast.assistant("stream-once", "f")
    body = {"assistant_id": assistant_id, "thread": THREAD, "stream": True}
    async with httpx.AsyncClient(timeout=30, base_url=f"{holdfast.url}/v1/threads") as http:
        create = [await http.post("/runs", json=body, headers={"Idempotency-Key": f"c{assistant_id}"}) for _ in "12"]
        run = parsed(create[0].text)[-2].json
        call = run["required_action"]["submit_tool_outputs"]["tool_calls"][0]
        outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "1"}], "stream": True}
        url = f"/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
        submit = [await http.post(url, json=outputs, headers={"Idempotency-Key": f"s{assistant_id}"}) for _ in "12"]

    assert create[0].text == create[1].text
    assert names(parsed(submit[0].text)) == names(parsed(submit[1].text))
    assert names(parsed(submit[0].text))[0] == "run.step.completed"


@pytest.mark.any_database
async def test_sdk_accumulates_stored_objects(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("stream-sdk", Calls(("f", '{"a": 1}'), ("g", '{"b": 2}')), Says("All is well."))
    done: list[Message] = []

    class Handler(AsyncAssistantEventHandler):
        async def on_message_done(self, message: Message) -> None:
            done.append(message)

        async def on_event(self, event: Any) -> None:
            if event.event == "thread.run.requires_action":
                # As in the SDK's guide: inside the handler, while the first stream is still open.
                calls = event.data.required_action.submit_tool_outputs.tool_calls
                stream = holdfast.client.beta.threads.runs.submit_tool_outputs_stream
                outputs: Any = [{"tool_call_id": call.id, "output": call.function.arguments} for call in calls]
                submit = stream(
                    run_id=event.data.id, thread_id=event.data.thread_id, tool_outputs=outputs, event_handler=Handler()
                )
                async with submit as submitted_stream:
                    await submitted_stream.until_done()

    stream = holdfast.client.beta.threads.create_and_run_stream
    assistant_id = await holdfast.assistant("stream-sdk", "f", "g")
    async with stream(assistant_id=assistant_id, thread=THREAD, event_handler=Handler()) as handler:
        await handler.until_done()
        steps = await handler.get_final_run_steps()

    assert [step.type for step in steps] == ["tool_calls"]
    assert [part.text.value for message in done for part in message.content if part.type == "text"] == ["All is well."]


@pytest.mark.any_database
async def test_disconnect_of_client_does_not_affect_run(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    held = Held(Says(" a time."), after="Once upon")
    provider.script("stream-left", held)
    async with followed(holdfast, await holdfast.assistant("stream-left")) as stream:
        async for event in stream:
            if event.name == "thread.message.delta":
                break
            if event.name == "thread.run.created":
                run = event.json
    held.release()

    ended = await holdfast.until(Run.construct(id=run["id"], thread_id=run["thread_id"]))

    assert ended.status == "completed"
    assert (await holdfast.texts(ended))[-1] == "Once upon a time."


@pytest.mark.any_database
async def test_deltas_are_sent_before_answer_ends(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    held = Held(Says(" a time."), after="Once")
    provider.script("stream-held", held)
    async with followed(holdfast, await holdfast.assistant("stream-held")) as stream, asyncio.timeout(20):
        async for event in stream:
            if event.name == "thread.message.delta" and event.json["delta"]["content"][0]["text"]["value"] == "Once":
                # The model continues only after the first word has arrived.
                held.release()

    assert event.name == "done"


def enqueued(holdfast: RunningHoldfast, thread_id: str, assistant_id: str) -> AbstractAsyncContextManager[Any]:
    """The events of a run that is enqueued behind the active run of its thread."""
    body = {"assistant_id": assistant_id, "stream": True, "on_active_run": "enqueue"}
    return following(f"{holdfast.url}/v1/threads/{thread_id}/runs", "POST", body)


@pytest.mark.any_database
async def test_enqueued_run_is_streamed_after_admission(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    held = Held(Says(" first."), after="The")
    provider.script("stream-waits", held, Says("The second."))
    assistant_id = await holdfast.assistant("stream-waits")
    first = await holdfast.run(assistant_id)
    await held.arrived()
    seen: list[Sent] = []

    async with enqueued(holdfast, first.thread_id, assistant_id) as stream:
        async for event in stream:
            seen.append(event)
            if event.name == "thread.run.queued":
                held.release()

    assert names(seen) == [*RUN_BEGUN, *MESSAGE_BEGUN, *MESSAGE_DONE, "run.completed", "done"]


@pytest.mark.any_database
async def test_cancelled_enqueued_run_events(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    held = Held(Says(" first."), after="The")
    provider.script("stream-waits-in-vain", held)
    assistant_id = await holdfast.assistant("stream-waits-in-vain")
    first = await holdfast.run(assistant_id)
    await held.arrived()
    seen: list[Sent] = []

    async with enqueued(holdfast, first.thread_id, assistant_id) as stream:
        async for event in stream:
            seen.append(event)
            if event.name == "thread.run.queued":
                await holdfast.client.beta.threads.runs.cancel(event.json["id"], thread_id=first.thread_id)
    held.release()

    assert names(seen) == ["run.created", "run.queued", "run.cancelling", "run.cancelled", "done"]
