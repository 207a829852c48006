"""Coming back to a run: its events from any number on, live or long after."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.event_stream.in_process import InProcessEventStream
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import BreaksOff, Calls, Fails, Hangs, Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sse import Sent, following, names
from tests.streams import THREAD, all_events, begun, events_url, streamed, submitted

SHORT_SILENCE = timedelta(milliseconds=100)


def forget(holdfast: RunningHoldfast) -> None:
    """What a restart of the process does to its events."""
    stream = holdfast.resources.event_stream
    assert isinstance(stream, InProcessEventStream)
    stream.forget_all()


@pytest.mark.any_database
async def test_numbers_are_those_that_a_client_of_the_sdk_counts(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("events-counted", Calls(("f", '{"a": 1}'), text="Let me see."), Says("It is sunny."))
    seen = (await streamed(holdfast, await holdfast.assistant("events-counted", "f")))[:-1]
    run = seen[-1].json
    seen += (await submitted(holdfast, run, "sunny"))[:-1]

    told = await all_events(holdfast, run)

    assert [event.number for event in told[:-1]] == list(range(len(seen)))
    assert [(event.name, event.data) for event in told[:-1]] == [(event.name, event.data) for event in seen]
    assert (told[-1].name, told[-1].number) == ("done", None)


@pytest.mark.any_database
@pytest.mark.parametrize("after", [0, 5, 9, 12, 500])
async def test_it_goes_on_after_the_event_that_was_seen(
    holdfast: RunningHoldfast, provider: ScriptedProvider, after: int
) -> None:
    model = f"events-after-{after}"
    provider.script(model, Says("It is sunny."))
    run = (await streamed(holdfast, await holdfast.assistant(model)))[-2].json

    whole = await all_events(holdfast, run)

    assert await all_events(holdfast, run, f"?after={after}") == [*whole[after + 1 : -1], whole[-1]]
    # A browser that comes back repeats its address and says what it has seen.
    assert await all_events(holdfast, run, "?after=0", **{"Last-Event-ID": str(after)}) == [
        *whole[after + 1 : -1],
        whole[-1],
    ]


@pytest.mark.any_database
async def test_a_run_that_was_not_streamed_can_be_followed(
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
async def test_several_readers_follow_one_run(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    held = Held(Says(" a time."), after="Once upon")
    provider.script("events-shared", held)
    run = await begun(holdfast, await holdfast.assistant("events-shared"))
    readers = [asyncio.create_task(all_events(holdfast, run)) for _ in range(5)]
    await held.arrived()
    held.release()

    told = await asyncio.gather(*readers)

    assert all(events == told[0] for events in told)
    assert told[0][-1].name == "done"


@pytest.mark.any_database
async def test_it_goes_on_through_tool_outputs(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
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


async def test_after_a_restart_the_database_tells_the_same_events(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
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
    told = await all_events(holdfast, run)

    assert [(event.number, event.name) for event in told[:-1]] == [(event.number, event.name) for event in seen]
    deltas = [event for event in told if event.name.endswith(".delta")]
    assert deltas == [event for event in seen if event.name.endswith(".delta")]
    assert await all_events(holdfast, run, "?after=7") == told[8:]


async def _seen_so_far(holdfast: RunningHoldfast, run: Any) -> list[Sent]:
    """The events of a run up to the one at which it waits for outputs."""
    events: list[Sent] = []
    async with following(events_url(holdfast, run)) as stream:
        async for event in stream:
            events.append(event)
            if event.name == "thread.run.requires_action":
                break
    return events


def _numbered(events: list[Sent], first: int) -> list[Sent]:
    return [Sent(event.name, event.data, number) for number, event in enumerate(events[:-1], first)]


@pytest.mark.parametrize("ending", ["cancelled", "expired", "failed", "incomplete"])
async def test_the_database_tells_every_kind_of_end(
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
        await _cancel_what_speaks(holdfast, provider, model)
    seen = await started
    forget(holdfast)

    told = await all_events(holdfast, seen[1].json)

    assert [event.name for event in told] == [event.name for event in seen]
    assert told[-2].json == seen[-2].json
    assert [event.number for event in told[:-1]] == list(range(len(seen) - 1))
    assert _being_cancelled(told) == _being_cancelled(seen)


async def test_what_a_failure_cut_short_is_told_before_its_retry(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    holdfast = own_holdfast
    await holdfast.start_worker()
    provider.script("events-retried", Says("Once upon", finish="content_filter"), Fails(401))
    failed = (await streamed(holdfast, await holdfast.assistant("events-retried")))[-2].json
    async with httpx.AsyncClient(base_url=holdfast.url) as http:
        await http.post(f"/ops/runs/{failed['id']}/retry")
    seen = await all_events(holdfast, failed)
    forget(holdfast)

    told = await all_events(holdfast, failed)

    assert [event.name for event in seen].count("thread.run.failed") == 2
    numbers = {event.number: event.name for event in seen}
    assert {event.number: event.name for event in told}.items() <= numbers.items()
    missing = [name for number, name in numbers.items() if number not in {event.number for event in told}]
    assert missing == ["thread.run.failed", "thread.run.queued", "thread.run.in_progress"]


def _being_cancelled(events: list[Sent]) -> list[Any]:
    return [event.json for event in events if event.name == "thread.run.cancelling"]


@pytest.mark.any_database
async def test_the_end_of_a_run_that_waits_follows_what_was_told_before(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    """Though the stream has forgotten all of it, as after a restart."""
    provider.script("events-parked", Calls(("weather", "{}")))
    await own_holdfast.start_worker()
    seen = await streamed(own_holdfast, await own_holdfast.assistant("events-parked", "weather"))
    run = seen[-2].json
    forget(own_holdfast)

    await own_holdfast.client.beta.threads.runs.cancel(run["id"], thread_id=run["thread_id"])
    async with following(events_url(own_holdfast, run)) as stream, asyncio.timeout(20):
        told = [event async for event in stream]

    assert names(told)[-4:] == ["run.cancelling", "run.step.cancelled", "run.cancelled", "done"]
    assert [event.number for event in told[:-1]] == list(range(len(seen) - 1 + 3))


async def _cancel_what_speaks(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str) -> None:
    async with asyncio.timeout(10):
        await provider.requested(model)
        run = (await holdfast.client.get("/runs?status=in_progress", cast_to=httpx.Response)).json()["data"][0]
        async with following(events_url(holdfast, run)) as stream:
            async for event in stream:
                if event.name == "thread.message.delta" and "upon" in event.data:
                    break
    await holdfast.client.beta.threads.runs.cancel(run["id"], thread_id=run["thread_id"])


@pytest.mark.any_database
async def test_numbers_never_repeat_when_an_answer_was_lost_in_the_middle(
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


async def test_numbers_never_repeat_when_answers_are_lost_one_after_another(
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
    """The numbers of the events up to the delta that says `word`."""
    numbers: list[int] = []
    async with following(events_url(holdfast, run) + (f"?after={seen[-1]}" if seen else "")) as stream:
        async for event in stream:
            if event.number is not None:
                numbers.append(event.number)
            if event.name == "thread.message.delta" and word in event.data:
                break
    return numbers


async def test_an_end_that_never_reached_the_stream_is_told_by_the_database(
    holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a process dies between its commit and what it would have shown."""
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
async def test_a_thread_that_is_deleted_ends_its_streams(
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


async def test_silence_is_filled(temporal_port: int, provider: ScriptedProvider, tmp_path: Path) -> None:
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
async def test_a_number_that_is_none_is_refused(
    holdfast: RunningHoldfast, provider: ScriptedProvider, query: str, headers: dict[str, str], param: str
) -> None:
    provider.script("events-number", Says("Hi."))
    run = await begun(holdfast, await holdfast.assistant("events-number"))

    async with httpx.AsyncClient() as http:
        answer = await http.get(events_url(holdfast, run) + query, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"].lower() == param


@pytest.mark.any_database
async def test_a_run_of_nobody_has_no_events(holdfast: RunningHoldfast) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.get(events_url(holdfast, {"thread_id": "thread_x", "id": "run_x"}))

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "No run found with id 'run_x'."
