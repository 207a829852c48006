"""Extensions to OpenAI's API: a list of all threads by metadata, and of all runs by status."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.envelope import assert_error
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Fails, Says
from tests.provider.scripted_provider import ScriptedProvider


async def _ids(http: httpx.AsyncClient, path: str, **query: Any) -> list[str]:
    response = await http.get(path, params=query)
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["data"]]


async def test_threads_are_listed_newest_first_by_cursor(holdfast: RunningHoldfast, http: httpx.AsyncClient) -> None:
    mark = {"mark": uuid4().hex}
    made = [(await holdfast.client.beta.threads.create(metadata=mark)).id for _ in range(5)]
    query = {"metadata[mark]": mark["mark"]}

    assert await _ids(http, "/v1/threads", **query) == made[::-1]
    assert await _ids(http, "/v1/threads", **query, limit=2, order="asc") == made[:2]
    assert await _ids(http, "/v1/threads", **query, limit=2, after=made[3]) == [made[2], made[1]]
    assert await _ids(http, "/v1/threads", **query, after=made[0]) == []
    assert made[-1] in await _ids(http, "/v1/threads", limit=100)


async def test_metadata_filter_matches_threads_with_all_given_pairs(
    holdfast: RunningHoldfast, http: httpx.AsyncClient
) -> None:
    mark = uuid4().hex
    threads = holdfast.client.beta.threads
    both = await threads.create(metadata={"mark": mark, "team": "a"})
    other = await threads.create(metadata={"mark": mark, "team": "b"})
    changed = await threads.create(metadata={"mark": mark, "team": "a"})
    await threads.update(changed.id, metadata={"mark": mark, "team": "b"})
    deleted = await threads.create(metadata={"mark": mark, "team": "a"})
    await threads.delete(deleted.id)

    assert await _ids(http, "/v1/threads", **{"metadata[mark]": mark, "metadata[team]": "a"}) == [both.id]
    assert await _ids(http, "/v1/threads", **{"metadata[mark]": mark, "metadata[team]": "b"}) == [changed.id, other.id]
    assert await _ids(http, "/v1/threads", **{"metadata[mark]": mark}, after=deleted.id) == [
        changed.id,
        other.id,
        both.id,
    ]


async def test_cursor_may_be_thread_that_no_longer_matches_filter(
    holdfast: RunningHoldfast, http: httpx.AsyncClient
) -> None:
    mark, threads = uuid4().hex, holdfast.client.beta.threads
    made = [(await threads.create(metadata={"mark": mark, "team": "a"})).id for _ in range(3)]
    query = {"metadata[mark]": mark, "metadata[team]": "a"}
    assert await _ids(http, "/v1/threads", **query, limit=2) == [made[2], made[1]]

    await threads.update(made[1], metadata={"mark": mark, "team": "b"})

    assert await _ids(http, "/v1/threads", **query, limit=2, after=made[1]) == [made[0]]
    assert await _ids(http, "/v1/threads", **query, limit=2, before=made[1]) == [made[2]]


@pytest.mark.any_database
async def test_metadata_filter_has_same_limits_as_metadata(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/threads", params={f"metadata[k{number}]": "v" for number in range(17)})

    assert_error(
        response,
        400,
        "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object "
        "with 17 properties instead.",
        "metadata",
        "object_above_max_properties",
    )


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("name", "value", "param"), [("user", "\0", "metadata.user"), ("a\0", "b", "metadata.a\\u0000")]
)
async def test_metadata_filter_rejects_null_character(
    http: httpx.AsyncClient, name: str, value: str, param: str
) -> None:
    response = await http.get("/v1/threads", params={f"metadata[{name}]": value})

    expected = f"Invalid '{param}': string contains the null character, which is not supported."
    assert_error(response, 400, expected, param, "invalid_value")


async def test_runs_of_all_threads_are_listed_by_status(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.script("all-runs", Fails(401), Calls(("weather", "{}")))
    assistant = await holdfast.assistant("all-runs", "weather")
    failed = await holdfast.until(await holdfast.run(assistant))
    waiting = await holdfast.until(await holdfast.run(assistant))

    assert (await _ids(http, "/v1/runs", limit=2)) == [waiting.id, failed.id]
    assert (await _ids(http, "/v1/runs", limit=1, status="failed")) == [failed.id]
    assert (await _ids(http, "/v1/runs", limit=1, status="requires_action")) == [waiting.id]
    assert failed.id not in await _ids(http, "/v1/runs", limit=100, status="completed")


async def test_cursor_may_be_run_that_no_longer_matches_status(
    holdfast: RunningHoldfast, http: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.script("all-runs-cursor", *[Calls(("weather", "{}"))] * 3, Says("Hi."))
    assistant = await holdfast.assistant("all-runs-cursor", "weather")
    runs = [await holdfast.until(await holdfast.run(assistant), "requires_action") for _ in range(3)]
    query = {"status": "requires_action", "limit": 1}
    assert await _ids(http, "/v1/runs", **query, after=runs[2].id) == [runs[1].id]

    await holdfast.until(await holdfast.submit(runs[1], "Sunny"), "completed")

    assert await _ids(http, "/v1/runs", **query, after=runs[1].id) == [runs[0].id]
    assert await _ids(http, "/v1/runs", **query, before=runs[1].id) == [runs[2].id]


@pytest.mark.parametrize("path", ["/v1/threads", "/v1/runs"])
async def test_unknown_cursor_is_not_found(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path, params={"after": "thread_nothing"})

    assert response.status_code == 404


@pytest.mark.any_database
async def test_unknown_status_is_rejected(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/runs", params={"status": "lost"})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "status"


@pytest.mark.any_database
@pytest.mark.parametrize("path", ["/health", "/v1/health"])
async def test_health_is_served_under_both_base_urls(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)

    assert response.status_code == 200
    assert response.json()["database"] == "ok"
