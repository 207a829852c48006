"""`web_retrieval` from the crawl to the cited answer, as the OpenGPTs assistants-api and its clients use it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types.beta.threads import Run

from activities.crawl_reconciler import LOST_WORKFLOW, CrawlReconciler
from activities.web_crawl import NOTHING_READ
from infra.database import run_events, web_crawls
from infra.database.web_tables import WEB_CRAWLS
from infra.language_model.scripted import SCRIPTED_MODEL
from infra.web.crawl_workflows import CrawlWorkflows
from models.events import NumberedEvent
from models.tool_formats.web_retrieval import AS_DATA
from models.web_crawls import CrawlRequest
from tests.api.envelope import assert_error
from tests.conftest import NewDatabase, settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sse import Sent
from tests.stored_files import DEFAULT_PROJECT
from tests.streams import streamed
from tests.web_site import PAGES, SEARCHED, WebSite, running_web_site

# What the database stores of crawls is tested in tests/infra/database/test_web_crawls.py, of each kind.
pytestmark = pytest.mark.any_database

WEB: Any = {"type": "web_retrieval"}
IN_TEXT = "web-in-text"
"""A model without function calling."""

CRAWL = "/ops/web_retrieval"


@pytest.fixture(scope="session")
def site() -> Iterator[WebSite]:
    with running_web_site() as running:
        yield running


@pytest.fixture(scope="module")
async def web(
    temporal_port: int,
    provider: ScriptedProvider,
    new_database: NewDatabase,
    site: WebSite,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[RunningHoldfast]:
    """API and worker that fetch from the site, and search no other."""
    folder: Path = tmp_path_factory.mktemp("web")
    allowed = {"web_allowed_hosts": (site.host,), "web_search": "off", "web_crawl_pages": 60, "web_crawl_seconds": 90}
    settings = settings_for(folder, temporal_port, provider, new_database(), **allowed)
    provider.models_file(folder, provider.without_functions(IN_TEXT))
    async with running_holdfast(settings) as running:
        yield running


@pytest.fixture(scope="module")
async def ops(web: RunningHoldfast) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=web.url, timeout=100) as client:
        yield client


async def assistant_with_web(web: RunningHoldfast, model: str, tool: Any = None) -> str:
    return (await web.client.beta.assistants.create(model=model, tools=[tool or WEB])).id


async def calls_of(ops: httpx.AsyncClient, run: Run) -> list[dict[str, Any]]:
    """As they are sent: the SDK's types do not know them."""
    steps = (await ops.get(f"/v1/threads/{run.thread_id}/runs/{run.id}/steps?order=asc")).json()["data"]
    return [call for step in steps for call in step["step_details"].get("tool_calls", ())]


async def answer_of(ops: httpx.AsyncClient, run: Run) -> dict[str, Any]:
    messages = (await ops.get(f"/v1/threads/{run.thread_id}/messages?limit=1")).json()["data"]
    answer: dict[str, Any] = messages[0]["content"][0]["text"]
    return answer


