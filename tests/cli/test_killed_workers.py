"""An answer is taken up after a `kill -9` of a worker of `holdfast up`, and of the whole of it.

`make bench ARGS=takeovers` measures the time.
"""

from pathlib import Path
from typing import Any

import psutil
import pytest
from openai import OpenAI

from tests.cli.program import Place, Up, wait_until
from tests.provider.replies import Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = [pytest.mark.slow, pytest.mark.any_database, pytest.mark.xdist_group("cli-up")]

MODEL = "killed-up"
THREAD: Any = {"messages": [{"role": "user", "content": "Hello"}]}


def test_answer_is_taken_up_after_a_kill_and_after_the_next_start(tmp_path: Path, provider: ScriptedProvider) -> None:
    place = Place.new(tmp_path)
    provider.script(MODEL, Hangs(after="Well"), Hangs(after="Again"), Says("Taken up."))
    up = _up(place, provider)
    try:
        with OpenAI(base_url=f"{place.url}/v1", api_key="sk", max_retries=0) as client:
            assistant = client.beta.assistants.create(model=MODEL)
            run = client.beta.threads.create_and_run(assistant_id=assistant.id, thread=THREAD)
            wait_until(lambda: _calls(provider) == 1)
            _speaking(up, provider).kill()
            wait_until(lambda: _calls(provider) == 2)
            said = up.output

            up.end()
            up = _up(place, provider)
            wait_until(lambda: _calls(provider) == 3)
            wait_until(lambda: client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id).status == "completed")
            said_after_start = up.output
    finally:
        up.end()

    assert all('"worker.gone"' in each for each in (said, said_after_start))
    assert '"activity.taken_over"' in said


def _up(place: Place, provider: ScriptedProvider) -> Up:
    models = str(provider.models_file(place.data_dir.parent))
    return Up(place, HOLDFAST_MODELS=models, HOLDFAST_WORKERS="2").ready()


def _speaking(up: Up, provider: ScriptedProvider) -> psutil.Process:
    """The worker that has a connection to the model."""
    port = int(provider.url.rpartition(":")[2].partition("/")[0])
    return next(each for each in up.workers() if any(c.raddr and c.raddr.port == port for c in each.net_connections()))


def _calls(provider: ScriptedProvider) -> int:
    return len(provider.requests(MODEL))
