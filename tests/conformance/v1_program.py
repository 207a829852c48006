"""Tries what only the first beta has, with the SDK release of this Python. Arguments: the server's URL and a key."""

import json
import sys
from collections.abc import Callable
from typing import Any

from tests.conformance.python_program.checked_client import CheckedClient
from tests.conformance.python_program.scenarios import LEAVE, MODEL, PARTS, equal, has

RETRIEVAL = {"type": "retrieval"}
Scenario = Callable[["V1"], None]


class V1:
    def __init__(self, client: Any) -> None:
        self.client = client
        self.assistants = client.beta.assistants
        self.threads = client.beta.threads

    def file(self, text: str = LEAVE) -> str:
        return str(self.client.files.create(file=("page.md", text.encode()), purpose="assistants").id)

    def assistant(self, *file_ids: str) -> Any:
        return self.assistants.create(model=MODEL, tools=[RETRIEVAL], file_ids=list(file_ids))


def assistant_with_files(v1: V1) -> None:
    first, second = v1.file(), v1.file(PARTS)

    created = v1.assistant(first)
    changed = v1.assistants.update(created.id, file_ids=[second])

    has(created, tools=[RETRIEVAL], file_ids=[first])
    has(changed, tools=[RETRIEVAL], file_ids=[second])
    equal(v1.assistants.retrieve(created.id), changed)


def assistant_files(v1: V1) -> None:
    files, assistant = v1.assistants.files, v1.assistant()
    first, second = v1.file(), v1.file(PARTS)

    created = [files.create(assistant.id, file_id=file_id) for file_id in (first, second)]

    has(created[0], id=first, object="assistant.file", assistant_id=assistant.id)
    equal(files.retrieve(second, assistant_id=assistant.id), created[1])
    # Page by page.
    equal([file.id for file in files.list(assistant.id, order="asc", limit=1)], [first, second])
    has(files.delete(first, assistant_id=assistant.id), id=first, object="assistant.file.deleted", deleted=True)
    equal([file.id for file in files.list(assistant.id)], [second])


def message_files(v1: V1) -> None:
    first, second, thread = v1.file(), v1.file(PARTS), v1.threads.create()
    messages = v1.threads.messages

    message = messages.create(thread.id, role="user", content="Hello", file_ids=[first, second])

    has(message, file_ids=[first, second])
    ids = {"thread_id": thread.id, "message_id": message.id}
    found = messages.files.retrieve(second, **ids)
    has(found, id=second, object="thread.message.file", message_id=message.id, created_at=message.created_at)
    equal([file.id for file in messages.files.list(message.id, thread_id=thread.id, limit=1)], [second, first])


def run_that_retrieves(v1: V1) -> None:
    file_id = v1.file()
    thread = {"messages": [{"role": "user", "content": "vacation", "file_ids": [file_id]}]}

    run = v1.threads.create_and_run_poll(assistant_id=v1.assistant().id, thread=thread)

    has(run, status="completed", tools=[RETRIEVAL])
    steps = v1.threads.runs.steps.list(run.id, thread_id=run.thread_id, order="asc").data
    (call,) = steps[0].step_details.tool_calls
    has(call, type="retrieval", retrieval={})
    answer = v1.threads.messages.list(run.thread_id).data[0].content[0].text.value
    equal(LEAVE in answer, True)


def stream_that_retrieves(v1: V1) -> None:
    thread = v1.threads.create(messages=[{"role": "user", "content": "vacation", "file_ids": [v1.file()]}])

    with v1.threads.runs.create_and_stream(thread_id=thread.id, assistant_id=v1.assistant().id) as stream:
        stream.until_done()

    has(stream.get_final_run(), status="completed")
    equal(stream.get_final_run_steps()[0].step_details.tool_calls[0].type, "retrieval")


SCENARIOS: tuple[Scenario, ...] = (
    assistant_with_files,
    assistant_files,
    message_files,
    run_that_retrieves,
    stream_that_retrieves,
)


def main(url: str, key: str) -> None:
    client = CheckedClient(base_url=url, api_key=key, max_retries=0, timeout=30)
    for scenario in SCENARIOS:
        line = json.dumps({"operation": scenario.__name__, "problem": _problem(client, scenario)})
        sys.stdout.write(f"{line}\n")


def _problem(client: CheckedClient, scenario: Scenario) -> str | None:
    found = []
    try:
        scenario(V1(client))
    except Exception as error:  # noqa: BLE001 - any error is the outcome
        found.append(f"{type(error).__name__}: {error}")
    return "; ".join([*client.take_violations(), *found]) or None


if __name__ == "__main__":
    main(*sys.argv[1:])