@pytest.mark.slow
async def test_what_the_suite_of_the_assistants_api_does(
    web: RunningHoldfast, ops: httpx.AsyncClient, site: WebSite, provider: ScriptedProvider
) -> None:
    site.visits.clear()
    asked = {"root_urls": [site.url], "max_depth": 1, "constrain_to_root_domain": True}

    crawled = (await ops.post(CRAWL, json={**asked, "description": "The handbook of Fernhill."})).json()

    assert crawled["message"] == "Crawling completed successfully."
    assert crawled["crawl_infos"][0]["url"] == f"{site.url}/"
    assert len(crawled["crawl_infos"]) == PAGES
    assert {info["content"] for info in crawled["crawl_infos"]} == {"<REMOVED>"}
    assert {info["depth"] for info in crawled["crawl_infos"]} == {0, 1}
    assert [info for info in crawled["crawl_infos"] if info["error"]] == []
    assert sorted(site.visits) == sorted({"/robots.txt", "/", *(f"/page/{number}" for number in range(1, PAGES))})

    assistant = await assistant_with_web(web, SCRIPTED_MODEL)
    run = await web.until(await web.run(assistant, "How many days of vacation does Fernhill give?"), "completed")

    steps = await web.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)
    assert len(steps.data) > 1
    [call] = await calls_of(ops, run)
    assert (call["type"], call["query"]) == ("web_retrieval", "How many days of vacation does Fernhill give?")
    best = call["retrieval"][0]
    assert (best["url"], best["title"], best["depth"]) == (f"{site.url}/page/3", "Page 3", 1)
    assert SEARCHED in best["content"]
    assert 0 < best["score"] <= 1
    answer = await answer_of(ops, run)
    assert SEARCHED in answer["value"]
    [cited] = answer["annotations"]
    assert cited["url_citation"] == {"url": f"{site.url}/page/3", "title": "Page 3"}
    assert answer["value"][cited["start_index"] : cited["end_index"]] == cited["text"] == "【0:0†127.0.0.1】"
    # The user's stores and files are others.
    assert [(await web.client.vector_stores.list()).data, (await web.client.files.list()).data] == [[], []]

    assert "The handbook of Fernhill." in await told(web, provider, "told-first")
    assert (await ops.delete(f"/v1{CRAWL}")).json() == {"message": "Collection 'web_retrieval' deleted successfully."}
    assert (await ops.delete(CRAWL)).json() == {"message": "Collection 'web_retrieval' does not exist."}
    assert "Fernhill" not in await told(web, provider, "told-last")
    forgotten = await web.until(await web.run(assistant, "How many days of vacation does Fernhill give?"), "completed")
    assert (await calls_of(ops, forgotten))[0]["retrieval"] == []


async def told(web: RunningHoldfast, provider: ScriptedProvider, model: str) -> str:
    """What a model is told of the tool."""
    provider.script(model, Says("Hi."))
    await web.until(await web.run(await assistant_with_web(web, model)), "completed")
    description: str = provider.requests(model)[0]["tools"][0]["function"]["description"]
    return description


@pytest.mark.slow
async def test_crawl_leaves_the_traps_behind(web: RunningHoldfast, ops: httpx.AsyncClient, site: WebSite) -> None:
    site.visits.clear()

    crawled = (await ops.post(CRAWL, json={"root_urls": [f"{site.url}/traps"], "max_depth": 3})).json()

    errors = {info["url"].removeprefix(site.url): info["error"] for info in crawled["crawl_infos"]}
    assert crawled["status"] == "completed"
    assert 4 <= len(site.pages("/calendar")) <= 6
    assert site.pages("/private") == []
    assert errors["/private/a"] == "The site's robots.txt does not allow this page."
    assert errors["/away"] == "The page leads away from the crawl's domains."
    assert errors["/gone"] == "The site answered with status 404."
    assert (errors["/endless"], errors["/page/1"], site.visits.count("/page/1")) == (None, None, 1)


async def test_crawl_in_the_background_is_followed_and_goes_on_in_another_worker(
    web: RunningHoldfast, ops: httpx.AsyncClient, site: WebSite
) -> None:
    site.may_answer.clear()
    asked = {"root_urls": [f"{site.url}/slow/1"], "max_depth": 2, "background": True}
    headers = {"Idempotency-Key": "slow"}

    begun = (await ops.post(CRAWL, json=asked, headers=headers)).json()
    repeated = (await ops.post(f"/v1{CRAWL}", json=asked, headers=headers)).json()

    assert begun == repeated
    assert (begun["message"], begun["status"], begun["crawl_infos"]) == ("Crawling has begun.", "in_progress", [])
    async with asyncio.timeout(20):
        while not site.pages("/slow"):
            await asyncio.sleep(0.02)
    await web.stop_worker()
    site.may_answer.set()
    await web.start_worker()
    course = await ended(ops, begun["crawl_id"])
    assert course["status"] == "completed"
    assert [info["url"] for info in course["crawl_infos"]] == [f"{site.url}/slow/{number}" for number in (1, 2, 3)]
    assert (course["urls"], course["error"]) == (3, None)
    assert (await ops.get(CRAWL)).json()["crawls"][0]["id"] == begun["crawl_id"]


