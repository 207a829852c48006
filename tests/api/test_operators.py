"""Operators' keys: they give access to all projects' runs and metrics, and to no project's objects."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.api.envelope import assert_error
from tests.conftest import NewDatabase, settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.scripted_provider import ScriptedProvider

BLUE, RED, OPERATOR = "sk-blue", "sk-red", "sk-operator"


@pytest.fixture(scope="module")
async def shared(
    temporal_port: int,
    provider: ScriptedProvider,
    new_database: NewDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[RunningHoldfast]:
    """A Holdfast with two projects and an operator, without a worker."""
    settings = settings_for(
        tmp_path_factory.mktemp("operated"),
        temporal_port,
        provider,
        new_database(),
        api_keys={BLUE: "blue", RED: "red"},
        operator_keys=("sk-first", OPERATOR),
    )
    async with running_holdfast(settings, with_worker=False) as running:
        yield running


async def _ask(holdfast: RunningHoldfast, key: str, method: str, path: str, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", **options.pop("headers", {})}
    async with httpx.AsyncClient(base_url=holdfast.url, headers=headers) as http:
        return await http.request(method, path, **options)


async def _run(holdfast: RunningHoldfast, key: str) -> str:
    made = await _ask(holdfast, key, "POST", "/v1/assistants", json={"model": SCRIPTED_MODEL})
    run = await _ask(holdfast, key, "POST", "/v1/threads/runs", json={"assistant_id": made.json()["id"]})
    return str(run.json()["id"])


async def _listed(holdfast: RunningHoldfast, key: str) -> dict[str, str]:
    response = await _ask(holdfast, key, "GET", "/ops/runs", params={"limit": 100})
    return {run["id"]: run["project"] for run in response.json()["data"]}


async def test_operator_lists_runs_of_all_projects_and_project_its_own(shared: RunningHoldfast) -> None:
    blue, red = await _run(shared, BLUE), await _run(shared, RED)

    of_operator = await _listed(shared, OPERATOR)
    of_blue = await _listed(shared, BLUE)
    page = (await _ask(shared, OPERATOR, "GET", "/ops/runs", params={"limit": 1})).json()
    after = await _ask(shared, OPERATOR, "GET", "/ops/runs", params={"after": red, "since": 0, "status": "queued"})

    assert {blue: "blue", red: "red"}.items() <= of_operator.items()
    assert blue in of_blue
    assert set(of_blue.values()) == {"blue"}
    assert [run["id"] for run in page["data"]] == [red]
    assert after.json()["data"][0]["id"] == blue


async def test_operator_may_act_on_any_run(shared: RunningHoldfast) -> None:
    run = await _run(shared, BLUE)
    key = {"Idempotency-Key": "operators-cancel"}

    timeline = await _ask(shared, OPERATOR, "GET", f"/ops/runs/{run}")
    retry = await _ask(shared, OPERATOR, "POST", f"/ops/runs/{run}/retry", json={})
    of_red = await _ask(shared, RED, "POST", f"/ops/runs/{run}/cancel")
    cancelled = await _ask(shared, OPERATOR, "POST", f"/ops/runs/{run}/cancel", headers=key)
    again = await _ask(shared, OPERATOR, "POST", f"/ops/runs/{run}/cancel", headers=key)

    assert (timeline.json()["id"], timeline.json()["project"]) == (run, "blue")
    assert_error(retry, 400, "Cannot retry run with status 'queued': only a failed run can be retried.")
    assert_error(of_red, 404, f"No run found with id '{run}'.")
    assert cancelled.json()["status"] in ("cancelling", "cancelled")
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/v1/assistants"), ("POST", "/v1/threads"), ("GET", "/v1/models"), ("GET", "/v1/threads/thread_x")),
        *(("GET", "/ops/web_retrieval"), ("DELETE", "/ops/web_retrieval"), ("GET", "/ops/web_retrieval/crawl_x")),
    ],
)
async def test_operator_key_gives_no_access_to_objects(shared: RunningHoldfast, method: str, path: str) -> None:
    response = await _ask(shared, OPERATOR, method, path)

    message = (
        "An operator's key names no project, and this route is about one: use a project's key, one of "
        "HOLDFAST_API_KEYS."
    )
    assert_error(response, 403, message, code="project_key_required")


async def test_metrics_require_operator_key(shared: RunningHoldfast) -> None:
    message = "This route is about all projects: use an operator's key, one of HOLDFAST_OPERATOR_KEYS."

    assert_error(await _ask(shared, BLUE, "GET", "/metrics"), 403, message, code="operator_key_required")
    assert (await _ask(shared, "sk-unknown", "GET", "/metrics")).status_code == 401
    assert "holdfast_runs_active" in (await _ask(shared, OPERATOR, "GET", "/metrics")).text


async def test_metrics_require_operator_key_without_api_keys_if_operators_are_set(
    temporal_port: int, provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = settings_for(tmp_path_factory.mktemp("own"), temporal_port, provider, operator_keys=OPERATOR)
    async with running_holdfast(settings, with_worker=False) as own:
        assert (await _ask(own, "any", "GET", "/v1/assistants")).status_code == 200
        assert (await _ask(own, "any", "GET", "/metrics")).status_code == 403
        assert (await _ask(own, OPERATOR, "GET", "/metrics")).status_code == 200
