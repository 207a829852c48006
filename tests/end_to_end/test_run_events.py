"""Reconnecting to a run: its events from any number on, live or replayed."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import BreaksOff, Calls, Fails, Hangs, Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sse import Sent, following, names
from tests.streams import THREAD, all_events, begun, events_url, forget, streamed, submitted

SHORT_SILENCE = timedelta(milliseconds=100)


@pytest.mark.any_database
async def test_event_numbers_match_count_of_sdk_clients(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("events-counted", Calls(("f", '{"a": 1}'), text="Let me see."), Says("It is sunny."))
    seen = (await streamed(holdfast, await holdfast.assistant("events-counted", "f")))[:-1]
    run = seen[-1].json
    seen += (await submitted(holdfast, run, "sunny"))[:-1]

    replayed = await all_events(holdfast, run)

    assert [event.number for event in replayed[:-1]] == list(range(len(seen)))
    assert [(event.name, event.data) for event in replayed[:-1]] == [(event.name, event.data) for event in seen]
    assert (replayed[-1].name, replayed[-1].number) == ("done", None)


@pytest.mark.any_database
@pytest.mark.parametrize("after", [0, 5, 9, 12, 500])
async def test_stream_resumes_after_last_event_id(
    holdfast: RunningHoldfast, provider: ScriptedProvider, after: int
) -> None:
    model = f"events-after-{after}"
    provider.script(model, Says("It is sunny."))
    run = (await streamed(holdfast, await holdfast.assistant(model)))[-2].json

    whole = await all_events(holdfast, run)

    assert await all_events(holdfast, run, f"?after={after}") == [*whole[after + 1 : -1], whole[-1]]
    # A browser that reconnects repeats the URL and sends the id of the last event.
    assert await all_events(holdfast, run, "?after=0", **{"Last-Event-ID": str(after)}) == [
        *whole[after + 1 : -1],
        whole[-1],
    ]


@pytest.mark.any_database
async def test_run_created_without_stream_can_be_followed(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    held = Held(Says(" a time."), after="Once upon")
    provider.script("events-unstreamed", held)
    run = await begun(holdfast, await holdfast.assistant("events-unstreamed"))
    await held.arrived()
    events: list[Sent] = []

    async with following(events_url(holdfast, run)) as stream:
        async for event in stream:
            events.append(event)
            if event.name == "thread.message.delta":
                held.release()

    assert [event.number for event in events[:-1]] == list(range(len(events) - 1))
    assert names(events)[-3:] == ["run.step.completed", "run.completed", "done"]


@pytest.mark.any_database
async def test_several_readers_may_follow_one_run(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    held = Held(Says(" a time."), after="Once upon")
    provider.script("events-shared", held)
    run = await begun(holdfast, await holdfast.assistant("events-shared"))
    readers = [asyncio.create_task(all_events(holdfast, run)) for _ in range(5)]
    await held.arrived()
    held.release()

    replayed = await asyncio.gather(*readers)

    assert all(events == replayed[0] for events in replayed)
    assert replayed[0][-1].name == "done"


@pytest.mark.any_database
async def test_stream_continues_through_tool_outputs(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("events-through", Calls(("f", "{}")), Says("Done."))
    run = (await streamed(holdfast, await holdfast.assistant("events-through", "f")))[-2].json

    async with following(events_url(holdfast, run)) as stream:
        events = []
        async for event in stream:
            events.append(event)
            if event.name == "thread.run.requires_action":
                await submitted(holdfast, run, "1")

    assert names(events)[-2:] == ["run.completed", "done"]
    assert "run.requires_action" in names(events)


async def test_replay_after_restart_equals_stream(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    holdfast = own_holdfast
    await holdfast.start_worker()
    first = Calls(("f", '{"a": 1}'), ("g", ""), text="Let me see.")
    provider.script("events-restart", first, Calls(("f", "{}")), Says("It is \u2028 sunny."))
    run = (await streamed(holdfast, await holdfast.assistant("events-restart", "f", "g")))[-2].json
    seen = await _seen_so_far(holdfast, run)
    forget(holdfast)

    assert await _seen_so_far(holdfast, run) == seen
    for output in ("1", "2"):
        waiting = await holdfast.client.beta.threads.runs.retrieve(run["id"], thread_id=run["thread_id"])
        seen += _numbered(await submitted(holdfast, waiting.model_dump(), output), len(seen))
        forget(holdfast)
    replayed = await all_events(holdfast, run)

    assert [(event.number, event.name) for event in replayed[:-1]] == [(event.number, event.name) for event in seen]
    deltas = [event for event in replayed if event.name.endswith(".delta")]
    assert deltas == [event for event in seen if event.name.endswith(".delta")]
    assert await all_events(holdfast, run, "?after=7") == replayed[8:]


async def _seen_so_far(holdfast: RunningHoldfast, run: Any) -> list[Sent]:
    """The events of a run until it waits for outputs."""
    events: list[Sent] = []
    async with following(events_url(holdfast, run)) as stream:
        async for event in stream:
            events.append(event)
            if event.name == "thread.run.requires_action":
                break
    return events


def _numbered(events: list[Sent], first: int) -> list[Sent]:
    return [Sent(event.name, event.data, number) for number, event in enumerate(events[:-1], first)]


@pytest.mark.any_database
@pytest.mark.parametrize("ending", ["cancelled", "expired", "failed", "incomplete"])
async def test_replay_covers_every_terminal_status(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider, ending: str
) -> None:
    holdfast = own_holdfast
    await holdfast.start_worker()
    model = f"events-told-{ending}"
    filtered, length = Says("Once upon", finish="content_filter"), Says("Once upon", finish="length")
    provider.script(model, {"failed": filtered, "incomplete": length}.get(ending, Hangs("Once upon")))
    expiry = {"anchor": "created_at", "seconds": 3 if ending == "expired" else 60}
    started = asyncio.create_task(streamed(holdfast, await holdfast.assistant(model), expires_after=expiry))
    if ending == "cancelled":
        await _cancel_during_answer(holdfast, provider, model)
    seen = await started
    forget(holdfast)

    replayed = await all_events(holdfast, seen[1].json)

    assert [event.name for event in replayed] == [event.name for event in seen]
    assert replayed[-2].json == seen[-2].json
    assert [event.number for event in replayed[:-1]] == list(range(len(seen) - 1))
    assert _cancelling_events(replayed) == _cancelling_events(seen)


async def test_replay_has_aborted_step_before_retry(own_holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    holdfast = own_holdfast
    await holdfast.start_worker()
    provider.script("events-retried", Says("Once upon", finish="content_filter"), Fails(401))
    failed = (await streamed(holdfast, await holdfast.assistant("events-retried")))[-2].json
    async with httpx.AsyncClient(base_url=holdfast.url) as http:
        await http.post(f"/ops/runs/{failed['id']}/retry")
    seen = await all_events(holdfast, failed)
    forget(holdfast)

    replayed = await all_events(holdfast, failed)

    assert [event.name for event in seen].count("thread.run.failed") == 2
    numbers = {event.number: event.name for event in seen}
    assert {event.number: event.name for event in replayed}.items() <= numbers.items()
    missing = [name for number, name in numbers.items() if number not in {event.number for event in replayed}]
    assert missing == ["thread.run.failed", "thread.run.queued", "thread.run.in_progress"]


def _cancelling_events(events: list[Sent]) -> list[Any]:
    return [event.json for event in events if event.name == "thread.run.cancelling"]


@pytest.mark.any_database
async def test_cancellation_of_waiting_run_follows_replayed_events(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    """The event stream has lost all earlier events, as after a restart."""
    provider.script("events-parked", Calls(("weather", "{}")))
    await own_holdfast.start_worker()
    seen = await streamed(own_holdfast, await own_holdfast.assistant("events-parked", "weather"))
    run = seen[-2].json
    forget(own_holdfast)

    await own_holdfast.client.beta.threads.runs.cancel(run["id"], thread_id=run["thread_id"])
    async with following(events_url(own_holdfast, run)) as stream, asyncio.timeout(20):
        replayed = [event async for event in stream]

    assert names(replayed)[-4:] == ["run.cancelling", "run.step.cancelled", "run.cancelled", "done"]
    assert [event.number for event in replayed[:-1]] == list(range(len(seen) - 1 + 3))


async def _cancel_during_answer(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str) -> None:
    async with asyncio.timeout(10):
        await provider.requested(model)
        run = (await holdfast.client.get("/runs?status=in_progress", cast_to=httpx.Response)).json()["data"][0]
        async with following(events_url(holdfast, run)) as stream:
            async for event in stream:
                if event.name == "thread.message.delta" and "upon" in event.data:
                    break
    await holdfast.client.beta.threads.runs.cancel(run["id"], thread_id=run["thread_id"])


@pytest.mark.any_database
async def test_numbers_do_not_repeat_after_lost_answer(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    holdfast = own_holdfast
    await holdfast.start_worker()
    held = Held(BreaksOff(), after="Once upon")
    provider.script("events-lost", held, Says("There was."))
    run = await begun(holdfast, await holdfast.assistant("events-lost"))
    seen: list[Sent] = []
    async with following(events_url(holdfast, run)) as stream:
        async for event in stream:
            seen.append(event)
            if event.name == "thread.message.delta" and "upon" in event.data:
                break
    forget(holdfast)
    held.release()

    rest = await all_events(holdfast, run, f"?after={seen[-1].number}")

    assert names(rest)[:3] == ["run.step.created", "run.step.in_progress", "message.created"]
    assert names(rest)[-2:] == ["run.completed", "done"]
    numbers = [event.number for event in rest[:-1] if event.number is not None]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > (seen[-1].number or 0)


@pytest.mark.any_database
async def test_numbers_do_not_repeat_after_several_lost_answers(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    holdfast = own_holdfast
    await holdfast.start_worker()
    lost = [Held(BreaksOff(), after=words) for words in ("Once upon a time", "Long ago")]
    provider.script("events-lost-again", *lost, Says("There was."))
    run = await begun(holdfast, await holdfast.assistant("events-lost-again"))
    numbers: list[int] = []
    for held, word in zip(lost, ("time", "ago"), strict=True):
        numbers += await _numbers_until(holdfast, run, numbers, word)
        forget(holdfast)
        held.release()

    rest = await all_events(holdfast, run, f"?after={numbers[-1]}")

    numbers += [event.number for event in rest if event.number is not None]
    assert numbers == sorted(set(numbers))
    said = [e.json["delta"]["content"][0]["text"]["value"] for e in rest if e.name == "thread.message.delta"]
    assert said == ["There", " was."]


async def _numbers_until(holdfast: RunningHoldfast, run: Any, seen: list[int], word: str) -> list[int]:
    """The numbers of the events up to the delta that contains `word`."""
    numbers: list[int] = []
    async with following(events_url(holdfast, run) + (f"?after={seen[-1]}" if seen else "")) as stream:
        async for event in stream:
            if event.number is not None:
                numbers.append(event.number)
            if event.name == "thread.message.delta" and word in event.data:
                break
    return numbers


async def test_end_missing_from_stream_is_replayed_from_database(
    holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process died between its commit and its append to the stream."""
    stream = holdfast.resources.event_stream
    append = stream.append

    async def lose_the_end(run_id: str, first: int, events: Any, fencing_token: int | None = None) -> bool:
        lost = [event for event in events if event.name == "thread.run.completed"]
        return True if lost else await append(run_id, first, events, fencing_token)

    monkeypatch.setattr(stream, "append", lose_the_end)
    monkeypatch.setattr("infra.event_stream.reading.SILENCE", SHORT_SILENCE)
    provider.script("events-no-end", Says("It is sunny."))

    events = await streamed(holdfast, await holdfast.assistant("events-no-end"))

    assert names(events)[-4:] == ["message.completed", "run.step.completed", "run.completed", "done"]


