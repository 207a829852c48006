"""How `holdfast up` ends, and that it starts again.

After a kill: tests/cli/test_killed_up.py; with SIGTERM to every process: tests/cli/test_stopping_streams.py.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from openai import OpenAI
from openai.types.beta.threads import Run

from tests.cli.program import DEADLINE_SECONDS, HOLDFAST, Place, Up, is_alive, wait_until
from tests.provider.replies import Hangs
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.slow

LONGEST_STOP_SECONDS = 10
# In place of `make`: starts the program as its child and waits for it.
PARENT = "import os, subprocess, sys; subprocess.run([*sys.argv[1:], '--stop-with-parent', str(os.getpid())])"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.new(tmp_path)


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_program_stops_with_its_parent_and_its_successor_quietly_at_ctrl_c(
    place: Place, running: ExitStack, provider: ScriptedProvider, tmp_path: Path
) -> None:
    make = Up(place, (sys.executable, "-c", PARENT, *HOLDFAST, "up")).ready()
    running.callback(make.end)
    orphan = make.holdfast()

    make.process.kill()
    successor = Up(place, HOLDFAST_MODELS=str(provider.models_file(tmp_path))).ready()
    running.callback(successor.end)

    assert not is_alive(orphan)
    assert successor.is_healthy()
    assert_quiet_during_model_calls(successor, provider, Up.interrupt)


def assert_quiet_during_model_calls(up: Up, provider: ScriptedProvider, stop: Callable[[Up], None]) -> None:
    models = ("stopped-before-a-word", "stopped-in-mid-answer")
    provider.script(models[0], Hangs())
    provider.script(models[1], Hangs(after="Once upon a time"))
    for model in models:
        start_run(up.place, model)
    wait_until(lambda: all(provider.requests(model) for model in models))

    began = time.monotonic()
    stop(up)

    assert up.process.wait(DEADLINE_SECONDS) == 0, up.output
    assert time.monotonic() - began < LONGEST_STOP_SECONDS
    assert "Traceback" not in up.output
    assert "never retrieved" not in up.output
    lines = [json.loads(line) for line in up.output.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines if line["event"] == "holdfast.stopping"] == ["holdfast.stopping"]
    assert [line for line in lines if line["level"] not in ("info", "debug")] == []
    assert not (up.place.data_dir / "address").exists()


def start_run(place: Place, model: str) -> Run:
    beta = OpenAI(base_url=f"{place.url}/v1", api_key="any").beta
    assistant = beta.assistants.create(model=model)
    return beta.threads.create_and_run(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Tell me a story."}]}
    )
