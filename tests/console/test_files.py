"""Files and vector stores: uploads with progress, states, retries, search."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.console.pages import assert_accessible, shows
from tests.console.server import ConsoleServer, Project

pytestmark = pytest.mark.xdist_group("console")

WHALES: Any = {"name": "whales.txt", "mimeType": "text/plain", "buffer": b"Whales are mammals that live in the sea."}
BROKEN: Any = {"name": "broken.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7 and nothing more"}


async def test_files_are_uploaded_with_progress_downloaded_and_deleted(
    page: Page, server: ConsoleServer, project: Project, tmp_path: Path
) -> None:
    await page.goto(f"{server.url}/#/files")
    await page.evaluate(RECORD_PROGRESS)
    await page.get_by_label("Purpose").select_option("vision")
    image = {"name": "big.png", "mimeType": "image/png", "buffer": bytes(3_000_000)}
    await page.get_by_label("Upload files").set_input_files([image])
    row = page.get_by_role("table", name="Files").locator("tbody tr")
    await expect(row).to_contain_text("3.0 MB")
    await expect(row).to_contain_text("processed")
    assert await page.evaluate("window.progress.length > 0 && window.progress.every(part => part >= 0 && part <= 1)")
    await assert_accessible(page)

    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download big.png").click()
    saved = await downloading.value
    assert saved.suggested_filename == "big.png"
    assert (await saved.path()).read_bytes() == bytes(3_000_000)
    await page.get_by_role("button", name="Delete big.png").click()
    await page.get_by_role("button", name="Yes, delete big.png").click()

    await shows(page, "There are no files yet.")
    assert (await project.get("/files"))["data"] == []


async def test_a_dropped_file_is_uploaded(page: Page, server: ConsoleServer, project: Project) -> None:
    await page.goto(f"{server.url}/#/files")
    await shows(page, "There are no files yet.")
    script = "() => { const data = new DataTransfer(); data.items.add(new File(['x'], 'dropped.txt')); return data; }"

    dropped = await page.evaluate_handle(script)
    await page.get_by_role("region", name="Files").dispatch_event("drop", {"dataTransfer": dropped})

    await expect(page.get_by_role("table", name="Files")).to_contain_text("dropped.txt")


async def test_an_upload_that_is_refused_says_why(page: Page, server: ConsoleServer) -> None:
    await page.goto(f"{server.url}/#/files")

    await page.get_by_label("Upload files").set_input_files([{**WHALES, "name": f"{'long' * 200}.txt"}])

    await expect(page.get_by_role("alert")).to_contain_text("file name too long")


async def test_a_vector_store_is_made_filled_and_searched(page: Page, server: ConsoleServer, project: Project) -> None:
    await page.goto(f"{server.url}/#/stores")
    await page.get_by_label("Name").fill("Sea")
    await page.get_by_role("button", name="Create").click()
    await page.get_by_label("Add files").set_input_files([WHALES, BROKEN])

    table = page.get_by_role("table", name="Files of the store")
    whales, broken = table.locator("tr", has_text="whales.txt"), table.locator("tr", has_text="broken.pdf")
    await expect(whales.locator(".status")).to_have_text("completed")
    await expect(broken.locator(".status")).to_have_text("failed")
    await page.get_by_role("searchbox", name="Query").fill("animals of the ocean")
    await page.get_by_role("button", name="Search").click()

    found = page.get_by_role("list", name="Results")
    await expect(found).to_contain_text("whales.txt")
    await found.locator("summary").first.click()
    await expect(found.locator("blockquote").first).to_contain_text("Whales are mammals")
    await assert_accessible(page)


async def test_a_failed_file_of_a_store_shows_its_error_and_is_retried(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    file = await project.file("broken.pdf", BROKEN["buffer"])
    store = await project.post("/vector_stores", name="Broken", file_ids=[file["id"]])
    await page.goto(f"{server.url}/#/stores/{store['id']}")
    row = page.get_by_role("table", name="Files of the store").locator("tbody tr")
    await expect(row.locator(".failure")).not_to_be_empty()

    async with page.expect_response(lambda answer: answer.url.endswith(f"/{file['id']}/retry")) as retried:
        await row.get_by_role("button", name="Retry").click()

    assert (await retried.value).ok
    await expect(row.locator(".status")).to_have_text("failed")


async def test_vector_stores_are_listed_with_their_states_and_deleted(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    await project.store("Whole", await project.file("whales.txt", WHALES["buffer"]))
    await page.goto(f"{server.url}/#/stores")
    row = page.get_by_role("table", name="Vector stores").locator("tbody tr")
    await expect(row).to_contain_text("completed")
    await assert_accessible(page)

    await page.get_by_role("button", name="Delete Whole").click()
    await page.get_by_role("button", name="Yes, delete Whole").click()

    await shows(page, "There are no vector stores yet.")


RECORD_PROGRESS = """() => {
  window.progress = [];
  new MutationObserver(() => document.querySelectorAll('progress').forEach(bar => window.progress.push(bar.value)))
    .observe(document.body, { subtree: true, childList: true, attributes: true });
}"""