@pytest.mark.any_database
async def test_deleting_thread_ends_its_streams(
    holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.event_stream.reading.SILENCE", SHORT_SILENCE)
    provider.script("events-deleted", Hangs("Once"))
    run = await begun(holdfast, await holdfast.assistant("events-deleted"))

    async with following(events_url(holdfast, run)) as stream:
        events = []
        async for event in stream:
            events.append(event)
            if event.name == "thread.message.delta":
                await holdfast.client.beta.threads.delete(run["thread_id"])

    assert events[-1].name == "error"
    assert events[-1].json["error"]["code"] == "run_deleted"


async def test_idle_stream_sends_keep_alives(temporal_port: int, provider: ScriptedProvider, tmp_path: Path) -> None:
    held = Held(Says(" a time."), after="Once upon")
    provider.script("events-silence", held)
    async with running_holdfast(settings_for(tmp_path, temporal_port, provider, keepalive_seconds=1)) as holdfast:
        assistant_id = await holdfast.assistant("events-silence")
        url, body = f"{holdfast.url}/v1/threads/runs", {"assistant_id": assistant_id, "thread": THREAD, "stream": True}

        async with httpx.AsyncClient(timeout=30) as http, http.stream("POST", url, json=body) as sdk:
            lines = sdk.aiter_lines()
            comment = await anext(line async for line in lines if line.startswith(":"))
            [run] = (await http.get(f"{holdfast.url}/v1/runs?status=in_progress")).json()["data"]
            async with following(events_url(holdfast, run)) as stream:
                keepalive = await anext(event async for event in stream if event.name == "keepalive")
            held.release()

    assert comment == ": keepalive"
    assert (keepalive.data, keepalive.number) == ("{}", None)


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("query", "headers", "param"),
    [
        ("?after=x", {}, "after"),
        ("?after=-2", {}, "after"),
        ("", {"Last-Event-ID": "x"}, "last-event-id"),
    ],
)
async def test_invalid_number_is_rejected(
    holdfast: RunningHoldfast, provider: ScriptedProvider, query: str, headers: dict[str, str], param: str
) -> None:
    provider.script("events-number", Says("Hi."))
    run = await begun(holdfast, await holdfast.assistant("events-number"))

    async with httpx.AsyncClient() as http:
        answer = await http.get(events_url(holdfast, run) + query, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"].lower() == param


@pytest.mark.any_database
async def test_events_of_unknown_run_are_not_found(holdfast: RunningHoldfast) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.get(events_url(holdfast, {"thread_id": "thread_x", "id": "run_x"}))

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "No run found with id 'run_x'."
