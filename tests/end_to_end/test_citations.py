"""Citations of file searches in answers, as programs receive them."""

import re
from typing import Any

import httpx
import pytest
from openai import AsyncAssistantEventHandler
from openai.types.beta.threads import Message, Text, TextContentBlock, TextDelta
from openai.types.beta.threads.file_citation_annotation import FileCitationAnnotation
from typing_extensions import override

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.holdfast import RunningHoldfast
from tests.infra.documents.files import pdf
from tests.provider.replies import BreaksOff, Calls, Chunks, Hangs, Says, chunk_of
from tests.provider.scripted_provider import ScriptedProvider
from tests.searched_stores import by_id, searching, store_of
from tests.sse import Sent, parsed
from tests.stored_files import store_file
from tests.streams import THREAD, all_events, followed, forget, streamed

VACATION = "Employees get twenty-five days of paid vacation each year."
SEARCH = Calls(("file_search", '{"queries": ["vacation"]}'))
V1 = {"OpenAI-Beta": "assistants=v1"}
SMILE = "\N{GRINNING FACE}"
MARKER = "【0:0†handbook.md】"
ANSWER = f"{SMILE} So{MARKER}[0:0], says【9:9†x.md】 the `[0:0]` handbook 【0:0†source】"
TEXT = f"{SMILE} So{MARKER}{MARKER}, says the `[0:0]` handbook {MARKER}"
STARTS = [found.start() for found in re.finditer(MARKER, TEXT)]


def says(text: str, size: int, finish: str = "stop") -> Chunks:
    """Streams the text in pieces of `size` characters."""
    pieces = re.findall(rf"(?s).{{1,{size}}}", text)
    return Chunks(*(chunk_of({"content": piece}) for piece in pieces), chunk_of({}, finish))


def text_of(message: Message) -> Text:
    [part] = message.content
    assert isinstance(part, TextContentBlock)
    return part.text


async def answers(holdfast: RunningHoldfast, run: Any, **fields: Any) -> list[Message]:
    """The messages of a run, oldest first."""
    ids = (run["id"], run["thread_id"]) if isinstance(run, dict) else (run.id, run.thread_id)
    page = await holdfast.client.beta.threads.messages.list(ids[1], run_id=ids[0], order="asc", **fields)
    return page.data


def content_deltas(events: list[Sent]) -> list[Any]:
    return [event.json["delta"]["content"][0]["text"] for event in events if event.name == "thread.message.delta"]


class Reader(AsyncAssistantEventHandler):
    """Reads a stream as OpenAI's guide shows it."""

    def __init__(self) -> None:
        super().__init__()
        self.created: list[str] = []
        self.said = ""
        self.annotations: list[Any] = []
        self.done: list[Text] = []

    @override
    async def on_text_created(self, text: Text) -> None:
        self.created.append(text.value)

    @override
    async def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        self.said += delta.value or ""
        self.annotations += delta.annotations or ()
        assert snapshot.value == self.said

    @override
    async def on_text_done(self, text: Text) -> None:
        self.done.append(text)


@pytest.mark.any_database
async def test_sdk_reads_citations_from_the_stream(holdfast: RunningHoldfast) -> None:
    client, reader = holdfast.client, Reader()
    store = await client.vector_stores.create()
    uploaded = await client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("handbook.md", VACATION.encode())
    )
    assistant = await searching(holdfast, SCRIPTED_MODEL, store.id)
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "How much vacation?"}])

    async with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant, event_handler=reader
    ) as stream:
        await stream.until_done()
        [message] = await stream.get_final_messages()

    assert len(reader.created) == 1
    assert reader.said == f"file_search returned: {VACATION} {MARKER}"
    [annotation] = reader.annotations
    assert annotation.type == "file_citation"
    assert annotation.text == reader.said[annotation.start_index : annotation.end_index] == MARKER
    assert annotation.file_citation.quote == VACATION
    assert (await client.files.retrieve(annotation.file_citation.file_id)).id == uploaded.id
    [stored] = await answers(holdfast, await stream.get_final_run())
    assert text_of(message) == text_of(stored) == reader.done[0]
    assert isinstance(text_of(stored).annotations[0], FileCitationAnnotation)


