"""Reloads, lost connections and a killed server, each in the middle of an answer: the page is right without a click."""

import asyncio
from contextlib import suppress

import pytest
from playwright.async_api import BrowserContext, Page, Request, Route, expect

from tests.console.cuttable_proxy import cuttable_proxy
from tests.console.pages import send, shows
from tests.console.server import ConsoleServer, Project
from tests.provider.replies import Calls, Hangs, Held, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = [pytest.mark.xdist_group("console"), pytest.mark.timeout(300)]

LOST = "The connection is lost."


async def test_a_reload_in_mid_answer_shows_all_of_it(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    rest = Held(Says(" after the reload."), after="Before the reload, and")
    models.script("reloaded", Calls(("get_weather", '{"city": "Oslo"}')), rest)
    await project.assistant("reloaded", "get_weather")
    await page.goto(server.url)
    await send(page, "Speak")
    await page.get_by_label("Result of get_weather").fill("sunny")
    await page.get_by_role("button", name="Submit the result").click()
    await shows(page, "Before the reload, and")

    await page.reload()
    await shows(page, "Before the reload, and")
    rest.release()

    await expect(page.locator(".message.assistant .markdown")).to_have_text("Before the reload, and after the reload.")
    await expect(page.get_by_role("article")).to_have_count(2)
    await expect(page.locator(".call")).to_have_count(1)


async def test_a_reload_at_requires_action_shows_the_form_again(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    models.script("asks-again", Calls(("get_weather", '{"city": "Oslo"}')), Says("Thanks."))
    await project.assistant("asks-again", "get_weather")
    await page.goto(server.url)
    await send(page, "Ask")
    await page.get_by_label("Result of get_weather").wait_for()

    await page.reload()
    await page.get_by_label("Result of get_weather").fill("rain")
    await page.get_by_role("button", name="Submit the result").click()

    await shows(page, "Thanks.")


async def test_a_run_that_ends_while_the_page_reads_its_thread_is_shown_with_its_answer(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    answer = Held(Says("A quick answer."))
    models.script("quick", answer)
    run = await project.run(await project.assistant("quick"))
    messages_are_read = asyncio.Event()

    def finished(request: Request) -> None:
        if "/messages?" in request.url:
            messages_are_read.set()

    async def after_its_end(route: Route) -> None:
        # A page that reads both at once has the messages by then.
        with suppress(TimeoutError):
            await asyncio.wait_for(messages_are_read.wait(), 1)
        answer.release()
        await project.until(run, "completed")
        await route.continue_()

    page.on("requestfinished", finished)
    await page.route("**/runs?order=desc*", after_its_end)
    await page.goto(f"{server.url}/#/chat/{run['thread_id']}")

    await shows(page, "A quick answer.")
    page.remove_listener("requestfinished", finished)


async def test_results_that_another_program_submits_are_shown(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    models.script("elsewhere", Calls(("get_weather", '{"city": "Oslo"}')), Says("Thank you."))
    run = await project.run(await project.assistant("elsewhere", "get_weather"))
    await page.goto(f"{server.url}/#/chat/{run['thread_id']}")
    await page.get_by_label("Result of get_weather").wait_for()

    [call] = (await project.until(run, "requires_action"))["required_action"]["submit_tool_outputs"]["tool_calls"]
    path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
    await project.post(path, tool_outputs=[{"tool_call_id": call["id"], "output": "snow"}])

    await shows(page, "Thank you.")
    await expect(page.get_by_label("Result of get_weather")).to_have_count(0)


async def test_an_answer_goes_on_behind_the_last_event_after_the_connection_was_lost(
    context: BrowserContext, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    rest = Held(Says(" after it."), after="Before the break, and")
    models.script("cut-off", rest)
    run = await project.run(await project.assistant("cut-off"))
    await context.add_init_script(f"sessionStorage.setItem('holdfast-api-key', {project.key!r})")
    page = await context.new_page()
    resumed: list[str | None] = []
    page.on(
        "request",
        lambda asked: resumed.append(asked.headers.get("last-event-id")) if asked.url.endswith("/events") else None,
    )
    async with cuttable_proxy(server.port) as (proxy, url):
        await page.goto(f"{url}/#/chat/{run['thread_id']}")
        await shows(page, "Before the break, and")

        proxy.cut()
        await shows(page, LOST)
        rest.release()
        await project.until(run, "completed")
        proxy.mend()

        await expect(page.locator(".message.assistant .markdown")).to_have_text("Before the break, and after it.")
        await expect(page.get_by_text(LOST)).to_have_count(0)
    assert resumed[0] is None
    assert int(resumed[-1] or -1) > 0


async def test_a_server_that_is_killed_in_mid_answer_leaves_the_page_right(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    models.script("survives", Hangs(after="What the killed server said"), Says("The whole answer."))
    await project.assistant("survives")
    await page.goto(server.url)
    await send(page, "Speak")
    await shows(page, "What the killed server said")

    server.kill()
    await shows(page, LOST)
    await asyncio.to_thread(server.start)

    await expect(page.locator(".message.assistant .markdown")).to_have_text("The whole answer.", timeout=90_000)
    await expect(page.get_by_role("status").filter(has_text="completed")).to_be_visible()
    await expect(page.get_by_text(LOST)).to_have_count(0)
    await expect(page.get_by_role("article")).to_have_count(2)


async def test_a_message_that_is_sent_while_the_server_is_away_is_sent_once(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    await project.assistant("holdfast/scripted")
    await page.goto(server.url)
    await page.get_by_label("Message", exact=True).wait_for()
    # The request arrives, and its answer is lost.
    answered = 0

    async def lose_the_first_answer(route: Route) -> None:
        nonlocal answered
        answered += 1
        if answered == 1:
            await route.fetch()
            await route.abort()
        else:
            await route.continue_()

    await page.route("**/v1/threads/runs", lose_the_first_answer)
    await send(page, "Only once")

    await shows(page, "You said: Only once")
    assert answered == 2
    assert len((await project.get("/threads"))["data"]) == 1
