"""A file of a vector store in Weaviate whose ingestion is cut off, by a `kill -9` of all of Holdfast's processes."""

from pathlib import Path

import pytest
from openai import OpenAI

from tests.cli.program import Place, wait_until
from tests.cli.test_killed_up import LONG, half_indexed_file, kill, start
from tests.infra.embeddings.scripted_endpoint import running_endpoint
from tests.weaviate_server import WEAVIATE, WeaviateServer

pytestmark = [pytest.mark.slow, *WEAVIATE]


def test_file_that_was_half_indexed_is_completed_with_exactly_its_chunks(
    tmp_path: Path, weaviate: WeaviateServer
) -> None:
    weaviate.empty()
    place = Place.new(tmp_path)
    with running_endpoint() as endpoint, OpenAI(base_url=f"{place.url}/v1", api_key="sk", max_retries=0) as client:
        killed = start(place, endpoint, HOLDFAST_VECTOR_INDEX_URL=weaviate.url)
        store_id, file_id = half_indexed_file(client, endpoint)
        kill(killed)
        endpoint.may_answer.set()

        again = start(place, endpoint, HOLDFAST_VECTOR_INDEX_URL=weaviate.url)
        try:
            wait_until(lambda: client.vector_stores.retrieve(store_id).file_counts.completed == 1)
            content = client.vector_stores.files.content(file_id, vector_store_id=store_id).data
            [collection] = weaviate.collections()
            stored = weaviate.objects(collection["class"], store_id)
            client.vector_stores.delete(store_id)
            left = weaviate.tenants(collection["class"])
        finally:
            again.end()

    assert len(content) > 32
    assert "".join(piece.text or "" for piece in content) == LONG
    assert (len(stored), left) == (len(content), [])
