"""Assistants and threads: created, listed, edited, deleted."""

import json

import pytest
from playwright.async_api import Page, expect

from tests.console.pages import assert_accessible, shows
from tests.console.server import ConsoleServer, Project

pytestmark = pytest.mark.xdist_group("console")

FUNCTIONS = [{"name": "get_weather", "description": "The weather", "parameters": {"type": "object", "properties": {}}}]


async def test_an_assistant_is_created_with_tools_files_and_titles_of_its_calls(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    await page.goto(f"{server.url}/#/assistants/new")
    await page.get_by_label("Name").fill("Librarian")
    await page.get_by_label("Model").fill("holdfast/scripted")
    await page.get_by_label("Instructions").fill("Find it.")
    await page.get_by_label("File search").check()
    file = {"name": "book.txt", "mimeType": "text/plain", "buffer": b"Whales are mammals."}
    await page.get_by_label("Files to search").set_input_files([file])
    await page.get_by_label("Functions", exact=True).fill(json.dumps(FUNCTIONS))
    await page.get_by_label("Title of a call of get_weather").fill("The *weather*")
    await page.get_by_label("Prompt 1").fill("What are whales?")
    await assert_accessible(page)

    await page.get_by_role("button", name="Create").click()
    await page.get_by_role("button", name="What are whales?").wait_for()

    [made] = (await project.get("/assistants"))["data"]
    assert (made["name"], made["instructions"], made["model"]) == ("Librarian", "Find it.", "holdfast/scripted")
    assert [tool["type"] for tool in made["tools"]] == ["file_search", "function"]
    assert made["tools"][1]["function"]["description"] == "The weather"
    assert made["metadata"] == {"header_get_weather": "The *weather*", "starter_1": "What are whales?"}
    [store] = made["tool_resources"]["file_search"]["vector_store_ids"]
    [stored] = (await project.get(f"/vector_stores/{store}/files"))["data"]
    assert (await project.get(f"/files/{stored['id']}"))["filename"] == "book.txt"


async def test_an_assistant_is_edited_and_keeps_what_the_form_does_not_show(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    search = {"type": "file_search", "file_search": {"max_num_results": 7}}
    made = await project.assistant(
        "holdfast/scripted", "get_time", name="Old", tools=[search], metadata={"team": "a"}, temperature=0.5
    )
    await page.goto(f"{server.url}/#/assistants")
    await page.get_by_role("link", name="Old").click()

    await page.get_by_label("Name").fill("New")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("link", name="New", exact=True).wait_for()

    changed = await project.get(f"/assistants/{made['id']}")
    tools = sorted(made["tools"], key=lambda tool: str(tool["type"]))
    assert changed == {**made, "name": "New", "tools": tools}


async def test_functions_that_are_not_json_are_refused_before_anything_is_sent(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    await page.goto(f"{server.url}/#/assistants/new")
    await page.get_by_label("Model").fill("holdfast/scripted")
    await page.get_by_label("Functions", exact=True).fill("[{]")

    await page.get_by_role("button", name="Create").click()

    await expect(page.get_by_role("alert")).to_contain_text("not valid JSON")
    assert (await project.get("/assistants"))["data"] == []


async def test_what_the_server_refuses_is_said_in_its_words(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    await page.goto(f"{server.url}/#/assistants/new")
    await page.get_by_label("Model").fill("holdfast/scripted")
    await page.get_by_label("Functions", exact=True).fill('[{"name": "no spaces allowed"}]')

    await page.get_by_role("button", name="Create").click()

    await expect(page.get_by_role("alert")).to_contain_text("Invalid 'tools[0].function.name'")


async def test_assistants_are_deleted_after_a_question(page: Page, server: ConsoleServer, project: Project) -> None:
    await project.assistant("holdfast/scripted", name="Kept")
    await project.assistant("holdfast/scripted", name="Gone")
    await page.goto(f"{server.url}/#/assistants")
    await assert_accessible(page)

    await page.get_by_role("button", name="Delete Gone").click()
    await page.get_by_role("button", name="Yes, delete Gone").click()

    await expect(page.get_by_role("link", name="Gone")).to_have_count(0)
    assert [each["name"] for each in (await project.get("/assistants"))["data"]] == ["Kept"]


async def test_threads_are_listed_by_their_titles_or_first_words(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    await project.post("/threads", metadata={"title": "By its title"})
    await project.post("/threads", messages=[{"role": "user", "content": "By its\nfirst words"}])
    await project.post("/threads")
    await page.goto(f"{server.url}/#/threads")
    table = page.get_by_role("table", name="Threads")

    await expect(table.get_by_role("link")).to_have_text(["Without a title", "By its first words", "By its title"])
    await assert_accessible(page)
    await table.get_by_role("link", name="By its first words").click()
    await shows(page, ["By its", "first words"][1])


async def test_threads_are_deleted_after_a_question(page: Page, server: ConsoleServer, project: Project) -> None:
    await project.post("/threads", metadata={"title": "Old talk"})
    await page.goto(f"{server.url}/#/threads")

    await page.get_by_role("button", name="Delete Old talk").click()
    await page.get_by_role("button", name="Yes, delete Old talk").click()

    await shows(page, "There are no threads yet.")
    assert (await project.get("/threads"))["data"] == []


async def test_a_long_list_is_shown_page_by_page(page: Page, server: ConsoleServer, project: Project) -> None:
    for number in range(35):
        await project.post("/threads", metadata={"title": f"Thread {number}"})
    await page.goto(f"{server.url}/#/threads")
    listed = page.get_by_role("table", name="Threads").locator("tbody tr")
    await expect(listed).to_have_count(30)

    await page.get_by_role("button", name="Show more").click()

    await expect(listed).to_have_count(35)
