"""`holdfast runs` against a running server: its commands in this process, and the real program in a terminal."""

import asyncio
import getpass
import json
import os
import pty
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from openai.types.beta.threads import Run

from cli.ops_client import OpsClient
from cli.run_actions import found
from infra.temporal import ui_url
from models.lists import MAX_LIMIT
from models.tool_formats.file_search import INVALID_ARGUMENTS
from tests.cli.program import HOLDFAST, ROOT, Place, free_ports, run_here, run_to_end
from tests.conftest import settings_for
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.provider.replies import Calls, Fails, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.resets import closed
from tests.searched_stores import searching

pytestmark = pytest.mark.any_database

Finalized = subprocess.CompletedProcess[str]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.new(tmp_path)


async def _holdfast(place: Place, holdfast: RunningHoldfast, *command: str) -> Finalized:
    """`holdfast runs …`, while this process goes on serving."""
    return await asyncio.to_thread(run_here, place, "runs", *command, HOLDFAST_URL=holdfast.url)


def _lines(ended: Finalized) -> list[dict[str, Any]]:
    assert ended.stderr == ""
    return [json.loads(line) for line in ended.stdout.splitlines()]


async def _failed(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str, *, times: int = 1) -> list[Run]:
    """Runs of one assistant, a new one per test, whose only turn failed."""
    assistant = await holdfast.assistant(model)
    provider.script(model, *[Fails(401, "No such key.") for _ in range(times)])
    return [await holdfast.until(await holdfast.run(assistant), "failed") for _ in range(times)]