@pytest.mark.any_database
@pytest.mark.parametrize("size", [1, 7])
async def test_marker_and_annotation_come_in_one_delta(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider, size: int
) -> None:
    model = f"cite-{size}"
    provider.script(model, SEARCH, says(ANSWER, size))
    await own_holdfast.start_worker()

    events = await streamed(own_holdfast, await searching(own_holdfast, model, await store_of(own_holdfast, VACATION)))

    deltas = content_deltas(events)
    assert "".join(delta["value"] for delta in deltas) == TEXT
    citing = [delta for delta in deltas if delta.get("annotations")]
    assert [delta["value"] for delta in citing] == [MARKER] * 3
    assert not any("†" in delta["value"] for delta in deltas if delta not in citing)
    annotations = [annotation for delta in citing for annotation in delta["annotations"]]
    assert [annotation.pop("index") for annotation in annotations] == [0, 1, 2]
    assert [annotation["start_index"] for annotation in annotations] == STARTS
    completed = next(event.json for event in events if event.name == "thread.message.completed")
    assert completed["content"] == [{"type": "text", "text": {"value": TEXT, "annotations": annotations}}]
    run = events[-2].json
    [stored] = await answers(own_holdfast, run)
    assert [part.to_dict() for part in stored.content] == completed["content"]
    forget(own_holdfast)
    assert [(each.name, each.data) for each in await all_events(own_holdfast, run)] == [
        (each.name, each.data) for each in events[:-1]
    ] + [("done", "[DONE]")]


