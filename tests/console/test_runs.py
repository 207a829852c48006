"""Runs for operators: filters, timelines, retries and cancels, many at once."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.console.pages import assert_accessible, shows, use_key
from tests.console.server import OPERATOR_KEY, ConsoleServer, Project
from tests.provider.replies import Calls, Fails, Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.xdist_group("console")


async def test_runs_are_filtered_by_status_assistant_and_time(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    failing = await project.assistant("no-script", name="Failing")
    working = await project.assistant("holdfast/scripted", name="Working")
    failed = await project.until(await project.run(failing), "failed")
    completed = await project.until(await project.run(working), "completed")
    await page.goto(f"{server.url}/#/runs")
    listed = page.get_by_role("table", name="Runs").locator("tbody tr")
    await expect(listed).to_have_count(2)

    await page.get_by_label("Status").select_option("failed")
    await expect(listed).to_have_count(1)
    await expect(listed).to_contain_text(failed["id"])
    await page.get_by_label("Status").select_option("")
    await page.get_by_role("combobox", name="Assistant").select_option(label="Working")
    await expect(listed).to_have_count(1)
    await expect(listed).to_contain_text(completed["id"])
    async with page.expect_response(re.compile(r"/ops/runs\?.*since=\d+")):
        await page.get_by_role("combobox", name="Time").select_option(label="Last hour")
    await expect(listed).to_have_count(1)


async def test_the_timeline_has_turns_calls_attempts_tokens_errors_and_a_link_to_temporal(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    models.script("course", Fails(429, "Slow down."), Calls(("get_weather", "{}")), Fails(400, "It is too long."))
    run = await project.run(await project.assistant("course", "get_weather"))
    waiting = await project.until(run, "requires_action")
    [call] = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
    await project.post(path, tool_outputs=[{"tool_call_id": call["id"], "output": "sunny"}])
    await project.until(run, "failed")

    await page.goto(f"{server.url}/#/runs/{run['id']}")

    first = page.locator(".timeline > li").nth(0)
    await expect(first).to_contain_text("Turn 1")
    await expect(first).to_contain_text("2 attempts")
    await expect(first).to_contain_text("15 tokens")
    await expect(first).to_contain_text("Slow down.")
    await expect(first.locator("li")).to_contain_text("get_weather · answered")
    await expect(page.get_by_role("alert")).to_contain_text("It is too long.")
    temporal = await page.get_by_role("link", name="in the Temporal UI").get_attribute("href")
    assert temporal == (await project.get(f"/ops/runs/{run['id']}"))["temporal_url"]
    await assert_accessible(page)


async def test_a_failed_run_is_retried_from_its_page(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    run = await project.until(await project.run(await project.assistant("retried")), "failed")
    models.script("retried", Says("At last."))
    await page.goto(f"{server.url}/#/runs/{run['id']}")

    await page.get_by_role("button", name="Retry").click()

    await expect(page.get_by_role("status").filter(has_text="completed")).to_be_visible()
    await shows(page, "Retry 1")
    await page.get_by_role("link", name="Open the thread").click()
    await shows(page, "At last.")


async def test_a_run_at_work_is_cancelled_from_its_page(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    models.script("hangs", Hangs(after="Working"))
    run = await project.until(await project.run(await project.assistant("hangs")), "in_progress")
    await page.goto(f"{server.url}/#/runs/{run['id']}")

    await page.get_by_role("button", name="Cancel").click()

    await expect(page.get_by_role("status").filter(has_text="cancelled")).to_be_visible()
    await project.until(run, "cancelled")


async def test_many_runs_are_retried_and_cancelled_at_once(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    failing, hanging = await project.assistant("many-fail"), await project.assistant("many-hang")
    models.script("many-hang", Hangs(after="Working"), Hangs(after="Working"))
    failed = [await project.until(await project.run(failing), "failed") for _ in range(3)]
    active = [await project.until(await project.run(hanging), "in_progress") for _ in range(2)]
    models.script("many-fail", *[Says("Fine.")] * 3)
    await page.goto(f"{server.url}/#/runs")

    await page.get_by_label("All shown").check()
    await page.get_by_role("button", name="Retry 3").click()
    await shows(page, "Retried 3")
    for run in active:
        await page.get_by_label(f"Select {run['id']}").check()
    await page.get_by_role("button", name="Cancel 2").click()

    for run in failed:
        await project.until(run, "completed")
    for run in active:
        await project.until(run, "cancelled")
    await expect(page.get_by_role("table", name="Runs").get_by_text("cancelled")).to_have_count(2)


async def test_an_operators_key_shows_the_runs_of_all_projects(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    run = await project.until(await project.run(await project.assistant("holdfast/scripted")), "completed")
    await use_key(page, OPERATOR_KEY)

    await page.goto(f"{server.url}/#/runs")

    await page.get_by_role("link", name=run["id"], exact=True).click()
    await expect(page.locator(".facts")).to_contain_text("project-")
