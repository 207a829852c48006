"""The services of docker-compose.yml, run from their packages or their source, with the settings that it gives them."""

from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from openai.types.beta import FunctionToolParam
from redis.asyncio import Redis
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from tests.cli.program import free_ports
from tests.deployment.composed import SECRETS
from tests.deployment.stack import Stack
from tests.program import until
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider

# The first to run may have to build Temporal.
pytestmark = [pytest.mark.xdist_group("deployment"), pytest.mark.timeout(1800)]

WEATHER: FunctionToolParam = {
    "type": "function",
    "function": {"name": "get_weather"},
}
THIRTY_DAYS = 30 * 24 * 3600


def test_each_role_owns_its_databases_and_no_other(stack: Stack) -> None:
    password = SECRETS["TEMPORAL_DB_PASSWORD"]
    address = f"host=127.0.0.1 port={stack.postgres_port} user=temporal password={password}"

    with psycopg.connect(f"{address} dbname=temporal_visibility", autocommit=True) as connection:
        connection.execute("CREATE TABLE its_own ()")
    with (
        psycopg.connect(f"{address} dbname=holdfast") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE public.intruder ()")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"host=127.0.0.1 port={stack.postgres_port} user=holdfast password=guess dbname=holdfast")


@pytest.mark.parametrize("service", ["temporal-schema", "temporal-namespace", "migrate"])
async def test_setup_services_may_run_again(stack: Stack, service: str) -> None:
    await stack.up(service)


async def test_temporal_keeps_workflows_for_as_long_as_runs_can_be_retried(stack: Stack) -> None:
    temporal = await Client.connect(f"127.0.0.1:{stack.temporal_port}")

    request = DescribeNamespaceRequest(namespace="default")
    said = await temporal.workflow_service.describe_namespace(request)

    assert said.config.workflow_execution_retention_ttl.seconds == THIRTY_DAYS


async def test_function_calls_through_the_proxy(stack: Stack, models: ScriptedProvider) -> None:
    models.script("deployed-calls", Calls(("get_weather", "{}")), Says("It is sunny."))
    client = stack.client()
    assistant = await client.beta.assistants.create(model="deployed-calls", tools=[WEATHER])
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Hello!"}])

    run = await client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "requires_action"
    assert run.required_action is not None
    [call] = run.required_action.submit_tool_outputs.tool_calls
    run = await client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread.id, tool_outputs=[{"tool_call_id": call.id, "output": "sunny"}]
    )

    assert run.status == "completed"
    [answer, _] = (await client.beta.threads.messages.list(thread.id)).data
    assert answer.content[0].type == "text"
    assert answer.content[0].text.value == "It is sunny."
    await _find_in_the_ui(stack, run.id, assistant.id)


async def _find_in_the_ui(stack: Stack, run_id: str, assistant_id: str) -> None:
    """By a search attribute, in the store that Temporal has on Postgres, and at the address that Holdfast links to."""
    query = f"AssistantId = '{assistant_id}' AND RunStatus = 'completed'"
    async with httpx.AsyncClient() as http:

        async def is_listed() -> bool:
            listed = await http.get(f"{stack.ui_url}/api/v1/namespaces/default/workflows", params={"query": query})
            assert listed.is_success, listed.text
            found = listed.json().get("executions", [])
            return [each["execution"]["workflowId"] for each in found] == [run_id]

        await until(is_listed, "the Temporal UI does not list the run")
        headers = {"Authorization": f"Bearer {stack.client().api_key}"}
        shown = (await http.get(f"{stack.url}/ops/runs/{run_id}", headers=headers)).json()
        page = await http.get(f"{stack.ui_url}/")

    published = stack.services["temporal-ui"]["ports"][0]
    assert shown["temporal_url"].startswith(
        f"http://{published['host_ip']}:{published['published']}/namespaces/default/"
    )
    assert page.is_success
    assert "text/html" in page.headers["content-type"]


async def test_files_are_in_the_bucket_of_the_s3_server(stack: Stack) -> None:
    client, content = stack.client(), b"id;city\n1;Oslo\n" * 1000

    file = await client.files.create(file=("cities.csv", content), purpose="vision")

    assert (await client.files.content(file.id)).content == content
    async with httpx.AsyncClient() as without_key:
        refused = await without_key.get(f"{stack.objects_url}/holdfast/files/{file.id}")
    assert refused.status_code == httpx.codes.FORBIDDEN


async def test_files_are_searched_through_the_proxy(stack: Stack) -> None:
    """Each API and worker finds the index in the folder that they share."""
    client = stack.client()
    store = await client.vector_stores.create()

    file = await client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("notes.md", b"The kettle is on the second shelf.")
    )

    assert file.status == "completed"
    for _ in range(2):
        found = await client.vector_stores.search(store.id, query="Where is the kettle?")
        assert [result.file_id for result in found.data] == [file.id]


@pytest.mark.parametrize("service", ["api", "worker", "temporal", "proxy", "objects"])
async def test_a_health_check_is_content_with_its_service(stack: Stack, service: str) -> None:
    changes = {
        "api": {"HOLDFAST_PORT": str(stack.api_port)},
        "worker": {"HOLDFAST_METRICS_PORT": str(stack.worker_ports[0])},
    }

    assert await stack.is_healthy(service, stack.environment(service, **changes.get(service, {})))


@pytest.mark.parametrize(("service", "setting"), [("api", "HOLDFAST_PORT"), ("worker", "HOLDFAST_METRICS_PORT")])
async def test_a_health_check_tells_of_a_service_that_is_not_there(stack: Stack, service: str, setting: str) -> None:
    (port,) = free_ports(1)

    assert not await stack.is_healthy(service, stack.environment(service, **{setting: str(port)}))


async def test_the_databases_and_the_event_stream_answer_as_they_are_asked(stack: Stack) -> None:
    kind, *check = stack.services["postgres"]["healthcheck"]["test"]
    assert kind == "CMD"
    assert "accepting connections" in stack.shell(" ".join(check), {})

    assert stack.services["valkey"]["healthcheck"]["test"] == ["CMD", "valkey-cli", "ping"]
    async with Redis(port=stack.valkey_port) as valkey:
        assert await valkey.ping()
        assert (await valkey.config_get("save"))["save"] == ""
        assert (await valkey.config_get("maxmemory"))["maxmemory"] == str(400 * 1024**2)


async def test_weaviate_answers_as_it_is_asked(stack: Stack) -> None:
    kind, program, *options, url = stack.services["weaviate"]["healthcheck"]["test"]

    assert [kind, program, *options] == ["CMD", "wget", "-q", "-O", "/dev/null"]
    assert url.startswith("http://127.0.0.1:8080/")
    assert stack.weaviate.answers(urlsplit(url).path)
    assert not stack.weaviate.answers("/v1/.well-known/nothing")