async def test_list_prints_matching_runs_as_table_and_as_json(
    place: Place, holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    first, second = await _failed(holdfast, provider, "cli-list", times=2)
    filters = ("--status", "failed", "--assistant", first.assistant_id, "--error", "server_error", "--since", "1h")

    table = await _holdfast(place, holdfast, "list", *filters)
    as_json = await _holdfast(place, holdfast, "list", *filters, "--json")
    one = await _holdfast(place, holdfast, "list", *filters, "--json", "--limit", "1")
    of_thread = await _holdfast(place, holdfast, "list", "--thread", first.thread_id, "--json")
    others = await _holdfast(place, holdfast, "list", *filters[2:4], "--status", "completed", "--json")

    head, *rows = table.stdout.splitlines()
    assert table.returncode == 0
    assert head.split()[:4] == ["RUN", "STATUS", "CREATED", "TOOK"]
    assert [row.split()[:2] for row in rows] == [[second.id, "failed"], [first.id, "failed"]]
    assert all("cli-list" in row and "server_error" in row for row in rows)
    assert [run["id"] for run in _lines(as_json)] == [second.id, first.id]
    assert [run["id"] for run in _lines(one)] == [second.id]
    assert [run["id"] for run in _lines(of_thread)] == [first.id]
    assert _lines(others) == []


async def test_list_continues_after_a_page(place: Place, holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    assistant = await holdfast.assistant("cli-pages", "weather")
    thread = await holdfast.client.beta.threads.create(extra_body={"on_active_run": "enqueue"})
    provider.script("cli-pages", Calls(("weather", "{}")))
    # The first waits for its outputs, the others for the first.
    create = holdfast.client.beta.threads.runs.create
    runs = [await create(thread.id, assistant_id=assistant) for _ in range(MAX_LIMIT + 1)]

    listed = _lines(await _holdfast(place, holdfast, "list", "--assistant", assistant, "--limit", "1000", "--json"))
    await holdfast.client.beta.threads.delete(thread.id)

    assert [run["id"] for run in listed] == [run.id for run in reversed(runs)]


async def test_show_prints_the_course_of_a_run_without_content(
    place: Place, holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    secret = "the cat is in the bag"
    provider.script("cli-show", Calls(("weather", json.dumps({"city": secret}))), Fails(401, "No [such] key."))
    assistant = await holdfast.assistant("cli-show", "weather", instructions=secret)
    waiting = await holdfast.until(await holdfast.run(assistant, secret))
    run = await holdfast.until(await holdfast.submit(waiting, secret), "failed")
    provider.script("cli-show", Says(secret))
    await _holdfast(place, holdfast, "retry", run.id)
    await holdfast.until(run, "completed")
    await closed(holdfast.resources.temporal.get_workflow_handle(run.id))

    shown = await _holdfast(place, holdfast, "show", run.id)
    as_json = await _holdfast(place, holdfast, "show", run.id, "--json")

    text = shown.stdout
    facts = dict(re.findall(r"^(\w[\w ]+?) {2,}(.*\S)\s*$", text, re.MULTILINE))
    assert (facts["Run"], facts["Status"], facts["Thread"]) == (run.id, "completed", run.thread_id)
    assert (facts["Model"], facts["Tokens"], facts["Workflow"]) == ("cli-show", "20 + 10", "completed")
    assert facts["Temporal UI"] == f"{ui_url(holdfast.resources.settings)}/namespaces/default/workflows/{run.id}"
    assert "calls weather" in text
    assert "No [such] key." in text
    assert f"{getpass.getuser()}@{socket.gethostname()}" in text
    [document] = _lines(as_json)
    assert [turn["is_finished"] for turn in document["turns"]] == [True, True]
    assert secret not in text + as_json.stdout


async def test_show_prints_the_servers_calls_with_time_and_errors(
    place: Place, holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    secret = "the cat is in the bag"
    searches = [("file_search", json.dumps({"queries": [secret]})), ("file_search", secret)]
    provider.script("cli-search", Calls(*searches), Says(secret))
    run = await holdfast.until(await holdfast.run(await searching(holdfast, "cli-search")))

    shown = await _holdfast(place, holdfast, "show", run.id)
    as_json = await _holdfast(place, holdfast, "show", run.id, "--json")

    assert len(re.findall(r"calls file_search \(\d+\.\d s\)", shown.stdout)) == 2
    assert f"failed: {INVALID_ARGUMENTS}" in shown.stdout
    [document] = _lines(as_json)
    answered, failed = document["turns"][0]["tool_calls"]
    assert (answered["kind"], answered["attempts"], answered["error"], answered["failures"]) == (
        "file_search",
        1,
        None,
        [],
    )
    assert failed["error"] == INVALID_ARGUMENTS
    assert secret not in shown.stdout + as_json.stdout


async def test_retry_of_named_runs_tells_which_were_refused(
    place: Place, holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    [run] = await _failed(holdfast, provider, "cli-retry")
    provider.script("cli-retry", Says("Hi."))

    retried = await _holdfast(place, holdfast, "retry", run.id)
    await holdfast.until(run, "completed")
    refused = await _holdfast(place, holdfast, "retry", run.id, "run_unknown", "../threads")

    assert (retried.returncode, retried.stderr) == (0, "")
    assert retried.stdout.splitlines() == [f"{run.id}  queued", "Retried 1 of 1 runs."]
    assert refused.returncode == 1
    assert refused.stdout.splitlines()[:2] == [
        f"{run.id}  refused: Cannot retry run with status 'completed': only a failed run can be retried.",
        "run_unknown  refused: No run found with id 'run_unknown'.",
    ]
    assert refused.stdout.splitlines()[-1] == "Retried 0 of 3 runs."


async def test_retry_failed_takes_all_that_the_filters_leave(
    place: Place, holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    runs = await _failed(holdfast, provider, "cli-failed", times=3)
    others = await _failed(holdfast, provider, "cli-other")
    provider.script("cli-failed", Says("Hi."), Says("Hi."), Says("Hi."))
    filters = ("--failed", "--since", "1h", "--assistant", runs[0].assistant_id)

    none = await _holdfast(place, holdfast, "retry", *filters, "--error", "rate_limit_exceeded", "--json")
    oldest = await _holdfast(place, holdfast, "retry", *filters, "--limit", "1", "--json")
    rest = await _holdfast(place, holdfast, "retry", *filters, "--error", "server_error", "--json")

    assert (none.returncode, none.stdout) == (0, "")
    assert _lines(oldest) == [{"id": runs[0].id, "status": "queued", "refused": None}]
    assert [line["id"] for line in _lines(rest)] == [runs[1].id, runs[2].id]
    for run in runs:
        assert (await holdfast.until(run, "completed")).status == "completed"
    assert (await holdfast.until(others[0])).status == "failed"


async def test_cancel_of_named_runs_and_of_all_that_the_filters_leave(
    place: Place, holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    assistant = await holdfast.assistant("cli-cancel", "weather")
    provider.script("cli-cancel", *[Calls(("weather", "{}"))] * 3)
    runs = [await holdfast.until(await holdfast.run(assistant), "requires_action") for _ in range(3)]

    named = await _holdfast(place, holdfast, "cancel", runs[0].id, "--json")
    again = await _holdfast(place, holdfast, "cancel", runs[0].id, "--json")
    rest = await _holdfast(place, holdfast, "cancel", "--active", "--assistant", assistant, "--json")

    assert (named.returncode, again.returncode, rest.returncode) == (0, 1, 0)
    assert _lines(named)[0]["status"] in ("cancelling", "cancelled")
    assert "Cannot cancel run with status" in _lines(again)[0]["refused"]
    assert [line["id"] for line in _lines(rest)] == [runs[1].id, runs[2].id]
    for run in runs:
        assert (await holdfast.until(run, "cancelled")).status == "cancelled"


async def test_a_run_that_moves_from_one_filter_to_the_next_is_found_once(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("cli-moves", *[Calls(("weather", "{}"))] * 2)
    assistant = await holdfast.assistant("cli-moves", "weather")
    runs = [await holdfast.until(await holdfast.run(assistant), "requires_action") for _ in range(2)]
    # Both match the second run, as they would if it were taken up between the two lists.
    filters = [{"thread": runs[1].thread_id}, {"assistant": assistant}]

    run_ids = await asyncio.to_thread(found, OpsClient(holdfast.url, None), filters, None)

    assert sorted(run_ids) == sorted(run.id for run in runs)


async def test_a_terminal_sees_the_progress_of_bulk_work(
    place: Place, holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    runs = await _failed(holdfast, provider, "cli-progress", times=2)
    provider.script("cli-progress", Says("Hi."), Says("Hi."))

    shown = await asyncio.to_thread(_in_terminal, place, holdfast.url, "retry", *(run.id for run in runs))

    assert "100%" in shown
    assert "Retried 2 of 2 runs." in shown


def _in_terminal(place: Place, url: str, *command: str) -> str:
    """The terminal output of `holdfast runs`."""
    ours, theirs = pty.openpty()
    environment = place.environment(HOLDFAST_URL=url, TERM="xterm", COLUMNS="100")
    process = subprocess.Popen([*HOLDFAST, "runs", *command], cwd=ROOT, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # How Linux says that the other side has closed.
            break
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("retry",), "Name runs, or say --failed"),
        (("retry", "run_x", "--failed"), "Name runs, or say --failed"),
        (("retry", "run_x", "--since", "1h"), "Filters go with --failed"),
        (("cancel",), "Name runs, or say --active"),
        (("list", "--since", "yesterday"), "'yesterday' is no duration"),
        (("list", "--status", "lost"), "'lost' is not one of"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(place: Place, command: tuple[str, ...], said: str) -> None:
    refused = run_here(place, "runs", *command, COLUMNS="200")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in " ".join(refused.stderr.split())


def _refusal(ended: Finalized) -> str:
    lines = ended.stderr.splitlines()
    assert (ended.returncode, ended.stdout, len(lines)) == (1, "", 1), ended
    return lines[0]


def test_a_server_that_does_not_answer_is_named(place: Place) -> None:
    default = _refusal(run_here(place, "runs", "list"))
    named = _refusal(run_here(place, "runs", "retry", "run_x", "--url", f"http://127.0.0.1:{free_ports(1)[0]}/v1/"))
    no_url = _refusal(run_here(place, "runs", "show", "run_x", "--url", "nonsense"))

    assert default.startswith(f"holdfast: Holdfast at {place.url} does not answer: ")
    assert default.endswith("Start it, or name it with --url or HOLDFAST_URL.")
    assert "/v1" not in named
    assert no_url.startswith("holdfast: Holdfast at nonsense does not answer: ")


async def test_a_server_that_is_not_holdfast_is_recognized(place: Place, provider: ScriptedProvider) -> None:
    ended = await asyncio.to_thread(run_here, place, "runs", "show", "run_x", "--url", provider.url)

    assert _refusal(ended).startswith(f"holdfast: What answers at {provider.url.removesuffix('/v1')} is no Holdfast.")


async def test_an_unknown_run_is_reported_in_one_line(place: Place, holdfast: RunningHoldfast) -> None:
    ended = await asyncio.to_thread(run_to_end, place, "runs", "show", "run_unknown", HOLDFAST_URL=holdfast.url)

    assert _refusal(ended) == "holdfast: No run found with id 'run_unknown'."


def test_of_several_keys_one_has_to_be_named(place: Place) -> None:
    ended = run_here(place, "runs", "list", HOLDFAST_API_KEYS="sk-blue=blue,sk-red=red")

    line = _refusal(ended)
    assert line.endswith("name one with --api-key or HOLDFAST_API_KEY.")
    assert "sk-" not in line


async def test_the_key_comes_from_the_option_the_environment_or_the_settings(
    place: Place, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, temporal_port, provider).model_copy(update={"api_keys": {"sk-blue": "blue"}})
    async with running_holdfast(settings, with_worker=False) as keyed:
        here = {"HOLDFAST_PORT": keyed.url.rpartition(":")[2], "HOLDFAST_API_KEYS": "sk-blue=blue"}

        async def listed(*options: str, **environment: str) -> Finalized:
            return await asyncio.to_thread(run_here, place, "runs", "list", "--json", *options, **environment)

        option = await listed("--url", keyed.url, "--api-key", "sk-blue")
        environment = await listed("--url", keyed.url, HOLDFAST_API_KEY="sk-blue")
        from_settings = await listed(**here)
        not_for_others = await listed("--url", keyed.url, HOLDFAST_API_KEYS="sk-blue=blue")
        wrong = await listed("--url", keyed.url, "--api-key", "sk-red")

    assert [ended.returncode for ended in (option, environment, from_settings)] == [0, 0, 0]
    assert _refusal(not_for_others).startswith("holdfast: You didn't provide an API key.")
    assert _refusal(wrong).startswith("holdfast: Incorrect API key provided")
    assert _refusal(wrong).endswith("Name a key with --api-key or HOLDFAST_API_KEY.")


async def test_an_operators_key_comes_first_and_its_rows_name_their_project(
    place: Place, temporal_port: int, provider: ScriptedProvider, tmp_path: Path
) -> None:
    keys = {"api_keys": {"sk-blue": "blue", "sk-red": "red"}, "operator_keys": ("sk-operator",)}
    settings = settings_for(tmp_path, temporal_port, provider).model_copy(update=keys)
    async with running_holdfast(settings, with_worker=False) as keyed:
        for key in keys["api_keys"]:
            client = keyed.client.with_options(api_key=key)
            assistant = await client.beta.assistants.create(model="holdfast/scripted")
            await client.beta.threads.create_and_run(assistant_id=assistant.id)
        here = {"HOLDFAST_PORT": keyed.url.rpartition(":")[2], "HOLDFAST_OPERATOR_KEYS": "sk-operator"}

        table = await asyncio.to_thread(run_here, place, "runs", "list", HOLDFAST_API_KEYS="sk-blue=blue", **here)
        of_blue = await asyncio.to_thread(
            run_here, place, "runs", "list", "--json", "--url", keyed.url, "--api-key", "sk-blue"
        )

    head, *rows = table.stdout.splitlines()
    assert "PROJECT" in head
    assert [row.split()[-3] for row in rows] == ["red", "blue"]
    assert [run["project"] for run in _lines(of_blue)] == ["blue"]
