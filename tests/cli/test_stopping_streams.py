"""A stopped program ends its streams with an error event, and after a restart clients can continue them.

The successor ends as a service of systemd does.
"""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.api_server import DRAIN_TIMEOUT
from tests.cli.program import DEADLINE_SECONDS, Place, Up
from tests.cli.test_stopping import assert_quiet_during_model_calls
from tests.provider.replies import Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sse import Sent, block_of, names
from workflows.worker import GRACEFUL_SHUTDOWN

pytestmark = pytest.mark.slow

THREAD = {"messages": [{"role": "user", "content": "Tell me a story."}]}
BUSY_MACHINE_SECONDS = 8


def test_a_stopped_program_ends_its_streams_and_its_successor_continues_until_sigterm_to_every_process(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    model = "stopped-stream"
    provider.script(model, Hangs("Once upon"), Says("There was."))
    models = str(provider.models_file(tmp_path))
    place = Place.new(tmp_path)
    first = Up(place, HOLDFAST_MODELS=models).ready()
    polls = ThreadPoolExecutor()
    try:
        assistant = httpx.post(f"{place.url}/v1/assistants", json={"model": model}).json()
        body = {"assistant_id": assistant["id"], "thread": THREAD, "stream": True}
        seen: list[Sent] = []
        with httpx.stream("POST", f"{place.url}/v1/threads/runs", json=body, timeout=DEADLINE_SECONDS) as response:
            for event in _events(response):
                seen.append(event)
                if " upon" in event.data:
                    poll = polls.submit(_polled, place, seen[1].json)
                    _until_it_is_held(place, seen[1].json, poll)
                    began = time.monotonic()
                    first.process.send_signal(signal.SIGTERM)
        polled = poll.result()
        told_after = time.monotonic() - began
        exit_code = first.process.wait(DEADLINE_SECONDS)
        stopped_after = time.monotonic() - began
        # Its successor writes to the same file.
        said = first.output
    finally:
        first.end()
    second = Up(place, HOLDFAST_MODELS=models).ready()
    try:
        run, number = seen[1].json, len(seen) - 2
        url = f"{_url(place, run)}/events?after={number}"
        with httpx.stream("GET", url, timeout=DEADLINE_SECONDS) as response:
            rest = list(_events(response))
        assert_quiet_during_model_calls(second, provider, Up.terminate_all)
    finally:
        second.end()

    assert (seen[-1].name, seen[-1].json["error"]["code"]) == ("error", "server_stopping")
    assert polled.json()["status"] == "in_progress"
    assert told_after < DRAIN_TIMEOUT.total_seconds() / 2
    assert (exit_code, "Traceback" in said) == (0, False)
    assert stopped_after < (DRAIN_TIMEOUT + GRACEFUL_SHUTDOWN).total_seconds() + BUSY_MACHINE_SECONDS
    assert names(rest)[-3:] == ["run.step.completed", "run.completed", "done"]
    numbers = [event.number for event in rest[:-1] if event.number is not None]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > number


def _polled(place: Place, run: dict[str, Any]) -> httpx.Response:
    return httpx.get(_url(place, run), headers={"X-Stainless-Poll-Helper": "true"}, timeout=DEADLINE_SECONDS)


def _until_it_is_held(place: Place, run: dict[str, Any], poll: Future[httpx.Response]) -> None:
    # Requests that came later have been answered.
    for _ in range(20):
        assert httpx.get(f"{place.url}/v1/threads/{run['thread_id']}").is_success
    assert not poll.done()


def _url(place: Place, run: dict[str, Any]) -> str:
    return f"{place.url}/v1/threads/{run['thread_id']}/runs/{run['id']}"


def _events(response: httpx.Response) -> Iterator[Sent]:
    block: list[str] = []
    for line in response.iter_lines():
        if line:
            block.append(line)
        elif block:
            yield block_of("\n".join(block))
            block.clear()
