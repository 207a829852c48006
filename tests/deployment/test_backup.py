"""Back up and restore, with the commands of docs/operations.md."""

import re
from collections.abc import Awaitable, Callable

import pytest
from openai import AsyncOpenAI
from openai.types.beta import FunctionToolParam
from openai.types.beta.threads import Run

from infra.vector_index.weaviate_index import open_weaviate_index
from models.search_index import IndexedChunk, IndexedFile, IndexedStore
from tests.cli.program import ROOT
from tests.deployment.stack import Stack
from tests.program import until
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = [pytest.mark.xdist_group("deployment"), pytest.mark.timeout(1800)]

DOCS = (ROOT / "docs" / "operations.md").read_text()
IN_CONTAINER = "docker compose exec -T postgres "
IN_NEW_CONTAINER = "docker compose run --rm --no-deps -T --entrypoint "
CONTENT = b"id;city\n1;Oslo\n" * 1000
TOOL: FunctionToolParam = {"type": "function", "function": {"name": "get_weather"}}


async def test_runs_continue_after_a_restore(stack: Stack, models: ScriptedProvider) -> None:
    models.script("deployed-parked", Calls(("get_weather", "{}")), Says("Lost."), Says("Sunny."))
    client = stack.client()
    file = await client.files.create(file=("kept.csv", CONTENT), purpose="vision")
    parked = await _begun(client, "deployed-parked")
    await until(_has(client, parked, "requires_action"), "the run does not ask for its call")

    [names, dump] = _one(r"for name in ([\w ]+); do\n +(.+)\n").groups()
    first, *others = names.split()
    _run(stack, dump, first)
    # Only the dumps that come after know of it.
    models.script("deployed-late", Calls(("get_weather", "{}")), Says("Late."))
    late = await _begun(client, "deployed-late")
    await until(_has(client, late, "requires_action"), "the run does not ask for its call")
    for name in others:
        _run(stack, dump, name)
    await stack.stop("objects")
    _run_in_objects(stack, *_one(r"\n(docker compose run .+ > objects.tar)\n").groups())
    await stack.up("objects")
    # Changes after the backup are lost.
    await _submit(client, parked)
    await until(_has(client, parked, "completed"), "the run does not end")
    await client.files.delete(file.id)

    [stopped] = _one(r"`docker compose stop ([\w ]+)`").groups()
    await stack.stop(*stopped.split())
    [restore] = _one(r"`(docker compose exec -T postgres pg_restore .+?)`").groups()
    for name in names.split():
        _run(stack, restore, name)
    _run_in_objects(stack, *_one(r"`(docker compose run .+ < objects.tar)`").groups())
    for service in reversed(stopped.split()):
        await stack.up(service)

    assert (await client.files.content(file.id)).content == CONTENT
    for run, answer in ((parked, "Sunny."), (late, "Late.")):
        assert (await client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)).status == "requires_action"
        await _submit(client, run)
        await until(_has(client, run, "completed"), "the run does not go on after the restore")
        messages = (await client.beta.threads.messages.list(run.thread_id)).data
        assert [message.content[0].text.value for message in messages] == [answer, "Hello!"]  # type: ignore[union-attr]


async def test_search_index_is_restored(stack: Stack) -> None:
    weaviate = stack.weaviate
    [backup] = _one(r"\n(docker compose run .+ > weaviate.tar)\n").groups()
    [restore] = _one(r"`(docker compose run .+ < weaviate.tar)`").groups()
    store, file = IndexedStore("vs_kept", None, 0), IndexedFile("file-kept", 1)
    kept = IndexedChunk(0, "The kettle is on the second shelf.")
    async with open_weaviate_index(weaviate.url) as index:
        await index.upsert(store, file, [kept])
        weaviate.stop()
        _run_in_weaviate(stack, backup)
        weaviate.start()
        await index.drop(store)
        assert await index.chunks(store, file, -1, 10) == []

        weaviate.stop()
        _run_in_weaviate(stack, restore)
        weaviate.start()

        assert await index.chunks(store, file, -1, 10) == [kept]


async def _begun(client: AsyncOpenAI, model: str) -> Run:
    assistant = await client.beta.assistants.create(model=model, tools=[TOOL])
    return await client.beta.threads.create_and_run(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hello!"}]}
    )


async def _submit(client: AsyncOpenAI, run: Run) -> None:
    run = await client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)
    assert run.required_action is not None
    [call] = run.required_action.submit_tool_outputs.tool_calls
    await client.beta.threads.runs.submit_tool_outputs(
        run.id, thread_id=run.thread_id, tool_outputs=[{"tool_call_id": call.id, "output": "sunny"}]
    )


def _has(client: AsyncOpenAI, run: Run, status: str) -> Callable[[], Awaitable[bool]]:
    async def has() -> bool:
        return (await client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)).status == status

    return has


def _run(stack: Stack, command: str, name: str) -> None:
    assert command.startswith(IN_CONTAINER)
    stack.shell(command.removeprefix(IN_CONTAINER), {"name": name})


def _run_in_objects(stack: Stack, command: str) -> None:
    program, arguments = re.fullmatch(f"{IN_NEW_CONTAINER}(\\w+) objects (.+)", command, re.DOTALL).groups()  # type: ignore[union-attr]
    stack.shell(f"{program} {arguments.replace('/data', str(stack.objects_folder))}", {})


def _run_in_weaviate(stack: Stack, command: str) -> None:
    """As `tar` or `sh` does in a container of its own, on the volume."""
    match = re.fullmatch(r"docker compose run --rm --no-deps -T --entrypoint (tar|sh) weaviate (.+)", command)
    assert match
    program, arguments = match.groups()
    volume = stack.services["weaviate"]["volumes"][0]["target"]
    assert volume in arguments
    stack.shell(f"{program} {arguments.replace(volume, str(stack.weaviate.data_folder))}", {})


def _one(pattern: str) -> re.Match[str]:
    [match] = re.finditer(pattern, DOCS)
    return match
