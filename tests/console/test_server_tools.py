"""Tools that the server runs, from the form that chooses them to what they leave in the conversation."""

import json

import pytest
from playwright.async_api import Page, expect

from tests.console.pages import assert_accessible, send
from tests.console.server import ConsoleServer, Project
from tests.console.test_chat import PNG
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.web_site import SEARCHED, WebSite

pytestmark = pytest.mark.xdist_group("console")

# The sandbox of the tests has a small Pillow, whose images are what this makes of them.
SUM = f"""from PIL import Image
total = sum(map(int, open("/mnt/data/numbers.txt")))
print("total", total)
open("/mnt/data/total.csv", "w").write(f"total,{{total}}")
Image.Image.save = lambda self, content, kind: content.write(bytes.fromhex({PNG.hex()!r}))
Image.Image()"""


async def test_code_runs_with_its_files_and_shows_its_output_images_and_files(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    models.script("codes", Calls(("python", json.dumps({"code": SUM}))), Says("See sandbox:/mnt/data/total.csv."))
    await page.goto(f"{server.url}/#/assistants/new")
    await page.get_by_label("Name").fill("Analyst")
    await page.get_by_label("Model").fill("codes")
    await page.get_by_label("Code interpreter").check()
    numbers = {"name": "numbers.txt", "mimeType": "text/plain", "buffer": b"40\n2\n"}
    await page.get_by_label("Files for code").set_input_files([numbers])
    await assert_accessible(page)
    await page.get_by_role("button", name="Create").click()

    await send(page, "Sum them up")

    answer, card = page.get_by_role("article").last, page.locator(".call")
    await expect(page.get_by_role("status").filter(has_text="completed")).to_be_visible()
    await expect(card.locator("summary")).to_contain_text("Ran code")
    await card.locator("summary").click()
    await expect(card.get_by_label("Code")).to_have_text(SUM)
    await expect(card.get_by_label("Output")).to_have_text("total 42\n")
    for shown in (card.get_by_role("img"), answer.get_by_role("img")):
        await expect(shown).to_have_js_property("naturalWidth", 1)
    async with page.expect_download() as downloading:
        await answer.get_by_role("button", name="Download total.csv").click()
    assert (await (await downloading.value).path()).read_bytes() == b"total,42"
    await assert_accessible(page)


async def test_opened_web_pages_are_shown_and_cited(
    page: Page, server: ConsoleServer, project: Project, site: WebSite
) -> None:
    url = f"{site.url}/page/3"
    await page.goto(f"{server.url}/#/assistants/new")
    await page.get_by_label("Model").fill("holdfast/scripted")
    await page.get_by_label("Web retrieval").check()
    await page.get_by_role("button", name="Create").click()

    await send(page, f"What does {url} say?")

    answer, card = page.get_by_role("article").last, page.locator(".call")
    await expect(answer).to_contain_text(SEARCHED)
    await card.locator(":scope > summary").click()
    await expect(card.locator(":scope > summary")).to_contain_text(url)
    await card.get_by_text("Page 3", exact=True).click()
    await expect(card.locator("blockquote").first).to_contain_text(SEARCHED)
    await answer.get_by_role("button", name="Source 1").click()
    await expect(answer.locator(".notes").get_by_role("link", name=url)).to_be_visible()
    await assert_accessible(page)
