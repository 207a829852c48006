"""Repeated requests with an `Idempotency-Key` get the first response and have no further effect."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from openai import BadRequestError
from sqlalchemy import update

from infra.clock import now_seconds
from infra.database.tables import IDEMPOTENCY_KEYS
from tests.database import writing
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider


def _key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def test_repeated_request_gets_first_response_and_creates_nothing(holdfast: RunningHoldfast) -> None:
    threads = holdfast.client.beta.threads
    thread = await threads.create()
    key = _key()

    first = await threads.messages.create(thread.id, role="user", content="Once", extra_headers=key)
    again = await threads.messages.create(thread.id, role="user", content="Once", extra_headers=key)

    assert again == first
    assert len((await threads.messages.list(thread.id)).data) == 1


async def test_concurrent_repetitions_create_one_object(holdfast: RunningHoldfast) -> None:
    key = _key()

    created = await asyncio.gather(
        *(holdfast.client.beta.assistants.create(model="m", name="One", extra_headers=key) for _ in range(8))
    )

    assert len({assistant.id for assistant in created}) == 1


async def test_repeated_create_run_creates_one_run(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("once", Says("Only once."))
    assistant = await holdfast.assistant("once")
    key = _key()

    first = await holdfast.run(assistant, extra_headers=key)
    done = await holdfast.until(first)
    again = await holdfast.run(assistant, extra_headers=key)

    # The first response, although the run has ended since.
    assert (again, again.status, done.status) == (first, "queued", "completed")
    assert len(provider.requests("once")) == 1


async def test_repeated_submit_is_accepted_after_status_change(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("submit-once", Calls(("weather", "{}")), Says("Thanks."))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("submit-once", "weather")))
    key = _key()

    first = await holdfast.submit(run, "sunny", extra_headers=key)
    await holdfast.until(run, "completed")
    again = await holdfast.submit(run, "sunny", extra_headers=key)

    assert again == first
    assert len(provider.requests("submit-once")) == 2


async def test_repeated_cancel_is_accepted(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("cancel-once", Calls(("weather", "{}")))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant("cancel-once", "weather")))
    cancel, key = holdfast.client.beta.threads.runs.cancel, _key()

    first = await cancel(run.id, thread_id=run.thread_id, extra_headers=key)
    await holdfast.until(run, "cancelled")
    again = await cancel(run.id, thread_id=run.thread_id, extra_headers=key)

    assert again == first


@pytest.mark.any_database
@pytest.mark.parametrize("content", [b"", b"null", b"not json"])
async def test_ignored_body_does_not_change_fingerprint(
    holdfast: RunningHoldfast, provider: ScriptedProvider, http: httpx.AsyncClient, content: bytes
) -> None:
    model = f"cancel-{uuid4().hex}"
    provider.script(model, Calls(("weather", "{}")))
    run = await holdfast.until(await holdfast.run(await holdfast.assistant(model, "weather")))
    path, key = f"/v1/threads/{run.thread_id}/runs/{run.id}/cancel", _key()

    first = await http.post(path, content=content, headers=key)
    again = await http.post(path, headers=key)

    assert first.status_code == 200
    assert again.json() == first.json()


async def test_key_with_different_body_is_rejected(holdfast: RunningHoldfast) -> None:
    key = _key()
    await holdfast.client.beta.threads.create(metadata={"a": "1"}, extra_headers=key)

    with pytest.raises(BadRequestError) as refused:
        await holdfast.client.beta.threads.create(metadata={"a": "2"}, extra_headers=key)

    assert refused.value.code == "idempotency_key_reused"
    assert refused.value.param == "Idempotency-Key"


async def test_key_with_different_path_is_rejected(holdfast: RunningHoldfast) -> None:
    key = _key()
    thread = await holdfast.client.beta.threads.create(extra_headers=key)

    with pytest.raises(BadRequestError, match="was used with a different request"):
        await holdfast.client.beta.threads.update(thread.id, extra_headers=key)


async def test_a_path_is_the_same_with_and_without_v1_and_with_slashes_twice(
    holdfast: RunningHoldfast, http: httpx.AsyncClient
) -> None:
    key = _key()

    answers = [
        await http.post(path, json={"metadata": {"a": "1"}}, headers=key)
        for path in ("/v1/threads", "/threads", f"{holdfast.url}//threads", "/v1//threads")
    ]

    assert [answer.json() for answer in answers] == [answers[0].json()] * 4
    assert answers[0].status_code == 200


async def test_rejected_request_does_not_use_up_key(holdfast: RunningHoldfast) -> None:
    key = _key()
    with pytest.raises(BadRequestError):
        await holdfast.client.beta.threads.create(extra_body={"unknown": 1}, extra_headers=key)

    thread = await holdfast.client.beta.threads.create(extra_headers=key)

    assert thread.id.startswith("thread_")


async def test_key_expires_after_a_day(holdfast: RunningHoldfast) -> None:
    key = _key()
    first = await holdfast.client.beta.threads.create(extra_headers=key)
    with writing(holdfast.resources.database) as connection:
        aged = now_seconds() - int(timedelta(hours=25).total_seconds())
        row = IDEMPOTENCY_KEYS.c.key == key["Idempotency-Key"]
        connection.execute(update(IDEMPOTENCY_KEYS).where(row).values(created_at=aged))

    again = await holdfast.client.beta.threads.create(extra_headers=key)

    assert again.id != first.id


@pytest.mark.any_database
@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_key_must_have_1_to_255_characters(holdfast: RunningHoldfast, key: str) -> None:
    with pytest.raises(BadRequestError, match="dempotency"):
        await holdfast.client.beta.threads.create(extra_headers={"Idempotency-Key": key})
