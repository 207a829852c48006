"""Makes docs/console.png: a conversation of a running server, in the browser of the tests."""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from tests.cli.program import ROOT
from tests.console.chromium import FLAGS, chromium
from tests.console.server import ConsoleServer, Project, running_server
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider, running_provider

PICTURE = ROOT / "docs" / "console.png"
SIZE: Any = {"width": 1200, "height": 780}
MODEL = "gpt-4o"
GUIDE = b"""The fjord tram runs every ten minutes from Aker Brygge to the museums at Bygdoy, from May to September.

In rain, the Opera House and the new Munch museum are five minutes from the central station on foot."""
CALLS = Calls(
    ("file_search", '{"queries": ["What to do in Oslo in the rain?"]}'),
    ("get_weather", '{"city": "Oslo", "days": 2}'),
)
ANSWER = """Today stays **dry until the evening**, so take the tram to the museums at Bygdøy first.【0:0†oslo.txt】

| | Weather | Go to |
|---|---|---|
| Today | 18 °C, clouds | Bygdøy, by the fjord tram |
| Tomorrow | 14 °C, rain | Opera House, then Munch |

Both places for tomorrow are five minutes from the central station."""


async def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_provider() as models,
        running_server(Path(folder), models) as server,
    ):
        project = server.new_project()
        thread = await _conversation(project, models)
        await _picture(server, project, thread)
        await project.close()


async def _conversation(project: Project, models: ScriptedProvider) -> str:
    models.script(MODEL, CALLS, Says(ANSWER))
    store = await project.store("Guides", await project.file("oslo.txt", GUIDE))
    assistant = await project.assistant(
        MODEL,
        "get_weather",
        name="Travel guide",
        tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_store_ids": [store["id"]]}},
        metadata={"header_get_weather": "Asked for the **weather**"},
    )
    for title in ("Trains to Bergen", "Where to eat in Rome", "A week in Lisbon"):
        await project.post("/threads", metadata={"title": title})
    run = await project.run(
        assistant, "What shall we do in Oslo today and tomorrow?", metadata={"title": "Two days in Oslo"}
    )
    waiting = await project.until(run, "requires_action")
    [call] = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
    output = '{"today": "18 °C, clouds", "tomorrow": "14 °C, rain"}'
    await project.post(path, tool_outputs=[{"tool_call_id": call["id"], "output": output}])
    await project.until(run, "completed")
    return str(run["thread_id"])


async def _picture(server: ConsoleServer, project: Project, thread: str) -> None:
    found = chromium()
    async with async_playwright() as playwright:
        environment = {**os.environ, **found.environment}
        browser = await playwright.chromium.launch(executable_path=found.program, args=[*FLAGS], env=environment)
        page = await browser.new_page(viewport=SIZE)
        await page.add_init_script(f"sessionStorage.setItem('holdfast-api-key', {project.key!r})")
        await page.goto(f"{server.url}/#/chat/{thread}")
        await page.get_by_role("button", name="Source 1").click()
        await page.screenshot(path=PICTURE)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
