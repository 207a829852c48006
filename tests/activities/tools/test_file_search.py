"""File searches over real stores: which are searched, what is found, and how much of it the model gets."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from activities.tools.file_search import (
    AWAITS_FILES,
    CUT,
    MARKER_TOKENS,
    NO_ROOM,
    NO_STORE,
    STILL_INDEXING,
    FileSearch,
)
from infra.database import assistants, runs
from infra.database.searched_stores import StoreOwner
from infra.database.vector_store_tables import VECTOR_STORES
from infra.language_model.scripted import SCRIPTED_MODEL
from infra.ports import ToolScope
from infra.tools.errors import ToolNotReady
from infra.vector_store_search import VectorStoreSearch
from models.language_model import ModelDelta, ModelRequest
from models.run_specs import RunSpec
from models.runs import CreateRunRequest, Run
from models.tool_calls import SearchHits, ToolCall, ToolKind
from models.tools import FileSearchOptions, RankingOptions
from models.vector_stores import ChunkSizes
from tests.holdfast import RunningHoldfast
from tests.searched_stores import by_id, fill, store_in_preparation, store_of
from tests.stored_files import DEFAULT_PROJECT, store_file

VACATION = "Employees get twenty-five days of paid vacation each year."
PARKING = "Parking spaces are behind the main building."
LUNCH = "Lunch is served in the canteen from noon."
MANY = [f"Rule {number}: vacation is taken in week {number}." for number in range(30)]


class Window:
    """A model with a context window of so many tokens, of which each word is one."""

    def __init__(self, tokens: int | None) -> None:
        self._tokens = tokens

    async def prepare(self) -> None:
        pass

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        raise AssertionError
        yield

    async def context_window_tokens(self, model: str) -> int | None:
        return self._tokens

    async def count_tokens(self, model: str, text: str) -> int:
        return len(text.split())


class WindowOfCharacters(Window):
    """Each character is a token."""

    async def count_tokens(self, model: str, text: str) -> int:
        return len(text)


def tool(holdfast: RunningHoldfast, window: int | None = None, wait: timedelta = timedelta()) -> FileSearch:
    resources = holdfast.resources
    search = VectorStoreSearch(resources.database, resources.embedders, resources.vector_index)
    return FileSearch(resources.database, search, Window(window), wait)


def call(*queries: str, options: FileSearchOptions | None = None) -> ToolCall:
    arguments = json.dumps({"queries": queries})
    return ToolCall("call_a", ToolKind.FILE_SEARCH, "file_search", arguments, 0, 0, options)


async def scope_of(
    holdfast: RunningHoldfast, of_assistant: str | None = None, of_thread: str | None = None
) -> ToolScope:
    client = holdfast.client.beta
    assistant = await client.assistants.create(
        model=SCRIPTED_MODEL, tool_resources=by_id(of_assistant) if of_assistant else {}
    )
    thread = await client.threads.create(tool_resources=by_id(of_thread) if of_thread else {})
    created = await holdfast.resources.database.write(_create_run, assistant.id, thread.id)
    return ToolScope(DEFAULT_PROJECT, created)


def _create_run(connection: Connection, assistant_id: str, thread_id: str) -> Run:
    """Without its workflow: a search needs only the row."""
    assistant = assistants.load(connection, DEFAULT_PROJECT, assistant_id)
    spec = RunSpec.of(assistant, CreateRunRequest(assistant_id=assistant_id), 600)
    return runs.create(connection, DEFAULT_PROJECT, thread_id, spec)


def texts(found: SearchHits) -> list[str]:
    return [hit.text for hit in found.hits]


async def set_store(holdfast: RunningHoldfast, store_id: str, **values: Any) -> None:
    changed = VECTOR_STORES.update().where(VECTOR_STORES.c.id == store_id).values(**values)
    await holdfast.resources.database.write(lambda connection: connection.execute(changed))


async def last_active_at(holdfast: RunningHoldfast, store_id: str) -> int:
    return (await holdfast.client.vector_stores.retrieve(store_id)).last_active_at or 0


async def test_stores_of_assistant_and_thread_are_searched_together(holdfast: RunningHoldfast) -> None:
    of_assistant, of_thread = await store_of(holdfast, VACATION, PARKING), await store_of(holdfast, LUNCH)
    for store_id in (of_assistant, of_thread):
        await set_store(holdfast, store_id, last_active_at=1)
    scope = await scope_of(holdfast, of_assistant, of_thread)

    found = await tool(holdfast).run(call("When is lunch?"), scope)

    assert texts(found)[0] == LUNCH
    assert sorted(texts(found)) == sorted([VACATION, PARKING, LUNCH])
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)
    assert found.notes == ()
    assert await last_active_at(holdfast, of_assistant) > 1
    assert await last_active_at(holdfast, of_thread) > 1


@pytest.mark.any_database
async def test_each_query_finds_its_own(holdfast: RunningHoldfast) -> None:
    scope = await scope_of(holdfast, await store_of(holdfast, VACATION, PARKING, LUNCH))
    two = FileSearchOptions(max_num_results=2)

    found = await tool(holdfast).run(call("vacation days", "canteen lunch", options=two), scope)

    assert sorted(texts(found)) == sorted([VACATION, LUNCH])


@pytest.mark.any_database
async def test_file_in_both_stores_is_found_once(holdfast: RunningHoldfast) -> None:
    file_id = await store_file(holdfast.resources, VACATION)
    ids = [(await holdfast.client.vector_stores.create()).id for _ in range(2)]
    for store_id in ids:
        await fill(holdfast, store_id, {file_id: VACATION})

    found = await tool(holdfast).run(call("vacation"), await scope_of(holdfast, *ids))

    assert texts(found) == [VACATION]


@pytest.mark.parametrize(("values", "is_said"), [({"expires_at": 1}, "expired"), ({"project_id": "other"}, "deleted")])
async def test_store_that_is_gone_is_said_to_the_model(
    holdfast: RunningHoldfast, values: dict[str, Any], is_said: str
) -> None:
    gone, kept = await store_of(holdfast, VACATION), await store_of(holdfast, LUNCH)
    scope = await scope_of(holdfast, gone, kept)
    await set_store(holdfast, gone, **values)

    found = await tool(holdfast).run(call("vacation"), scope)

    assert texts(found) == [LUNCH]
    [note] = found.notes
    assert "assistant's vector store" in note
    assert is_said in note


@pytest.mark.any_database
async def test_run_without_a_store_is_told_so(holdfast: RunningHoldfast) -> None:
    found = await tool(holdfast).run(call("vacation"), await scope_of(holdfast))

    assert found == SearchHits((), (NO_STORE,))


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("position", "waited_seconds", "later_seconds"),
    [(0, 0, 0.25), (0, 0.25, 0.25), (0, 2, 1), (0, 30, 10), (0, 68, 2), (0, 69.9, 0.1), (3, 0, 1), (31, 0, 8)],
)
async def test_search_is_postponed_while_files_of_the_thread_are_indexed(
    holdfast: RunningHoldfast, position: int, waited_seconds: float, later_seconds: float
) -> None:
    scope = await scope_of(holdfast, None, await store_in_preparation(holdfast))
    waited = timedelta(seconds=waited_seconds)
    late = replace(call("late"), position=position)

    with pytest.raises(ToolNotReady, match=AWAITS_FILES) as raised:
        await tool(holdfast, wait=timedelta(seconds=70)).run(late, replace(scope, waited=waited))

    assert raised.value.retry_after == timedelta(seconds=later_seconds)


async def test_search_stops_waiting_for_the_files_of_the_thread(holdfast: RunningHoldfast) -> None:
    store_id = await store_in_preparation(holdfast)
    scope = await scope_of(holdfast, await store_of(holdfast, VACATION), store_id)

    waited = replace(scope, waited=timedelta(seconds=60))
    found = await tool(holdfast, wait=timedelta(seconds=60)).run(call("vacation"), waited)

    assert (texts(found), found.notes) == ([VACATION], (STILL_INDEXING[StoreOwner.THREAD],))


@pytest.mark.any_database
async def test_search_does_not_wait_for_the_files_of_the_assistant(holdfast: RunningHoldfast) -> None:
    store_id = await store_in_preparation(holdfast, await store_of(holdfast, VACATION))
    scope = await scope_of(holdfast, store_id)

    found = await tool(holdfast, wait=timedelta(seconds=60)).run(call("vacation"), scope)

    assert (texts(found), found.notes) == ([VACATION], (STILL_INDEXING[StoreOwner.ASSISTANT],))


@pytest.mark.any_database
async def test_search_waits_for_the_first_files_of_the_assistant(holdfast: RunningHoldfast) -> None:
    scope = await scope_of(holdfast, await store_in_preparation(holdfast))

    with pytest.raises(ToolNotReady, match=AWAITS_FILES):
        await tool(holdfast, wait=timedelta(seconds=60)).run(call("late"), scope)


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("window", "options", "number"),
    [
        (None, None, 20),
        (128_000, None, 20),
        (16_000, None, 5),
        (16_000, FileSearchOptions(max_num_results=7), 7),
        (None, FileSearchOptions(max_num_results=25), 25),
    ],
)
async def test_number_of_results_follows_options_and_window(
    holdfast: RunningHoldfast, many: ToolScope, window: int | None, options: FileSearchOptions | None, number: int
) -> None:
    found = await tool(holdfast, window).run(call("vacation in week 7", options=options), many)

    assert len(found.hits) == number


@pytest.mark.any_database
async def test_results_below_the_threshold_are_left_out(holdfast: RunningHoldfast, many: ToolScope) -> None:
    options = FileSearchOptions(max_num_results=50)
    ranked = (await tool(holdfast).run(call("vacation in week 7", options=options), many)).hits
    threshold = ranked[3].score

    strict = replace_threshold(options, threshold)
    found = await tool(holdfast).run(call("vacation in week 7", options=strict), many)

    assert found.hits == tuple(hit for hit in ranked if hit.score >= threshold)


def replace_threshold(options: FileSearchOptions, threshold: float) -> FileSearchOptions:
    return options.model_copy(update={"ranking_options": RankingOptions(score_threshold=threshold)})


@pytest.fixture(scope="module")
async def many(holdfast: RunningHoldfast) -> ToolScope:
    """A run whose assistant has many short files."""
    return await scope_of(holdfast, await store_of(holdfast, *MANY))


@pytest.fixture(scope="module")
async def long(holdfast: RunningHoldfast) -> ToolScope:
    """A run whose assistant has one file of some fifty passages, each of some 450 characters."""
    text = " ".join(f"Rule {number}: vacation is taken in week {number % 52} of the year." for number in range(330))
    file_id, store = await store_file(holdfast.resources, text), await holdfast.client.vector_stores.create()
    # Found by keywords: to embed so much would take seconds.
    await set_store(holdfast, store.id, embedding_model=None, dimensions=0)
    await fill(holdfast, store.id, {file_id: text}, ChunkSizes(100, 0))
    return await scope_of(holdfast, store.id)


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("window", "budget"),
    [
        # A quarter of a small window, at most 4,000 tokens, and 16,000 of a large or unknown one.
        (8_000, 2_000),
        (31_999, 4_000),
        (32_000, 16_000),
        (1_000_000, 16_000),
        (None, 16_000),
    ],
)
async def test_results_fill_the_token_budget_and_no_more(
    holdfast: RunningHoldfast, long: ToolScope, window: int | None, budget: int
) -> None:
    searching = replace(tool(holdfast), language_model=WindowOfCharacters(window))

    found = await searching.run(call("vacation", options=FileSearchOptions(max_num_results=50)), long)

    costs = [len(text) + MARKER_TOKENS for text in texts(found)]
    # Where many fit, line breaks between them count as well.
    assert budget - max(costs) - len(costs) < sum(costs) <= budget
    assert len(costs) < 50


@pytest.mark.any_database
async def test_passage_beyond_the_budget_does_not_hide_smaller_ones(holdfast: RunningHoldfast) -> None:
    large = "vacation " * 300
    scope = await scope_of(holdfast, await store_of(holdfast, large, VACATION))

    found = await tool(holdfast, 1_000).run(call("vacation " * 20), scope)

    assert texts(found) == [VACATION]
    assert found.notes == ()


@pytest.mark.any_database
async def test_best_passage_is_cut_if_none_fits(holdfast: RunningHoldfast) -> None:
    large = " ".join(f"vacation{number}" for number in range(300))
    scope = await scope_of(holdfast, await store_of(holdfast, large))

    found = await tool(holdfast, 400).run(call("vacation7"), scope)

    [text] = texts(found)
    assert large.startswith(text)
    assert len(text.split()) == 400 // 4 - MARKER_TOKENS
    assert found.notes == (CUT,)


@pytest.mark.any_database
async def test_model_without_room_for_any_passage_is_told_so(holdfast: RunningHoldfast) -> None:
    scope = await scope_of(holdfast, await store_of(holdfast, VACATION))

    found = await tool(holdfast, 100).run(call("vacation"), scope)

    assert found == SearchHits((), (NO_ROOM,))


@pytest.mark.any_database
async def test_attributes_and_page_are_part_of_a_hit(holdfast: RunningHoldfast) -> None:
    store = await holdfast.client.vector_stores.create()
    file_id = await store_file(holdfast.resources, VACATION)
    attributes: Any = {"year": 2026, "public": True}
    await fill(holdfast, store.id, {file_id: VACATION}, attributes=attributes)

    [hit] = (await tool(holdfast).run(call("vacation"), await scope_of(holdfast, store.id))).hits

    assert (hit.file_id, hit.filename, dict(hit.attributes), hit.page) == (file_id, "notes.md", attributes, None)