@pytest.mark.any_database
async def test_v1_clients_get_the_quote(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("cite-v1", SEARCH, Says(f"So{MARKER}."))
    assistant = await searching(holdfast, "cite-v1", await store_of(holdfast, VACATION))
    body = {"assistant_id": assistant, "thread": THREAD, "stream": True}
    async with httpx.AsyncClient(base_url=holdfast.url, headers=V1, timeout=30) as http:
        events = parsed((await http.post("/v1/threads/runs", json=body)).text)
        messages = (await http.get(f"/v1/threads/{events[0].json['id']}/messages")).json()

    [annotation] = messages["data"][0]["content"][0]["text"]["annotations"]
    assert annotation["file_citation"]["quote"] == VACATION
    [citing] = [delta for delta in content_deltas(events) if delta.get("annotations")]
    assert citing["annotations"] == [{"index": 0, **annotation}]


@pytest.mark.any_database
async def test_citation_has_the_page_of_a_pdf(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("cite-page", SEARCH, Says("So【0:0】."))
    file_id = await store_file(holdfast.resources, pdf("", VACATION), "handbook.pdf")
    store = await holdfast.client.vector_stores.create()
    await holdfast.client.vector_stores.files.create_and_poll(file_id, vector_store_id=store.id)

    run = await holdfast.until(await holdfast.run(await searching(holdfast, "cite-page", store.id)), "completed")

    [message] = await answers(holdfast, run)
    [annotation] = text_of(message).annotations
    assert annotation.to_dict()["file_citation"] == {"file_id": file_id, "quote": VACATION, "page": 2}


@pytest.mark.any_database
async def test_messages_of_one_run_cite_results_of_all_its_turns(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    first, second = Calls(*SEARCH.calls), Calls(*SEARCH.calls, text="So【0:0】【1:0】.")
    provider.script("cite-turns", first, second, Says("Then【1:0】【0:0】【2:0】."))

    run = await holdfast.until(
        await holdfast.run(await searching(holdfast, "cite-turns", await store_of(holdfast, VACATION))), "completed"
    )

    texts = [text_of(message) for message in await answers(holdfast, run)]
    later = "【1:0†handbook.md】"
    assert [text.value for text in texts] == [f"So{MARKER}.", f"Then{later}{MARKER}."]
    assert [[each.text for each in text.annotations] for text in texts] == [[MARKER], [later, MARKER]]
    # The model reads the markers of its own run, as it wrote them.
    assert [each["content"] for each in provider.requests("cite-turns")[2]["messages"] if each["role"] == "assistant"][
        1
    ] == f"So{MARKER}."


@pytest.mark.any_database
async def test_later_run_reads_earlier_answers_without_markers(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("cite-later", SEARCH, Says(f"`{MARKER}` is{MARKER} right."), Says(f"As I said{MARKER}."))
    assistant = await searching(holdfast, "cite-later", await store_of(holdfast, VACATION))
    run = await holdfast.until(await holdfast.run(assistant), "completed")
    threads = holdfast.client.beta.threads
    await threads.messages.create(run.thread_id, role="user", content="Sure?")

    later = await threads.runs.create_and_poll(thread_id=run.thread_id, assistant_id=assistant)

    prompt = provider.requests("cite-later")[2]["messages"]
    assert [each["content"] for each in prompt if each["role"] == "assistant"] == [f"`{MARKER}` is right."]
    # A number of the earlier run is none of this one's.
    [message] = await answers(holdfast, later)
    assert text_of(message).to_dict() == {"value": "As I said.", "annotations": []}


@pytest.mark.any_database
async def test_refusal_keeps_its_text_and_cites_nothing(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    refused = f"I can't{MARKER}【9:9】."
    provider.script("cite-refusal", SEARCH, Chunks(chunk_of({"refusal": refused}), chunk_of({}, "stop")))

    run = await holdfast.until(
        await holdfast.run(await searching(holdfast, "cite-refusal", await store_of(holdfast, VACATION))), "completed"
    )

    [message] = await answers(holdfast, run)
    assert [part.to_dict() for part in message.content] == [{"type": "refusal", "refusal": refused}]


@pytest.mark.any_database
async def test_run_without_file_search_keeps_its_text(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("cite-nothing", Says(ANSWER))

    run = await holdfast.until(await holdfast.run(await holdfast.assistant("cite-nothing")), "completed")

    [message] = await answers(holdfast, run)
    assert text_of(message).to_dict() == {"value": ANSWER, "annotations": []}


@pytest.mark.any_database
async def test_model_that_does_not_cite_is_left_alone(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("cite-never", SEARCH, Says("Twenty-five days [1], i.e. 【25】."))

    run = await holdfast.until(
        await holdfast.run(await searching(holdfast, "cite-never", await store_of(holdfast, VACATION))), "completed"
    )

    [message] = await answers(holdfast, run)
    assert text_of(message).to_dict() == {"value": "Twenty-five days [1], i.e. 【25】.", "annotations": []}
    steps = await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc")
    [call] = steps.data[0].to_dict()["step_details"]["tool_calls"]  # type: ignore[index]
    assert [result["file_name"] for result in call["file_search"]["results"]] == ["handbook.md"]


@pytest.mark.any_database
async def test_cancelled_answer_ends_before_half_a_marker(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    hanging = Hangs(after=f"So{MARKER} and 【0:0†hand")
    provider.script("cite-cancelled", SEARCH, hanging)
    assistant = await searching(holdfast, "cite-cancelled", await store_of(holdfast, VACATION))
    run: Any = None

    async with followed(holdfast, assistant) as events:
        async for event in events:
            if event.name == "thread.run.created":
                run = event.json
            if [delta["value"].strip() for delta in content_deltas([event])] == ["and"]:
                await holdfast.client.beta.threads.runs.cancel(run["id"], thread_id=run["thread_id"])

    [message] = await answers(holdfast, run)
    assert message.status == "incomplete"
    assert text_of(message).value.rstrip() == f"So{MARKER} and"
    assert [each.text for each in text_of(message).annotations] == [MARKER]


@pytest.mark.any_database
async def test_answer_that_is_lost_and_repeated_cites_once(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("cite-again", SEARCH, BreaksOff(after=f"So{MARKER} it"), Says(f"Well{MARKER}."))

    events = await streamed(holdfast, await searching(holdfast, "cite-again", await store_of(holdfast, VACATION)))

    closed = [event.json for event in events if event.name in ("thread.message.incomplete", "thread.message.completed")]
    texts = [message["content"][0]["text"] for message in closed]
    assert [text["value"].strip() for text in texts] == [f"So{MARKER} it", f"Well{MARKER}."]
    assert [[each["text"] for each in text["annotations"]] for text in texts] == [[MARKER], [MARKER]]


@pytest.mark.any_database
async def test_thread_store_is_cited_as_well(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("cite-thread", SEARCH, Says("So【0:0】."))
    resources = by_id(await store_of(holdfast, VACATION, filename="mine.md"))
    thread = {**THREAD, "tool_resources": resources}

    run = await holdfast.until(await holdfast.run(await searching(holdfast, "cite-thread"), thread=thread), "completed")

    [message] = await answers(holdfast, run)
    assert text_of(message).value == "So【0:0†mine.md】."
