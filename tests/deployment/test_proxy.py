"""Requests and streams through the proxy of docker-compose.yml, with its Caddyfile and two APIs."""

import asyncio

import httpx
import pytest
from openai.types.beta import AssistantStreamEvent

from tests.deployment.composed import SECRETS
from tests.deployment.stack import API_ADDRESSES, Stack
from tests.program import until
from tests.provider.replies import Held, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = [pytest.mark.xdist_group("deployment"), pytest.mark.timeout(1800)]

HEADERS = {"Authorization": f"Bearer {SECRETS['HOLDFAST_API_KEYS'].partition('=')[0]}"}
OPERATOR = {"Authorization": f"Bearer {SECRETS['HOLDFAST_OPERATOR_KEYS']}"}
REQUESTS = 20


async def test_a_stream_is_passed_on_as_it_comes(stack: Stack, models: ScriptedProvider) -> None:
    held = Held(Says("there."), after="Hello ")
    models.script("deployed-stream", held)
    client = stack.client()
    assistant = await client.beta.assistants.create(model="deployed-stream")

    text = ""
    stream = await client.beta.threads.create_and_run(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hello!"}]}, stream=True
    )
    async for event in stream:
        text += _said(event)
        if text == "Hello ":
            # The model says the rest only now that its first word has arrived here.
            held.release()
    assert text == "Hello there."
    assert event.event == "thread.run.completed"


async def test_a_stream_ends_at_the_api_when_its_client_goes(stack: Stack, models: ScriptedProvider) -> None:
    held = Held(Says("there."), after="Hello ")
    models.script("deployed-gone", held)
    client = stack.client()
    assistant = await client.beta.assistants.create(model="deployed-gone")

    stream = await client.beta.threads.create_and_run(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hello!"}]}, stream=True
    )
    async for event in stream:
        if _said(event):
            break
    assert await _streams_open(stack) == 1
    await stream.close()

    async def is_closed() -> bool:
        return await _streams_open(stack) == 0

    await until(is_closed, "the API still streams to a client that is gone")
    held.release()


async def test_metrics_are_not_for_outside(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.url, headers=HEADERS) as http:
        assert (await http.get("/metrics")).status_code == httpx.codes.NOT_FOUND


async def test_a_client_does_not_notice_that_an_api_is_gone(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.url, headers=HEADERS) as http:
        assert {(await http.get("/v1/assistants")).status_code for _ in range(REQUESTS)} == {httpx.codes.OK}
        await stack.programs["api-2"].stop()
        try:
            answers = await asyncio.gather(*(http.get("/v1/assistants") for _ in range(REQUESTS)))
        finally:
            await stack.programs["api-2"].start()

    assert {answer.status_code for answer in answers} == {httpx.codes.OK}


async def _streams_open(stack: Stack) -> int:
    async with httpx.AsyncClient(headers=OPERATOR) as http:
        responses = [await http.get(f"http://{address}:{stack.api_port}/metrics") for address in API_ADDRESSES]
    lines = [line for each in responses for line in each.text.splitlines()]
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("holdfast_streams_open"))


def _said(event: AssistantStreamEvent) -> str:
    if event.event != "thread.message.delta":
        return ""
    [part] = event.data.delta.content or []
    assert part.type == "text"
    assert part.text is not None
    return part.text.value or ""
