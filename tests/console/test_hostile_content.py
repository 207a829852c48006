"""Content of models, tools, users and file names never becomes script, and never makes the browser ask elsewhere."""

import json
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.console.pages import shows
from tests.console.server import ConsoleServer, Project
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.xdist_group("console")

SCRIPT = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
HOSTILE = f"""Harmless words {SCRIPT}

![foreign](https://foreign.example/pixel.png) [link](javascript:window.hacked=1) <b onclick=window.hacked=1>bold</b>

<svg onload=window.hacked=1><style>@import url(https://foreign.example/a.css)</style></svg>
<iframe srcdoc="<script>parent.hacked=1</script>"></iframe><form action="https://foreign.example/"><input name=a></form>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.hacked=1&gt;">
<video poster="https://foreign.example/p.png" src="https://foreign.example/v.mp4"></video>
<base href="https://foreign.example/">
<details open ontoggle=window.hacked=1>more</details> [data](data:text/html,<script>window.hacked=1</script>)
<a href=" &#106;avascript:window.hacked=1" style="position:fixed;inset:0">everywhere</a>
<div id=app class=status>clobbered</div>

Last words"""


async def assert_harmless(page: Page) -> None:
    """Nothing ran, and nothing is there that could. The page's own fixture sees what was asked for."""
    assert await page.evaluate("window.hacked") is None
    assert await page.evaluate(DANGEROUS) == []
    # Links that a user may click.
    for link in await page.locator("main a[href]").all():
        assert (await link.get_attribute("href") or "").startswith(("#/", "http://", "https://", "mailto:"))


async def test_messages_and_answers_run_nothing(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    models.script("hostile-answer", Says(HOSTILE))
    run = await project.run(await project.assistant("hostile-answer"), HOSTILE)
    await page.goto(f"{server.url}/#/chat/{run['thread_id']}")
    await project.until(run, "completed")

    await expect(page.get_by_role("article").filter(has_text="Harmless words")).to_have_count(2)

    await assert_harmless(page)
    foreign = page.locator("article").last.get_by_role("link", name="foreign", exact=True)
    await expect(foreign).to_have_attribute("href", "https://foreign.example/pixel.png")
    await expect(foreign).to_have_attribute("rel", "noopener noreferrer")


async def test_calls_results_and_their_titles_run_nothing(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    models.script("hostile-call", Calls(("get_weather", json.dumps({"city": HOSTILE}))), Says("Done."))
    assistant = await project.assistant("hostile-call", "get_weather", metadata={"header_get_weather": HOSTILE[:512]})
    run = await project.run(assistant)
    await page.goto(f"{server.url}/#/chat/{run['thread_id']}")

    await page.get_by_label("Result of get_weather").fill(HOSTILE)
    await assert_harmless(page)
    await page.get_by_role("button", name="Submit the result").click()
    await shows(page, "Done.")
    await page.locator(".call summary").first.click()

    await shows(page, "<img src=x onerror")
    await assert_harmless(page)


async def test_names_titles_prompts_and_errors_run_nothing(page: Page, server: ConsoleServer, project: Project) -> None:
    hostile = {"starter_1": HOSTILE[:512]}
    assistant = await project.assistant(SCRIPT, name=SCRIPT, description=SCRIPT, metadata=hostile)
    run = await project.run(assistant, SCRIPT, metadata={"title": SCRIPT})
    # The provider has no script for it, and says so with the name of the model.
    await project.until(run, "failed")
    file = await project.file(f"{SCRIPT}.txt".replace("/", "\u2215"), b"Whales are mammals.")
    store = await project.post("/vector_stores", name=SCRIPT, file_ids=[file["id"]])
    views = ["", "chat/" + run["thread_id"], "threads", "assistants", "assistants/" + assistant["id"]]

    for view in [*views, "files", "stores", "stores/" + store["id"], "runs", "runs/" + run["id"]]:
        await page.goto(f"{server.url}/#/{view}")
        shown = page.get_by_label("Name") if view.startswith("assistants/") else page.locator("main")
        await expect(shown.or_(page.get_by_text("onerror").first).first).to_be_visible()
        await page.wait_for_function(SHOWS_THE_NAME)
        await assert_harmless(page)


@pytest.mark.parametrize("level", [">", "> ", "- ", "1. ", "> - "])
async def test_text_of_very_deep_levels_is_shown_as_it_is_written(
    page: Page, server: ConsoleServer, project: Project, level: str
) -> None:
    deep = level * (20_000 // len(level)) + "the deepest"
    messages = [{"role": "user", "content": text} for text in ("The first", deep, "The *last*")]
    thread = await project.post("/threads", messages=messages)

    await page.goto(f"{server.url}/#/chat/{thread['id']}")

    await expect(page.get_by_role("article")).to_have_count(3)
    await expect(page.locator(".markdown").filter(has_text="the deepest")).to_have_text(deep)
    await expect(page.locator(".markdown em")).to_have_text("last")


async def test_images_of_other_servers_are_links_that_nobody_follows(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    url = "https://foreign.example/picture.png"
    part: Any = [{"type": "image_url", "image_url": {"url": url}}]
    thread = await project.post("/threads", messages=[{"role": "user", "content": part}])

    await page.goto(f"{server.url}/#/chat/{thread['id']}")

    await expect(page.get_by_role("link", name=url)).to_have_attribute("href", url)
    await assert_harmless(page)


DANGEROUS = """() => [...document.querySelectorAll('#app *')].filter(each =>
  ['SCRIPT', 'IFRAME', 'STYLE', 'OBJECT', 'EMBED', 'BASE', 'VIDEO', 'SVG', 'MATH'].includes(each.tagName.toUpperCase())
  || (each.tagName === 'IMG' && !each.src.startsWith('blob:'))
  || (each.closest('.markdown') && [...each.attributes].some(({ name }) => /^(on|style|id|action|src)/.test(name)))
).map(each => each.outerHTML)"""
SHOWS_THE_NAME = """() => document.querySelector('main').innerText.includes('onerror')
  || [...document.querySelectorAll('main input')].some(field => field.value.includes('onerror'))"""