async def ended(ops: httpx.AsyncClient, crawl_id: str) -> Any:
    async with asyncio.timeout(40):
        while (course := (await ops.get(f"{CRAWL}/{crawl_id}")).json())["status"] == "in_progress":
            await asyncio.sleep(0.05)
    return course


async def test_collection_that_is_forgotten_ends_its_crawls(
    web: RunningHoldfast, ops: httpx.AsyncClient, site: WebSite
) -> None:
    site.visits.clear()
    site.may_answer.clear()
    body = {"root_urls": [f"{site.url}/slow/1"], "max_depth": 5}
    crawling = asyncio.create_task(ops.post(CRAWL, json=body))
    async with asyncio.timeout(20):
        while not site.pages("/slow"):
            await asyncio.sleep(0.02)

    await ops.delete(CRAWL)
    site.may_answer.set()

    assert_error(
        await crawling, 400, "Collection 'web_retrieval' was deleted while it was crawled.", code="collection_deleted"
    )
    assert (await ops.get(CRAWL)).json()["pages"] == 0


async def test_lost_crawl_is_started_again_and_one_whose_workflow_was_ended_fails(
    web: RunningHoldfast, ops: httpx.AsyncClient, site: WebSite
) -> None:
    site.may_answer.clear()
    body = {"root_urls": [f"{site.url}/slow/1"], "max_depth": 0, "background": True}
    ended_id = (await ops.post(CRAWL, json=body)).json()["crawl_id"]
    await web.resources.temporal.get_workflow_handle(ended_id).terminate()
    lost = await web.resources.database.write(
        web_crawls.create, DEFAULT_PROJECT, CrawlRequest(root_urls=[f"{site.url}/slow/1"], max_depth=0), None, 0
    )
    site.may_answer.set()

    due = WEB_CRAWLS.update().values(next_check_at=0)
    await web.resources.database.write(lambda connection: connection.execute(due))
    workflows = CrawlWorkflows(web.resources.temporal, web.resources.settings)
    await CrawlReconciler(web.resources.database, workflows).reconcile()

    assert (await ended(ops, ended_id))["error"] == LOST_WORKFLOW
    assert (await ended(ops, lost.id))["status"] == "completed"


async def test_crawl_of_nothing_that_can_be_read_fails(ops: httpx.AsyncClient, site: WebSite) -> None:
    roots = [f"{site.url}/gone", "http://10.0.0.1/", f"{site.url}/private/x"]

    crawled = (await ops.post(CRAWL, json={"root_urls": roots, "max_depth": 1})).json()

    assert (crawled["status"], crawled["message"]) == ("failed", f"Crawling failed: {NOTHING_READ}")
    assert [info["error"] for info in crawled["crawl_infos"]] == [
        "The site answered with status 404.",
        "'10.0.0.1' is not a public host.",
        "The site's robots.txt does not allow this page.",
    ]


