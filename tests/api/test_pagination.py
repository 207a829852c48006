"""Lists by cursor, over the messages of a thread: `m0` is the oldest, `m9` the newest."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.api.envelope import assert_error
from tests.holdfast import RunningHoldfast

COUNT = 10


@pytest.fixture(scope="module")
async def thread_id(holdfast: RunningHoldfast) -> str:
    """A thread whose messages were created by one call, so that they share a second."""
    messages: Any = [{"role": "user", "content": f"m{number}"} for number in range(COUNT)]
    return (await holdfast.client.beta.threads.create(messages=messages)).id


@pytest.fixture(scope="module")
async def ids(holdfast: RunningHoldfast, thread_id: str) -> list[str]:
    """Ids of `m0`, `m1`, …"""
    page = await holdfast.client.beta.threads.messages.list(thread_id, order="asc", limit=100)
    return [message.id for message in page.data]


@pytest.fixture
def named(ids: list[str]) -> Callable[[dict[str, Any]], list[int]]:
    """Numbers of a page's messages."""
    return lambda page: [ids.index(message["id"]) for message in page["data"]]


CASES: list[tuple[dict[str, Any], list[int], bool]] = [
    ({}, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], False),
    ({"order": "asc"}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], False),
    ({"after": "", "before": ""}, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], False),
    ({"limit": 3}, [9, 8, 7], True),
    ({"limit": 3, "order": "asc"}, [0, 1, 2], True),
    ({"limit": 10}, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], False),
    ({"limit": 1}, [9], True),
    ({"limit": 100}, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], False),
    ({"after": 7, "limit": 3}, [6, 5, 4], True),
    ({"after": 2, "limit": 3}, [1, 0], False),
    ({"after": 3, "limit": 3}, [2, 1, 0], False),
    ({"after": 0}, [], False),
    ({"after": 7, "limit": 3, "order": "asc"}, [8, 9], False),
    ({"after": 9, "order": "asc"}, [], False),
    ({"before": 2, "order": "asc"}, [0, 1], False),
    ({"before": 6, "limit": 3, "order": "asc"}, [3, 4, 5], True),
    ({"before": 3, "limit": 3, "order": "asc"}, [0, 1, 2], False),
    ({"before": 0, "order": "asc"}, [], False),
    ({"before": 7}, [9, 8], False),
    ({"before": 4, "limit": 3}, [7, 6, 5], True),
    ({"before": 9}, [], False),
    ({"after": 8, "before": 4}, [7, 6, 5], False),
    ({"after": 8, "before": 4, "limit": 2}, [7, 6], True),
    ({"after": 4, "before": 8, "order": "asc"}, [5, 6, 7], False),
    ({"after": 4, "before": 8}, [], False),
]


@pytest.mark.parametrize(("query", "expected", "has_more"), CASES)
async def test_page(
    http: httpx.AsyncClient,
    thread_id: str,
    ids: list[str],
    named: Callable[[dict[str, Any]], list[int]],
    query: dict[str, Any],
    expected: list[int],
    has_more: bool,
) -> None:
    cursors = ("after", "before")
    params = {key: ids[value] if key in cursors and value != "" else value for key, value in query.items()}

    page = (await http.get(f"/v1/threads/{thread_id}/messages", params=params)).json()

    assert page.keys() == {"object", "data", "first_id", "last_id", "has_more"}
    assert page["object"] == "list"
    assert named(page) == expected
    assert page["has_more"] is has_more
    assert page["first_id"] == (ids[expected[0]] if expected else None)
    assert page["last_id"] == (ids[expected[-1]] if expected else None)


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_paging_by_after_lists_each_message_once_and_ends_with_empty_page(
    http: httpx.AsyncClient, thread_id: str, ids: list[str], order: str
) -> None:
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 5, "order": order}

    while (page := (await http.get(f"/v1/threads/{thread_id}/messages", params=params)).json())["data"]:
        seen += [message["id"] for message in page["data"]]
        params["after"] = seen[-1]

    assert seen == (ids if order == "asc" else ids[::-1])


async def test_sdk_iterates_over_all_pages(holdfast: RunningHoldfast, thread_id: str, ids: list[str]) -> None:
    listing = holdfast.client.beta.threads.messages.list(thread_id, limit=3)

    assert [message.id async for message in listing] == ids[::-1]


async def test_default_page_has_twenty_messages(holdfast: RunningHoldfast) -> None:
    messages: Any = [{"role": "user", "content": "x"}] * 21
    thread = await holdfast.client.beta.threads.create(messages=messages)

    page = await holdfast.client.beta.threads.messages.list(thread.id)

    assert (len(page.data), page.has_more) == (20, True)


async def test_cursor_of_another_list_is_not_found(http: httpx.AsyncClient, ids: list[str]) -> None:
    other = (await http.post("/v1/threads")).json()["id"]

    response = await http.get(f"/v1/threads/{other}/messages", params={"after": ids[0]})

    assert_error(response, 404, f"No message found with id '{ids[0]}'.")


async def test_assistants_are_listed_in_order_of_creation(holdfast: RunningHoldfast) -> None:
    created = [await holdfast.assistant(SCRIPTED_MODEL) for _ in range(3)]

    page = await holdfast.client.beta.assistants.list(order="asc", after=created[0], limit=2)

    assert [assistant.id for assistant in page.data] == created[1:]
