"""Rows of the code interpreter: sessions, cells, and the files that code has made."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import Connection

from infra.clock import now_seconds
from infra.database import (
    doomed_objects,
    files,
    interpreter_files,
    prompts,
    runs,
    sandbox_files,
    sandbox_sessions,
    threads,
    tool_results,
    vector_store_additions,
    vector_stores,
)
from infra.database.engine import Database
from infra.database.files import StoredFile
from infra.database.sandbox_files import KeptFile
from models.beta_v1 import MADE_FOR_V1
from models.code_cells import SandboxSession
from models.files import Purpose
from models.ids import Prefix, new_file_id, new_id
from models.threads import ModifyThreadRequest
from models.tool_calls import CodeCell, CodeRun
from models.tools import CodeInterpreterResources, FileSearchResources, ToolResources
from models.vector_stores import Attachment, ChunkSizes, CreateVectorStoreRequest
from tests.database import reading, writing
from tests.infra.database.conftest import PROJECT
from tests.infra.database.plans import BY_ID, plan_of
from tests.infra.database.server_calls import HITS, TIMING, CalledTools

CODE, SEARCH = "python", "file_search"


def kept(name: str) -> KeptFile:
    return KeptFile(name, new_id(Prefix.SANDBOX_FILE), 3, "00")


def session(called: CalledTools) -> SandboxSession:
    with writing(called.database) as connection:
        stored = sandbox_sessions.create(connection, PROJECT, called.run.thread_id, "http://one")
    assert stored is not None
    return stored.session


def doomed(connection: Connection) -> set[str]:
    return set(doomed_objects.oldest(connection, now_seconds() + 1, 10_000))


def begin(called: CalledTools, position: int = 0, generation: int = 1, preface: str = "") -> CodeCell:
    this = SandboxSession(called.run.thread_id, generation, "http://one")
    with writing(called.database) as connection:
        return sandbox_sessions.begin_cell(connection, called.calls[position].id, this, preface, {"file-1": "a.csv"})


def show(called: CalledTools, logs: str, position: int = 0) -> list[Any]:
    with writing(called.database) as connection:
        shown = tool_results.show_logs(connection, called.input(position), logs)
    deltas = [json.loads(event.data)["delta"]["step_details"]["tool_calls"][0] for event in shown.events]
    return [delta["code_interpreter"]["outputs"] for delta in deltas]


def test_thread_has_one_session_of_growing_generations(database: Database) -> None:
    called = CalledTools.of(database, CODE)
    first = session(called)
    assert session(called) == first == SandboxSession(called.run.thread_id, 1, "http://one")

    with writing(database) as connection:
        stored = sandbox_sessions.find(connection, first.id)
        assert stored is not None
        renewed = sandbox_sessions.renew(connection, stored, "http://two")
        again = sandbox_sessions.renew(connection, stored, "http://three")

    assert renewed is not None
    assert again is not None
    assert renewed.session == again.session == SandboxSession(first.id, 2, "http://two")
    assert not renewed.was_used


def test_deleted_thread_gets_no_session(database: Database) -> None:
    called = CalledTools.of(database, CODE)
    with writing(database) as connection:
        threads.remove(connection, PROJECT, called.run.thread_id)

        assert sandbox_sessions.create(connection, PROJECT, called.run.thread_id, "http://one") is None


def test_call_begins_once(database: Database) -> None:
    called = CalledTools.of(database, CODE)
    session(called)

    first, second = begin(called, preface="Restarted."), begin(called, generation=2, preface="Again.")

    assert first == second == CodeCell(1, "Restarted.") == called.calls[0].cell
    with reading(database) as connection:
        stored = sandbox_sessions.find(connection, called.run.thread_id)
    assert stored is not None
    assert (stored.was_used, stored.placed) == (True, {"file-1": "a.csv"})


def test_logs_are_shown_once(database: Database) -> None:
    called = CalledTools.of(database, CODE)
    begin(called)

    assert show(called, "ab") == [[{"index": 0, "type": "logs", "logs": "ab"}]]
    assert show(called, "ab") == show(called, "a") == []
    assert show(called, "abc") == [[{"index": 0, "type": "logs", "logs": "c"}]]

    stored = called.store(0, CodeRun("abcd\n", ("file-image",)))
    shown = [json.loads(event.data)["delta"]["step_details"]["tool_calls"][0] for event in stored.events.events[:-1]]
    assert [delta["code_interpreter"]["outputs"] for delta in shown] == [
        [{"index": 0, "type": "logs", "logs": "d\n"}],
        [{"index": 1, "type": "image", "image": {"file_id": "file-image"}}],
    ]
    assert show(called, "abcde") == []


def test_logs_of_parallel_calls_have_numbers_of_their_own(database: Database) -> None:
    called = CalledTools.of(database, CODE, SEARCH, CODE)
    begin(called)
    begin(called, position=2)

    show(called, "a")
    called.store(1, HITS)
    show(called, "b", position=2)
    show(called, "ac")

    numbers = [[number for number, _ in call.cell.shown] for call in called.calls if call.cell]
    result_event = called.calls[1].result_event
    assert result_event is not None
    first = numbers[0][0]
    # The search has no delta, but its result a number.
    assert (numbers, result_event) == ([[first, first + 2], [first + 1]], first + 1)


@pytest.mark.parametrize("ends", ["cancelling", "deleted"])
def test_logs_of_an_ended_run_are_not_shown(database: Database, ends: str) -> None:
    called = CalledTools.of(database, CODE)
    begin(called)
    this = called.input(0)
    with writing(database) as connection:
        if ends == "cancelling":
            runs.begin_cancelling(connection, PROJECT, called.run.thread_id, called.run.id)
        else:
            threads.remove(connection, PROJECT, called.run.thread_id)

    with writing(database) as connection:
        assert tool_results.show_logs(connection, this, "a").events == ()
        assert not tool_results.is_wanted(connection, called.run.id, 0)


def test_rows_of_a_result_come_with_it_or_not_at_all(database: Database) -> None:
    called = CalledTools.of(database, CODE)
    this, made = called.input(0), kept("a.csv")
    stored: list[str] = []

    def store(connection: Connection) -> None:
        stored.append("stored")
        image = StoredFile(f"file-{made.object_id}", "plot.png", Purpose.ASSISTANTS_OUTPUT, 8)
        files.create(connection, PROJECT, image)
        sandbox_files.replace(connection, PROJECT, called.run.thread_id, [made], [])

    for _ in range(2):
        with writing(database) as connection:
            tool_results.store_result(connection, this, CodeRun("a"), TIMING, store)

    assert stored == ["stored"]
    with reading(database) as connection:
        assert sandbox_files.of_thread(connection, called.run.thread_id) == {"a.csv": made}
        assert sandbox_files.known(connection, [made.object_id, "other"]) == {made.object_id}
        image_id = f"file-{made.object_id}"
        assert list(files.find(connection, PROJECT, [image_id])) == [image_id]
        assert files.find(connection, "other", [image_id]) == {}


def test_run_has_the_files_of_its_project_alone(database: Database) -> None:
    called = CalledTools.of(database, CODE)
    ids = [new_file_id(), new_file_id(), new_file_id()]
    with writing(database) as connection:
        for project, file_id in zip((PROJECT, "other", PROJECT), ids, strict=True):
            files.create(connection, project, StoredFile(file_id, "a.csv", Purpose.ASSISTANTS, 1))
        resources = ToolResources(code_interpreter=CodeInterpreterResources(file_ids=ids))
        body = ModifyThreadRequest(tool_resources=resources)
        threads.modify(connection, PROJECT, called.run.thread_id, body)
        files.remove(connection, PROJECT, ids[2])

        found = interpreter_files.of_run(connection, PROJECT, called.run)

    assert [file.id for file in found] == ids[:1]


@pytest.mark.parametrize("metadata", [MADE_FOR_V1, {}])
def test_run_has_the_files_that_its_assistant_has_of_the_first_beta(
    database: Database, metadata: Mapping[str, str]
) -> None:
    called, file_id = CalledTools.of(database, CODE), new_file_id()
    with writing(database) as connection:
        files.create(connection, PROJECT, StoredFile(file_id, "a.txt", Purpose.ASSISTANTS, 1))
        body = CreateVectorStoreRequest(metadata=dict(metadata))
        made = vector_stores.create(connection, PROJECT, body, None, 0)
        store = vector_stores.lock_any(connection, made.id)
        assert store is not None
        vector_store_additions.add(connection, store, [Attachment(file_id, None, ChunkSizes())])
        searched = ToolResources(file_search=FileSearchResources(vector_store_ids=[made.id]))
        run = called.run.model_copy(update={"tool_resources": searched})

        found = interpreter_files.of_run(connection, PROJECT, run)

    assert [file.id for file in found] == ([file_id] if metadata else [])


def test_replaced_and_removed_files_are_doomed(database: Database) -> None:
    called = CalledTools.of(database, CODE)
    first, other, second = kept("a.csv"), kept("b"), kept("a.csv")
    with writing(database) as connection:
        sandbox_files.replace(connection, PROJECT, called.run.thread_id, [first, other], [])
        sandbox_files.replace(connection, PROJECT, called.run.thread_id, [second], ["b", "never there"])

    with reading(database) as connection:
        assert sandbox_files.names(connection, called.run.thread_id) == ["a.csv"]
        assert {first.key, other.key} <= doomed(connection)
        assert second.key not in doomed(connection)


def test_deleted_thread_dooms_its_files_and_closes_its_session(database: Database) -> None:
    called, made = CalledTools.of(database, CODE), kept("a.csv")
    opened = session(called)
    with writing(database) as connection:
        sandbox_files.replace(connection, PROJECT, called.run.thread_id, [made], [])
        threads.remove(connection, PROJECT, called.run.thread_id)

    with writing(database) as connection:
        assert made.key in doomed(connection)
        closed = set(sandbox_sessions.closed(connection, 1000))
        assert opened in closed
        sandbox_sessions.remove(connection, opened.id)
        assert sandbox_sessions.find(connection, opened.id) is None


OF_THREAD, OF_FILES = BY_ID.format("sandbox_sessions"), BY_ID.format("sandbox_files")
QUERIES: dict[str, tuple[Callable[[Connection], object], set[str]]] = {
    "find": (lambda connection: sandbox_sessions.find(connection, "thread_1"), {OF_THREAD}),
    "close": (lambda connection: sandbox_sessions.close(connection, "thread_1"), {OF_THREAD}),
    "closed": (lambda connection: sandbox_sessions.closed(connection, 10, ["http://one"]), {"sandbox_sessions_closed"}),
    "forget closed": (
        lambda connection: sandbox_sessions.forget_closed(connection, "http://one", 1),
        {"sandbox_sessions_closed"},
    ),
    "remove": (lambda connection: sandbox_sessions.remove(connection, "thread_1"), {OF_THREAD}),
    "cell": (lambda connection: sandbox_sessions.cell_of(connection, "call_1"), {BY_ID.format("tool_calls")}),
    "files": (lambda connection: sandbox_files.of_thread(connection, "thread_1"), {OF_FILES}),
    "names": (lambda connection: sandbox_files.names(connection, "thread_1"), {OF_FILES}),
    "known": (lambda connection: sandbox_files.known(connection, ["a", "b"]), {"sandbox_files_by_object"}),
}


@pytest.mark.parametrize("name", QUERIES)
def test_query_finds_its_rows_by_an_index(database: Database, name: str) -> None:
    query, indexes = QUERIES[name]

    plan = plan_of(database, query)

    assert (plan.indexes, plan.scans_and_sorts) == (indexes, [])


def test_earlier_code_of_an_answer_comes_first(database: Database) -> None:
    called = CalledTools.of(database, CODE, SEARCH, CODE)
    _, _, last = called.calls

    def may_begin() -> bool:
        with reading(database) as connection:
            return tool_results.are_earlier_answered(connection, last, called.run.id)

    assert not may_begin()
    called.store(0, CodeRun(""))
    assert may_begin()


def test_message_has_the_images_since_the_message_before() -> None:
    shown, said, calls = prompts.PastTurn(image_ids=["a"]), prompts.PastTurn(has_message=True), prompts.PastTurn()
    both = prompts.PastTurn(has_message=True, image_ids=["b"])

    assert prompts.unseen_images([]) == []
    assert prompts.unseen_images([shown, calls]) == ["a"]
    assert prompts.unseen_images([shown, said, calls]) == []
    assert prompts.unseen_images([shown, both, shown]) == ["b", "a"]
