"""Chat: assistants, streamed answers, tool calls, function results, citations, attachments, cancel."""

import json

import pytest
from playwright.async_api import Page, expect

from tests.console.pages import assert_accessible, send, shows
from tests.console.server import ConsoleServer, Project
from tests.provider.replies import Calls, Hangs, Held, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.xdist_group("console")

FUNCTIONS = json.dumps([{"name": "get_weather", "description": "The weather", "parameters": {"type": "object"}}])
HANDBOOK = b"Employees have twenty-five days of leave each year.\n\nThe office opens at eight.\n"


async def test_a_first_visit_creates_an_assistant_and_talks_to_it(page: Page, server: ConsoleServer) -> None:
    await page.goto(server.url)
    await expect(page.get_by_role("heading", name="Create your first assistant")).to_be_visible()
    await expect(page.get_by_label("Model")).to_have_value("holdfast/scripted")
    await assert_accessible(page)

    await page.get_by_label("Name").fill("Greeter")
    await page.get_by_label("Instructions").fill("Greet people.")
    await page.get_by_role("button", name="Create").click()
    await send(page, "Good morning")

    await shows(page, "You said: Good morning")
    await expect(page.get_by_role("article").get_by_role("heading", name="Greeter")).to_be_visible()
    await expect(page.get_by_role("status").filter(has_text="completed")).to_be_visible()


