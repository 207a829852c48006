"""Outages of the object store: ingestion and sweeps go on after it, and each attempt logs one line."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from infra.language_model.scripted import SCRIPTED_MODEL
from infra.object_store.errors import ObjectStoreUnavailable
from tests.holdfast import RunningHoldfast
from tests.stored_files import store_file
from tests.sweeps import last_round, sweep_now

REASON = "connection refused by 10.0.0.7"
EVENT = "activity.object_store_unavailable"

pytestmark = [pytest.mark.any_database, pytest.mark.slow]


@pytest.fixture
async def holdfast(own_holdfast: RunningHoldfast) -> RunningHoldfast:
    return own_holdfast


@pytest.fixture
def outage(holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Exception]]:
    """Lets a method of the object store fail once. What it has not yet raised is in the list."""

    def begin(method: str) -> list[Exception]:
        store = holdfast.resources.object_store
        working: Any = getattr(store, method)
        failures: list[Exception] = [ObjectStoreUnavailable(REASON)]

        async def pieces(*args: Any) -> AsyncGenerator[bytes, None]:
            if failures:
                raise failures.pop()
            async for piece in working(*args):
                yield piece

        async def answer(*args: Any) -> Any:
            if failures:
                raise failures.pop()
            return await working(*args)

        monkeypatch.setattr(store, method, pieces if method == "get" else answer)
        return failures

    return begin


def assert_one_line_each(caplog: pytest.LogCaptureFixture, activity: str) -> None:
    lines = [record for record in caplog.records if record.getMessage() == EVENT]
    assert [(vars(line)["activity"], vars(line)["reason"]) for line in lines] == [(activity, REASON)]
    assert not [record for record in caplog.records if record.exc_info]


async def test_ingestion_is_tried_again(
    holdfast: RunningHoldfast, outage: Callable[[str], list[Exception]], caplog: pytest.LogCaptureFixture
) -> None:
    file_id = await store_file(holdfast.resources, "Paid vacation.")
    store = await holdfast.client.vector_stores.create()
    failures = outage("get")

    with caplog.at_level(logging.INFO):
        await holdfast.start_worker()
        file = await holdfast.client.vector_stores.files.create_and_poll(file_id, vector_store_id=store.id)

    assert (file.status, file.last_error, failures) == ("completed", None, [])
    assert_one_line_each(caplog, "Ingestion.ingest")


async def test_turn_with_an_image_is_tried_again(
    holdfast: RunningHoldfast, outage: Callable[[str], list[Exception]], caplog: pytest.LogCaptureFixture
) -> None:
    file_id = await store_file(holdfast.resources, b"\x89PNG\r\n\x1a\nimage")
    content = [{"type": "image_file", "image_file": {"file_id": file_id}}]
    run = await holdfast.run(await holdfast.assistant(SCRIPTED_MODEL), content)
    failures = outage("get")

    with caplog.at_level(logging.INFO):
        await holdfast.start_worker()
        await holdfast.until(run, "completed")

    assert failures == []
    assert (await holdfast.texts(run))[-1] == "You said nothing. I see 1 image."
    assert_one_line_each(caplog, "ModelTurn.generate")


async def test_sweep_is_tried_again(
    holdfast: RunningHoldfast, outage: Callable[[str], list[Exception]], caplog: pytest.LogCaptureFixture
) -> None:
    failures = outage("list_page")

    with caplog.at_level(logging.INFO):
        await holdfast.start_worker()
        await sweep_now(holdfast)
        async with asyncio.timeout(20):
            while "- objects:" not in (details := await last_round(holdfast)):
                await asyncio.sleep(0.02)

    assert failures == []
    assert "- objects: 0 deleted, 0 orphans, 0 lost" in details
    assert_one_line_each(caplog, "Objects.reconcile")
