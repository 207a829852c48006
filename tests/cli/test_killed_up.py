"""What a `kill -9` of all of `holdfast up` has cut off is finished after the next start. One kill for all tests.

Before it a worker alone is killed: `make bench ARGS=takeovers` measures the time until an answer is taken up. The last
tests end the second start as well, with Ctrl-C.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest
from openai import OpenAI
from openai.types.beta.threads import Run

from cli.start import COLLECT_AFTER_OBJECTS
from tests.cli.program import HOLDFAST, Place, Up, is_alive, wait_until
from tests.infra.embeddings.scripted_endpoint import ScriptedEndpoint, running_endpoint
from tests.provider.replies import Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.web_site import WebSite, running_web_site

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("killed-up")]

MODEL = "killed-up"
FILES = 3
TEXT = "Employees get twenty-five days of paid vacation each year."
LONG = " ".join(f"Sentence number {number} says nothing new." for number in range(700))
CRAWL = "/ops/web_retrieval"
PAGES = 4
# Python runs a module of this name at every start.
REPORTS_AT_ITS_END = """
import atexit, gc
atexit.register(
    lambda: print("collects:", gc.isenabled(), *gc.get_threshold(), "frozen:", gc.get_freeze_count(), flush=True)
)
"""
AT_LEAST_LOADED = 100_000


@dataclass(frozen=True)
class Again:
    """The second start, and what the first had begun: `answered` was asked for a second time there, as it `said`."""

    up: Up
    client: OpenAI
    site: WebSite
    crawl_id: str
    half_indexed: tuple[str, str]
    store_id: str
    file_ids: list[str]
    run: Run
    answered: Run
    said: str


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory, provider: ScriptedProvider) -> Iterator[Again]:
    place = Place.new(tmp_path_factory.mktemp("killed-up"))
    models = str(provider.models_file(place.data_dir.parent))
    reports = tmp_path_factory.mktemp("reports")
    (reports / "sitecustomize.py").write_text(REPORTS_AT_ITS_END)
    with ExitStack() as stack:
        endpoint = stack.enter_context(running_endpoint())
        site = stack.enter_context(running_web_site())
        client = stack.enter_context(OpenAI(base_url=f"{place.url}/v1", api_key="sk", max_retries=0))
        killed = start(place, endpoint, site, HOLDFAST_WORKERS="2", HOLDFAST_MODELS=models)
        stack.callback(killed.end)
        answered = _run_whose_worker_is_killed(killed, client, provider)
        crawl_id = _crawl_that_waits(place, site)
        half_indexed = half_indexed_file(client, endpoint)
        store_id, file_ids = _files_that_wait(client, endpoint)
        run = _run_that_calls_function(client)
        said = killed.output
        kill(killed)
        site.may_answer.set()
        endpoint.may_answer.set()

        more = {"HOLDFAST_WORKERS": "1", "HOLDFAST_MODELS": models, "PYTHONPATH": str(reports)}
        up = start(place, endpoint, site, **more)
        stack.callback(up.end)
        yield Again(up, client, site, crawl_id, half_indexed, store_id, file_ids, run, answered, said)


def start(place: Place, endpoint: ScriptedEndpoint, site: WebSite | None = None, **settings: str) -> Up:
    return Up(
        place,
        (*HOLDFAST, "up"),
        HOLDFAST_EMBEDDING_MODEL="openai/scripted",
        HOLDFAST_EMBEDDING_DIMENSIONS=str(endpoint.dimensions),
        HOLDFAST_WEB_ALLOWED_HOSTS=site.host if site else "",
        HOLDFAST_WEB_SEARCH="off",
        OPENAI_BASE_URL=endpoint.url,
        OPENAI_API_KEY="sk-scripted",
        **settings,
    ).ready()


def kill(up: Up) -> None:
    processes = up.all_processes()
    os.killpg(up.process.pid, signal.SIGKILL)
    up.process.wait()
    wait_until(lambda: not any(map(is_alive, processes)))


def _run_whose_worker_is_killed(up: Up, client: OpenAI, provider: ScriptedProvider) -> Run:
    """The other worker has asked for the answer, too."""
    provider.script(MODEL, Hangs(after="Well"), Hangs(after="Again"), Says("Taken up."))
    assistant = client.beta.assistants.create(model=MODEL)
    thread: Any = {"messages": [{"role": "user", "content": "Hello"}]}
    run = client.beta.threads.create_and_run(assistant_id=assistant.id, thread=thread)
    wait_until(lambda: _calls(provider) == 1)
    _speaking(up, provider).kill()
    wait_until(lambda: _calls(provider) == 2)
    return run


def _speaking(up: Up, provider: ScriptedProvider) -> psutil.Process:
    """The worker that has a connection to the model."""
    port = int(provider.url.rpartition(":")[2].partition("/")[0])
    return next(each for each in up.workers() if any(c.raddr and c.raddr.port == port for c in each.net_connections()))


def _calls(provider: ScriptedProvider) -> int:
    return len(provider.requests(MODEL))


def _crawl_that_waits(place: Place, site: WebSite) -> str:
    """Two pages are read, and the third is asked for."""
    site.waits_after = 2
    site.may_answer.clear()
    body = {"root_urls": [f"{site.url}/slow/1"], "max_depth": PAGES - 1, "background": True}
    crawl_id: str = httpx.post(f"{place.url}{CRAWL}", json=body).json()["crawl_id"]
    wait_until(lambda: len(site.pages("/slow")) == 3)
    return crawl_id


def half_indexed_file(client: OpenAI, endpoint: ScriptedEndpoint) -> tuple[str, str]:
    """A store and its file, of which two batches of chunks are in the index."""
    before = len(endpoint.requests)
    endpoint.waits_after = before + 2
    endpoint.may_answer.clear()
    file = client.files.create(file=("long.txt", LONG.encode()), purpose="assistants")
    store = client.vector_stores.create()
    sizes: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    client.vector_stores.files.create(store.id, file_id=file.id, chunking_strategy=sizes)
    wait_until(lambda: len(endpoint.requests) == before + 3)
    return store.id, file.id


def _files_that_wait(client: OpenAI, endpoint: ScriptedEndpoint) -> tuple[str, list[str]]:
    """A store and its files, of which none is in the index."""
    before = len(endpoint.requests)
    file_ids = [
        client.files.create(file=(f"{number}.txt", f"{TEXT} {number}".encode()), purpose="assistants").id
        for number in range(FILES)
    ]
    store = client.vector_stores.create(file_ids=file_ids)
    wait_until(lambda: len(endpoint.requests) > before)
    return store.id, file_ids


def _run_that_calls_function(client: OpenAI) -> Run:
    tools: Any = [{"type": "function", "function": {"name": "read_clock"}}]
    assistant = client.beta.assistants.create(model="holdfast/scripted", tools=tools)
    thread: Any = {"messages": [{"role": "user", "content": "What time is it?"}]}
    return client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=thread)


def test_answer_is_taken_up_after_a_kill_and_after_the_next_start(again: Again, provider: ScriptedProvider) -> None:
    runs, run = again.client.beta.threads.runs, again.answered

    wait_until(lambda: runs.retrieve(run.id, thread_id=run.thread_id).status == "completed")

    assert _calls(provider) == 3
    assert all('"worker.gone"' in each for each in (again.said, again.up.output))
    assert '"activity.taken_over"' in again.said


def test_ingestion_is_finished(again: Again) -> None:
    stores, store_id = again.client.vector_stores, again.store_id
    wait_until(lambda: stores.retrieve(store_id).status == "completed")

    counts = stores.retrieve(store_id).file_counts
    results = stores.search(store_id, query="vacation").data
    contents = [stores.files.content(each, vector_store_id=store_id).data for each in again.file_ids]

    assert (counts.completed, counts.total) == (FILES, FILES)
    assert sorted(result.file_id for result in results) == sorted(again.file_ids)
    assert [[piece.text for piece in content] for content in contents] == [[f"{TEXT} {n}"] for n in range(FILES)]


def test_file_that_was_half_indexed_is_completed_with_exactly_its_chunks(again: Again) -> None:
    store_id, file_id = again.half_indexed
    wait_until(lambda: again.client.vector_stores.retrieve(store_id).file_counts.completed == 1)

    content = again.client.vector_stores.files.content(file_id, vector_store_id=store_id).data

    assert len(content) > 32
    assert "".join(piece.text or "" for piece in content) == LONG


def test_crawl_goes_on_behind_the_pages_that_it_has_read(again: Again) -> None:
    crawls, site = f"{again.up.place.url}{CRAWL}", again.site

    def course() -> Any:
        return httpx.get(f"{crawls}/{again.crawl_id}").json()

    wait_until(lambda: course()["status"] == "completed")

    urls = [f"{site.url}/slow/{number}" for number in range(1, PAGES + 1)]
    assert [(info["url"], info["error"]) for info in course()["crawl_infos"]] == [(url, None) for url in urls]
    assert httpx.get(crawls).json()["pages"] == PAGES
    assert [site.visits.count(f"/slow/{number}") for number in range(1, PAGES + 1)] == [1, 1, 2, 1]


def test_run_continues_with_its_outputs(again: Again) -> None:
    assert again.run.required_action is not None
    calls = again.run.required_action.submit_tool_outputs.tool_calls

    resumed = again.client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=again.run.id,
        thread_id=again.run.thread_id,
        tool_outputs=[{"tool_call_id": call.id, "output": "noon"} for call in calls],
    )

    assert (again.run.status, resumed.status) == ("requires_action", "completed")


def test_ctrl_c_leaves_nothing(again: Again) -> None:
    """Behind those that use the program."""
    processes: list[psutil.Process] = again.up.all_processes()

    again.up.interrupt()

    assert again.up.process.wait() == 0, again.up.output
    # The supervisor, Temporal, the event stream, the API and a worker at least.
    assert len(processes) >= 5
    assert not any(map(is_alive, processes))


def test_objects_of_the_start_are_exempt_from_garbage_collection(again: Again) -> None:
    if again.up.process.poll() is None:
        again.up.interrupt()
        again.up.process.wait()

    reports = [line.split() for line in again.up.output.splitlines() if line.startswith("collects:")]

    # The API's, the worker's and the supervisor's; in those that end at once nothing is frozen.
    serving = [(collects, after, int(frozen)) for _, collects, after, *_, frozen in reports if int(frozen)]
    assert [(collects, after) for collects, after, _ in serving] == [("True", str(COLLECT_AFTER_OBJECTS))] * 3
    assert max(frozen for *_, frozen in serving) > AT_LEAST_LOADED
