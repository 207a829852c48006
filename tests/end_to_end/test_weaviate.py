"""A running Holdfast whose search index is in Weaviate, while that is killed."""

from pathlib import Path

import httpx
import pytest
from openai import APIStatusError

from activities import ingest_reconciler
from models.ingestion import IngestInput
from tests.conftest import settings_for
from tests.end_to_end.test_ingestion import LONG, WatchedEmbedder, added, ended, indexed, reconcile, use
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.program import until
from tests.provider.scripted_provider import ScriptedProvider
from tests.weaviate_server import WEAVIATE, WeaviateServer, running_weaviate

pytestmark = WEAVIATE


async def test_file_is_completed_after_weaviate_was_killed_in_the_middle_of_it(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    embedder = WatchedEmbedder(waits_after=32)
    with running_weaviate(WeaviateServer(tmp_path)) as weaviate:
        settings = settings_for(tmp_path, temporal_port, provider, vector_index_url=weaviate.url)
        async with running_holdfast(settings, with_worker=False) as holdfast:
            await use(holdfast, embedder).start_worker()
            stores = holdfast.client.vector_stores
            file = await added(holdfast, LONG)
            await embedder.is_waiting.wait()
            assert await indexed(holdfast, file) == 32

            weaviate.kill()
            embedder.may_go_on.set()
            await _has_failed_once(holdfast, file)
            weaviate.start()

            assert (await ended(holdfast, file)).status == "completed"
            content = await stores.files.content(file.file_id, vector_store_id=file.store_id)
            assert "".join(part.text or "" for part in content.data) == LONG
            [collection] = weaviate.collections()
            assert len(weaviate.objects(collection["class"], file.store_id)) == len(content.data)

            await stores.delete(file.store_id)
            assert weaviate.tenants(collection["class"]) == []


async def test_what_weaviate_does_not_answer_is_a_503_or_repeated(
    temporal_port: int, provider: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_weaviate(WeaviateServer(tmp_path)) as weaviate:
        settings = settings_for(
            tmp_path, temporal_port, provider, vector_index_url=weaviate.url, embedding_model="none"
        )
        async with running_holdfast(settings) as holdfast:
            stores = holdfast.client.vector_stores
            store = await stores.create()
            text = b"Employees get twenty-five days of paid vacation each year."
            file = await stores.files.upload_and_poll(vector_store_id=store.id, file=("handbook.md", text))
            assert [each.file_id for each in (await stores.search(store.id, query="vacation")).data] == [file.id]
            weaviate.kill()

            with pytest.raises(APIStatusError) as unavailable:
                await stores.search(store.id, query="vacation")
            async with httpx.AsyncClient(base_url=holdfast.url) as http:
                health = await http.get("/health")
            await stores.delete(store.id)
            weaviate.start()

            assert unavailable.value.status_code == 503
            assert health.status_code == 503
            assert health.json()["vector_index"] == "does not answer: the log says why"
            # What was not dropped then is dropped by the sweep.
            monkeypatch.setattr(ingest_reconciler, "DELETED_FOR", -ingest_reconciler.DELETED_FOR)
            assert (await reconcile(holdfast)).deleted == 1
            [collection] = weaviate.collections()
            assert weaviate.tenants(collection["class"]) == []


async def _has_failed_once(holdfast: RunningHoldfast, file: IngestInput) -> None:
    handle = holdfast.resources.temporal.get_workflow_handle(file.workflow_id)

    async def has() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        return any(activity.last_failure.message for activity in pending)

    await until(has, "the ingestion does not notice that Weaviate is away")
