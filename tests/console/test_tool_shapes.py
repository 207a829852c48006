"""Tool calls and annotations by their wire shape, streamed and stored: code, images, web pages, sources."""

import json
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.console.pages import assert_accessible
from tests.console.server import ConsoleServer, Project
from tests.console.test_chat import PNG

pytestmark = pytest.mark.xdist_group("console")

PAGE = {"url": "https://whales.example/", "title": "On whales", "content": "Whales are mammals.", "depth": 0}
TEXT = "😀 Whales are mammals【0:0†whales.example】, see plot.csv."
MARKER = "【0:0†whales.example】"


def code(image: Any) -> dict[str, Any]:
    outputs = [{"type": "logs", "logs": "42\n"}, {"type": "image", "image": {"file_id": image["id"]}}]
    return {"id": "call_1", "type": "code_interpreter", "code_interpreter": {"input": "print(42)", "outputs": outputs}}


def web() -> dict[str, Any]:
    return {"id": "call_2", "type": "web_retrieval", "query": "whales", "retrieval": [PAGE]}


def annotations(file: Any) -> list[dict[str, Any]]:
    # Positions count characters: the first one is two of JavaScript's.
    start = TEXT.index(MARKER)
    cited = {"type": "url_citation", "text": MARKER, "start_index": start, "end_index": start + len(MARKER)}
    path = {"type": "file_path", "text": "sandbox:/mnt/data/plot.csv", "start_index": 0, "end_index": 0}
    url = {"url": PAGE["url"], "title": PAGE["title"]}
    return [{**cited, "url_citation": url}, {**path, "file_path": {"file_id": file["id"]}}]


async def changed(page: Page, pattern: str, change: Any) -> None:
    """Answer requests that match with what `change` makes of the server's answer."""

    async def answer(route: Route) -> None:
        body = await (await route.fetch()).json()
        change(body)
        await route.fulfill(json=body)

    await page.route(pattern, answer)


async def test_stored_code_web_pages_and_their_sources_are_shown(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    image = await project.file("plot.png", PNG, "vision")
    run = await project.run(await project.assistant("holdfast/scripted"))
    await project.until(run, "completed")

    def with_calls(steps: Any) -> None:
        details = {"type": "tool_calls", "tool_calls": [code(image), web()]}
        steps["data"].insert(0, {**steps["data"][0], "id": "step_0", "type": "tool_calls", "step_details": details})

    def with_sources(messages: Any) -> None:
        messages["data"][0]["content"][0]["text"] = {"value": TEXT, "annotations": annotations(image)}

    await changed(page, "**/steps?*", with_calls)
    await changed(page, "**/messages?*limit=40*", with_sources)
    await page.goto(f"{server.url}/#/chat/{run['thread_id']}")

    first, second = page.locator(".call").nth(0), page.locator(".call").nth(1)
    await first.locator("summary").click()
    await expect(first.get_by_label("Code")).to_have_text("print(42)")
    await expect(first.get_by_label("Output")).to_have_text("42\n")
    await expect(first.get_by_role("img", name="plot.png")).to_have_js_property("naturalWidth", 1)
    await second.locator(":scope > summary").click()
    await expect(second.locator(":scope > summary")).to_contain_text("Searched web pages for “whales”")
    await second.get_by_text("On whales").click()
    await expect(second).to_contain_text("Whales are mammals.")
    answer = page.get_by_role("article").last
    await expect(answer.locator(".markdown")).to_have_text("😀 Whales are mammals1, see plot.csv.")
    await answer.get_by_role("button", name="Source 1").click()
    await expect(answer.get_by_role("link", name=PAGE["url"])).to_be_visible()
    async with page.expect_download() as downloading:
        await answer.get_by_role("button", name="Download plot.csv").click()
    assert (await downloading.value).suggested_filename == "plot.csv"
    await assert_accessible(page)


async def test_code_that_streams_grows_piece_by_piece(page: Page, server: ConsoleServer, project: Project) -> None:
    run = await project.run(await project.assistant("holdfast/scripted", "get_weather"))
    await project.until(run, "requires_action")
    step = {
        **(await project.get(f"/threads/{run['thread_id']}/runs/{run['id']}/steps"))["data"][0],
        **{"id": "step_0", "status": "in_progress", "completed_at": None},
        "step_details": {"type": "tool_calls", "tool_calls": []},
    }
    opened = {"id": "call_1", "type": "code_interpreter", "code_interpreter": {"input": "", "outputs": []}}
    log = {"index": 0, "type": "logs", "logs": "4"}
    deltas: list[dict[str, Any]] = [opened, *({"code_interpreter": {"input": piece}} for piece in ("print", "(42)"))]
    deltas += [{"code_interpreter": {"outputs": [each]}} for each in (log, {**log, "logs": "2"})]
    events = [("thread.run.step.created", step), *(("thread.run.step.delta", delta(each)) for each in deltas)]
    stream = "".join(f"id: {n}\nevent: {name}\ndata: {json.dumps(data)}\n\n" for n, (name, data) in enumerate(events))
    await page.route("**/events*", lambda route: route.fulfill(body=stream, content_type="text/event-stream"))

    await page.goto(f"{server.url}/#/chat/{run['thread_id']}")

    card = page.locator(".call")
    await card.locator("summary").click()
    await expect(card.locator(".mark")).to_have_text("running")
    await expect(card.get_by_label("Code")).to_have_text("print(42)")
    await expect(card.get_by_label("Output")).to_have_text("42")


def delta(call: dict[str, Any]) -> dict[str, Any]:
    details = {"type": "tool_calls", "tool_calls": [{"index": 0, **call}]}
    return {"id": "step_0", "object": "thread.run.step.delta", "delta": {"step_details": details}}