async def test_opened_page_is_cited_by_its_url_in_streams_and_replays_alike(
    web: RunningHoldfast, ops: httpx.AsyncClient, site: WebSite, provider: ScriptedProvider
) -> None:
    url = f"{site.url}/page/3"
    provider.script("opens", Calls(("web_retrieval", json.dumps({"url": url}))), Says("So【0:0】 it is."))

    events = await streamed(web, await assistant_with_web(web, "opens"))

    [call] = [call for event in events for call in tool_calls(event) if event.name == "thread.run.step.completed"]
    [opened] = [call for event in events for call in tool_calls(event) if event.name == "thread.run.step.delta"]
    assert opened == {"index": 0, "id": call["id"], "type": "web_retrieval", "query": "", "retrieval": []}
    [page] = call["retrieval"]
    assert {**page, "content": ""} == {"url": url, "title": "Page 3", "depth": 0, "score": None, "content": ""}
    assert (call["query"], SEARCHED in page["content"]) == (url, True)
    marker = "【0:0†127.0.0.1】"
    cited = {"text": marker, "start_index": 2, "end_index": 2 + len(marker)}
    annotation = {"type": "url_citation", **cited, "url_citation": {"url": url, "title": "Page 3"}}
    [answer] = [event.json for event in events if event.name == "thread.message.completed"]
    assert answer["content"][0]["text"] == {"value": f"So{marker} it is.", "annotations": [annotation]}
    deltas = [event.json["delta"]["content"][0]["text"] for event in events if event.name == "thread.message.delta"]
    assert [each for delta in deltas for each in delta.get("annotations", ())] == [{"index": 0, **annotation}]
    run = next(event.json for event in events if event.name == "thread.run.created")
    replayed = await replay(web, run["id"])
    assert [each.event.name for each in replayed] == [
        event.name for event in events if event.name.startswith("thread.")
    ]
    assert [json.loads(each.event.data) for each in replayed if each.event.name == "thread.message.delta"] == [
        event.json for event in events if event.name == "thread.message.delta"
    ]
    told = provider.requests("opens")[1]["messages"][-1]["content"]
    assert told.startswith(f'{AS_DATA}\n\n{marker}\n<web_page url="{url}" title="Page 3">\n')


async def test_model_without_function_calling_opens_a_page_and_cites_it(
    web: RunningHoldfast, ops: httpx.AsyncClient, site: WebSite, provider: ScriptedProvider
) -> None:
    url = f"{site.url}/page/3"
    action = f"Thought: I look.\nAction: web_retrieval\nAction Input: {json.dumps({'url': url})}\n"
    provider.script(IN_TEXT, Says(action), Says("Thought: I know.\nFinal Answer: Twenty-five【0:0】."))

    run = await web.until(await web.run(await assistant_with_web(web, IN_TEXT)), "completed")

    [call] = await calls_of(ops, run)
    assert (call["type"], call["query"], SEARCHED in call["retrieval"][0]["content"]) == ("web_retrieval", url, True)
    answer = await answer_of(ops, run)
    assert answer["value"] == "Twenty-five【0:0†127.0.0.1】."
    assert [each["url_citation"]["url"] for each in answer["annotations"]] == [url]
    asked, told = provider.requests(IN_TEXT)
    assert ("tools" in asked, "- web_retrieval: " in asked["messages"][0]["content"]) == (False, True)
    assert told["messages"][-1]["content"].startswith(f"Observation: {AS_DATA}")


def tool_calls(event: Sent) -> list[Any]:
    """Of a step, or of its delta."""
    if not event.name.startswith("thread.run.step."):
        return []
    step = event.json.get("delta", event.json)
    calls: list[Any] = step.get("step_details", {}).get("tool_calls", [])
    return calls


async def replay(web: RunningHoldfast, run_id: str) -> list[NumberedEvent]:
    found = await web.resources.database.read(run_events.replay_after, run_id, -1)
    assert found is not None
    return found.events


async def test_page_that_cannot_be_read_is_said_to_the_model(
    web: RunningHoldfast, ops: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    inside = json.dumps({"url": "http://169.254.169.254/latest/meta-data/"})
    provider.script("inside", Calls(("web_retrieval", inside)), Says("I can't."))
    choice: Any = {"tool_choice": WEB}

    run = await web.until(await web.run(await assistant_with_web(web, "inside"), **choice), "completed")

    asked, answered = provider.requests("inside")
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "web_retrieval"}}
    assert answered["messages"][-1]["content"] == "The page was not read. '169.254.169.254' is not a public host."
    [call] = await calls_of(ops, run)
    assert call["retrieval"] == []
