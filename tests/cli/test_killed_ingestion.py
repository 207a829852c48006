"""Files of a vector store whose ingestion is cut off, by a `kill -9` of all of Holdfast's processes."""

from pathlib import Path
from typing import Any

import psutil
import pytest
from openai import OpenAI

from tests.cli.program import HOLDFAST, Place, Up, wait_until
from tests.infra.embeddings.scripted_endpoint import ScriptedEndpoint, running_endpoint
from tests.weaviate_server import WEAVIATE, WeaviateServer

FILES = 3
TEXT = "Employees get twenty-five days of paid vacation each year."
LONG = " ".join(f"Sentence number {number} says nothing new." for number in range(700))


@pytest.mark.slow
def test_killed_ingestion_is_finished_after_the_start(tmp_path: Path) -> None:
    place = Place.new(tmp_path)
    with running_endpoint() as endpoint, OpenAI(base_url=f"{place.url}/v1", api_key="sk", max_retries=0) as client:
        endpoint.may_answer.clear()
        killed = _up(place, endpoint)
        file_ids = [
            client.files.create(file=(f"{number}.txt", f"{TEXT} {number}".encode()), purpose="assistants").id
            for number in range(FILES)
        ]
        store = client.vector_stores.create(file_ids=file_ids)
        wait_until(lambda: bool(endpoint.requests))
        _kill(killed)
        endpoint.may_answer.set()

        again = _up(place, endpoint)
        try:
            wait_until(lambda: client.vector_stores.retrieve(store.id).status == "completed")
            found = client.vector_stores.retrieve(store.id)
            results = client.vector_stores.search(store.id, query="vacation").data
            contents = [client.vector_stores.files.content(each, vector_store_id=store.id).data for each in file_ids]
        finally:
            again.end()

    assert (found.file_counts.completed, found.file_counts.total) == (FILES, FILES)
    assert sorted(result.file_id for result in results) == sorted(file_ids)
    assert [[piece.text for piece in content] for content in contents] == [[f"{TEXT} {n}"] for n in range(FILES)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["embedded", pytest.param("weaviate", marks=WEAVIATE)])
def test_file_that_was_half_indexed_is_completed_with_exactly_its_chunks(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server: WeaviateServer | None = request.getfixturevalue("weaviate") if kind == "weaviate" else None
    if server:
        server.empty()
    url = server.url if server else ""
    place = Place.new(tmp_path)
    with running_endpoint() as endpoint, OpenAI(base_url=f"{place.url}/v1", api_key="sk", max_retries=0) as client:
        # Two batches of chunks are in the index.
        endpoint.waits_after = 2
        endpoint.may_answer.clear()
        killed = _up(place, endpoint, url)
        file = client.files.create(file=("long.txt", LONG.encode()), purpose="assistants")
        store = client.vector_stores.create()
        sizes: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
        client.vector_stores.files.create(store.id, file_id=file.id, chunking_strategy=sizes)
        wait_until(lambda: len(endpoint.requests) == 3)
        _kill(killed)
        endpoint.may_answer.set()

        again = _up(place, endpoint, url)
        try:
            wait_until(lambda: client.vector_stores.retrieve(store.id).file_counts.completed == 1)
            content = client.vector_stores.files.content(file.id, vector_store_id=store.id).data
            if server:
                [collection] = server.collections()
                assert len(server.objects(collection["class"], store.id)) == len(content)
                client.vector_stores.delete(store.id)
                assert server.tenants(collection["class"]) == []
        finally:
            again.end()

    assert len(content) > 32
    assert "".join(piece.text or "" for piece in content) == LONG


def _up(place: Place, endpoint: ScriptedEndpoint, vector_index_url: str = "") -> Up:
    return Up(
        place,
        (*HOLDFAST, "up"),
        HOLDFAST_VECTOR_INDEX_URL=vector_index_url,
        HOLDFAST_EMBEDDING_MODEL="openai/scripted",
        HOLDFAST_EMBEDDING_DIMENSIONS=str(endpoint.dimensions),
        OPENAI_BASE_URL=endpoint.url,
        OPENAI_API_KEY="sk-scripted",
    ).ready()


def _kill(up: Up) -> None:
    processes = up.all_processes()
    for process in processes:
        process.kill()
    up.process.wait()
    psutil.wait_procs(processes)