async def test_an_answer_is_shown_while_it_streams(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    rest = Held(Says(" and **the rest**."), after="The first words")
    models.script("streams", rest)
    await project.assistant("streams")
    await page.goto(server.url)

    await send(page, "Speak")
    await shows(page, "The first words")
    await expect(page.get_by_role("status").filter(has_text="in progress")).to_be_visible()
    rest.release()

    await expect(page.locator(".message.assistant strong")).to_have_text("the rest")


async def test_the_assistant_that_answers_is_chosen(page: Page, server: ConsoleServer, project: Project) -> None:
    await project.assistant("holdfast/scripted", name="First")
    await project.assistant("holdfast/scripted", name="Second")
    await page.goto(server.url)

    await page.get_by_role("combobox", name="Assistant").select_option(label="First")
    await send(page, "Hello")

    await expect(page.get_by_role("article").get_by_role("heading", name="First")).to_be_visible()
    [run] = (await project.get("/ops/runs"))["data"]
    assert (await project.get(f"/assistants/{run['assistant_id']}"))["name"] == "First"


async def test_a_starter_prompt_begins_the_thread(page: Page, server: ConsoleServer, project: Project) -> None:
    starters = {f"starter_{number}": f"Question {number}" for number in range(1, 5)}
    await project.assistant("holdfast/scripted", metadata=starters)
    await page.goto(server.url)
    await expect(page.locator(".starters button")).to_have_text(list(starters.values()))

    await page.get_by_role("button", name="Question 3").click()

    await shows(page, "You said: Question 3")
    [thread] = (await project.get("/threads"))["data"]
    assert thread["metadata"] == {"title": "Question 3"}


async def test_function_calls_are_cards_with_a_form_for_their_results(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    calls = Calls(("get_weather", '{"city": "Oslo"}'), ("get_time", '{"city": "Rome"}'))
    models.script("functions", calls, Says("It is sunny."))
    header = {"header_get_weather": "Asked for the **weather**"}
    await project.assistant("functions", "get_weather", "get_time", metadata=header)
    await page.goto(server.url)
    await send(page, "What is it like?")

    weather, time = page.locator(".call").nth(0), page.locator(".call").nth(1)
    await expect(weather.locator("summary strong")).to_have_text("weather")
    await expect(time.locator("summary")).to_contain_text("Called get_time")
    await expect(weather.get_by_label("Arguments")).to_contain_text('"city": "Oslo"')
    await assert_accessible(page)
    await weather.get_by_label("Result of get_weather").fill('{"sky": "sunny"}')
    await time.get_by_label("Result of get_time").fill("noon")
    await page.get_by_role("button", name="Submit 2 results").click()

    await shows(page, "It is sunny.")
    await weather.locator("summary").click()
    await expect(weather.get_by_label("Result", exact=True)).to_contain_text('"sky": "sunny"')
    await expect(weather).to_contain_text("took")
    outputs = [each["content"] for each in models.requests("functions")[1]["messages"] if each["role"] == "tool"]
    assert outputs == ['{"sky": "sunny"}', "noon"]


async def test_citations_are_footnotes_that_open_the_quoted_passage(
    page: Page, server: ConsoleServer, project: Project
) -> None:
    store = await project.store("Handbook", await project.file("handbook.txt", HANDBOOK))
    resources = {"file_search": {"vector_store_ids": [store["id"]]}}
    await project.assistant("holdfast/scripted", tools=[{"type": "file_search"}], tool_resources=resources)
    await page.goto(server.url)

    await send(page, "How many days of leave?")
    answer = page.get_by_role("article").last
    await expect(page.get_by_role("status").filter(has_text="completed")).to_be_visible()

    assert "【" not in await answer.inner_text()
    await expect(answer.locator("blockquote")).not_to_be_visible()
    await answer.get_by_role("button", name="Source 1").click()
    await expect(answer.locator("blockquote")).to_contain_text("twenty-five days of leave")
    await expect(answer.locator(".notes summary")).to_have_text("handbook.txt")
    await page.locator(".call > summary").click()
    await expect(page.locator(".call")).to_contain_text("handbook.txt")
    await page.locator(".call .results summary").click()
    await expect(page.locator(".call .results blockquote")).to_contain_text("twenty-five days of leave")
    await assert_accessible(page)


async def test_a_dropped_file_is_attached_and_searched(page: Page, server: ConsoleServer, project: Project) -> None:
    await project.assistant("holdfast/scripted", tools=[{"type": "file_search"}])
    await page.goto(server.url)
    await page.get_by_label("Message", exact=True).wait_for()
    dropped = await page.evaluate_handle(
        "text => { const data = new DataTransfer(); data.items.add(new File([text], 'rules.txt')); return data; }",
        HANDBOOK.decode(),
    )

    await page.locator(".chat").dispatch_event("drop", {"dataTransfer": dropped})
    await expect(page.get_by_label("Attachments")).to_contain_text("rules.txt")
    await send(page, "When does the office open?")

    await shows(page, "Attached: rules.txt")
    await expect(page.get_by_role("article").last.get_by_role("button", name="Source 1")).to_be_visible()


async def test_an_attached_image_is_shown_from_the_server(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    models.script("sees", Says("A picture."))
    await project.assistant("sees")
    await page.goto(server.url)
    image = {"name": "icon.png", "mimeType": "image/png", "buffer": PNG}
    await page.get_by_label("Attach").set_input_files([image])
    await expect(page.get_by_label("Attachments")).to_contain_text("icon.png")

    await send(page, "What is this?")

    await shows(page, "A picture.")
    shown = page.get_by_role("img", name="icon.png")
    await expect(shown).to_have_js_property("naturalWidth", 1)
    await assert_accessible(page)


async def test_a_file_that_no_tool_reads_is_refused(page: Page, server: ConsoleServer, project: Project) -> None:
    await project.assistant("holdfast/scripted")
    await page.goto(server.url)

    await page.get_by_label("Attach").set_input_files([{"name": "a.txt", "mimeType": "text/plain", "buffer": b"a"}])

    await expect(page.get_by_role("alert")).to_contain_text("has no tool that reads files: a.txt")
    assert (await project.get("/files"))["data"] == []


async def test_an_answer_is_cancelled(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    models.script("endless", Hangs(after="I will never"))
    await project.assistant("endless")
    await page.goto(server.url)
    await send(page, "Go on")
    await shows(page, "I will never")

    await page.get_by_role("button", name="Cancel").click()

    await shows(page, "The run was cancelled.", "I will never")
    await expect(page.get_by_role("button", name="Send")).to_be_enabled()


async def test_a_failed_run_says_why_and_is_retried(
    page: Page, server: ConsoleServer, project: Project, models: ScriptedProvider
) -> None:
    await project.assistant("unscripted")
    await page.goto(server.url)
    await send(page, "Hello")
    await expect(page.get_by_role("alert")).to_contain_text("The script of model 'unscripted' has no reply left")
    models.script("unscripted", Says("Now it works."))

    await page.get_by_role("button", name="Retry").click()

    await shows(page, "Now it works.")
    await expect(page.get_by_role("alert")).to_have_count(0)


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)
