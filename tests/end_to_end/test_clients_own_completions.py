"""openairetro's examples, over HTTP: assistants and threads are kept here, and the client asks for each completion.

It is the way of the package `betaassi`: a class is a marker in an object's metadata, a field is a pair of it, a list is
JSON that is cut into pairs of 512 characters, and every update sends the whole map. The assistant's answers are
messages of the user with `actual_role`.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.holdfast import RunningHoldfast
from tests.provider.replies import Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database

PAIR = 512
PARTS = ("threads_1", "threads_2", "threads_3", "threads_4")
SAYS_WHAT_IT_IS = {"name": "ABC", "description": "Default Description", "model": "gpt-4"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Api:
    http: httpx.AsyncClient

    async def send(self, method: str, path: str, body: Json | None = None, **query: Any) -> Json:
        response = await self.http.request(method, path, json=body, params=query)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def all_of(self, path: str, order: str) -> list[Json]:
        """Page by page, as the SDK's lists are iterated."""
        found: list[Json] = []
        while True:
            after = {"after": found[-1]["id"]} if found else {}
            page = await self.send("GET", path, order=order, limit=100, **after)
            found += page["data"]
            if not page["has_more"]:
                return found

    async def assistants(self, kind: str) -> list[Json]:
        return [
            each for each in await self.all_of("/assistants", "desc") if each["metadata"].get("assistant_type") == kind
        ]

    async def assistant(self, kind: str, instructions: str, **pairs: str) -> Json:
        body = {**SAYS_WHAT_IT_IS, "instructions": instructions, "metadata": {"assistant_type": kind, **pairs}}
        return await self.send("POST", "/assistants", body)

    async def say(self, thread_id: str, role: str, content: str) -> Json:
        body = {"role": "user", "content": content, "metadata": {"message_type": "", "actual_role": role}}
        return await self.send("POST", f"/threads/{thread_id}/messages", body)

    async def update(self, path: str, owner: Json, **pairs: str) -> None:
        await self.send("POST", path, {"metadata": {**owner["metadata"], **pairs}})


@dataclass(frozen=True)
class Tracker:
    """An assistant that has the ids of threads in its metadata."""

    api: Api
    kind: str

    async def found(self) -> Json:
        there = await self.api.assistants(self.kind)
        return there[0] if there else await self.api.assistant(self.kind, "A list.", **dict.fromkeys(PARTS, ""))

    async def thread_ids(self) -> list[str]:
        kept = (await self.found())["metadata"]
        whole = "".join(kept[part] for part in PARTS)
        return [json.loads(each)[0] for each in json.loads(whole or "[]")]

    async def keep(self, thread_ids: list[str]) -> None:
        whole = json.dumps([json.dumps([thread_id]) for thread_id in thread_ids])
        pieces = {part: whole[at * PAIR : (at + 1) * PAIR] for at, part in enumerate(PARTS)}
        tracker = await self.found()
        await self.api.update(f"/assistants/{tracker['id']}", tracker, **pieces)


@pytest.fixture(params=["assistants=v1", "assistants=v2"])
async def api(request: pytest.FixtureRequest, holdfast: RunningHoldfast) -> AsyncIterator[Api]:
    headers = {"OpenAI-Beta": request.param}
    async with httpx.AsyncClient(base_url=f"{holdfast.url}/v1", headers=headers, timeout=30) as http:
        yield Api(http)


async def loop_once(api: Api, thread_id: str) -> bool:
    """Answer the thread's new message. Returns whether there was one."""
    thread = await api.send("GET", f"/threads/{thread_id}")
    assistant = await api.send("GET", f"/assistants/{thread['metadata']['assistant_id']}")
    messages = await api.all_of(f"/threads/{thread_id}/messages", "desc")
    newest = messages[0]
    if newest["metadata"]["actual_role"] != "user" or thread["metadata"]["hwm"] == newest["id"]:
        return False
    said = [
        {"role": each["metadata"]["actual_role"], "content": each["content"][0]["text"]["value"]}
        for each in await api.all_of(f"/threads/{thread_id}/messages", "asc")
    ]
    body: Json = {
        "model": thread["metadata"]["chat_completion_model"],
        "messages": [{"role": "system", "content": assistant["instructions"]}, *said],
    }
    if temperature := assistant["metadata"].get("temparature"):
        body["temperature"] = float(temperature)
    completion = await api.send("POST", "/chat/completions", body)
    await api.say(thread_id, "assistant", completion["choices"][0]["message"]["content"])
    await api.update(f"/threads/{thread_id}", thread, hwm=newest["id"])
    return True


@pytest.mark.parametrize(
    ("instructions", "pairs"),
    [("You are a tutor of physics.", {}), ("You are a jovial tutor.", {"temparature": "0.1"})],
    ids=["hello-world", "temperature"],
)
async def test_client_answers_the_messages_of_a_thread(
    api: Api, provider: ScriptedProvider, instructions: str, pairs: dict[str, str], request: pytest.FixtureRequest
) -> None:
    model = f"retro-{request.node.callspec.id}"
    provider.script(model, Says("It falls."), Says("Because of its weight."))
    tutor = await api.assistant("Tutor", instructions, **pairs)
    tracker = Tracker(api, f"Tracker of {model}")
    state = {"assistant_id": tutor["id"], "hwm": "", "chat_completion_model": model, "thread_type": "Chat"}
    await tracker.keep([(await api.send("POST", "/threads", {"metadata": state}))["id"]])

    [thread_id] = await tracker.thread_ids()
    answered = []
    for question in ("What does an apple do?", "Why?"):
        await api.say(thread_id, "user", question)
        answered += [await loop_once(api, thread_id), await loop_once(api, thread_id)]

    assert answered == [True, False, True, False]
    system = {"role": "system", "content": instructions}
    asked = [{"role": "user", "content": "What does an apple do?"}]
    again = [*asked, {"role": "assistant", "content": "It falls."}, {"role": "user", "content": "Why?"}]
    requests = provider.requests(model)
    assert [each["messages"] for each in requests] == [[system, *asked], [system, *again]]
    assert [each.get("temperature") for each in requests] == [0.1 if pairs else None] * 2
    texts = [each["content"][0]["text"]["value"] for each in await api.all_of(f"/threads/{thread_id}/messages", "asc")]
    assert texts == [message["content"] for message in again] + ["Because of its weight."]


async def test_threads_are_listed_by_an_assistant(api: Api, request: pytest.FixtureRequest) -> None:
    tracker = Tracker(api, f"Tracker of {request.node.callspec.id}")
    # More than one pair of metadata can hold.
    made = [(await api.send("POST", "/threads", {"metadata": {"thread_type": "Listed"}}))["id"] for _ in range(15)]
    for number in (1, len(made)):
        await tracker.keep(made[:number])
    listed = await tracker.thread_ids()

    await tracker.keep([each for each in listed if each != made[0]])
    deleted = await api.send("DELETE", f"/threads/{made[0]}")

    assert (listed, await tracker.thread_ids()) == (made, made[1:])
    assert deleted["deleted"] is True
