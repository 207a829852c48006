"""Parts of the scenarios: their registry, the objects that they start from, and their assertions.

This code runs under SDK releases of several years: the client is `Any`, for no one release's types hold for all.
"""

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

import openai

from tests.conformance.python_program.checked_client import has_request_id
from tests.conformance.scenario import Scenario, Scenarios, equal

__all__ = ["Scenario", "equal"]

MODEL = "holdfast/scripted"
SPEAKS_AND_HANGS = "speaks-and-hangs"
"""Says "Once upon" and then nothing more."""

CUT_OFF = "cut-off"
"""Says "Once upon" and has no more tokens."""

STOPPED_BY_FILTER = "stopped-by-filter"
"""Says "Once upon", and the provider's content filter stops it."""

LEAVE = "Every employee has 27 days of paid vacation a year."
MARKER = "【0:0†page.md】"
FOUND = f"file_search returned: {LEAVE} {MARKER}"
"""What the model says after a search."""

CODE = """from PIL import Image
open("/mnt/data/a.csv", "w").write("a")
print("It is in sandbox:/mnt/data/a.csv")
Image.Image()
"""
CODE_MESSAGE = f"Run this:\n```python\n{CODE}```"
LOGS, LINK = "It is in sandbox:/mnt/data/a.csv\n", "sandbox:/mnt/data/a.csv"

PARTS = "The pump needs the gasket AX-4410/B."

_SCENARIOS = Scenarios()
SCENARIOS, operation = _SCENARIOS.by_operation, _SCENARIOS.operation


class Sdk:
    """A client's resources by name, and objects for scenarios that are about something else.

    Its properties are made once, for scenarios that do not change them.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.models = client.models
        self.files = client.files
        # Releases without it are too old for its operations.
        self.uploads: Any = getattr(client, "uploads", None)
        self.vector_stores = client.vector_stores if hasattr(client, "vector_stores") else client.beta.vector_stores
        self.assistants = client.beta.assistants
        self.threads = client.beta.threads
        self.messages = client.beta.threads.messages
        self.runs = client.beta.threads.runs
        self.steps = client.beta.threads.runs.steps

    def assistant(self, *functions: str) -> Any:
        tools = [function_tool(name) for name in functions]
        return self.assistants.create(model=MODEL, instructions="Be brief.", tools=tools)

    def searching_assistant(self, *functions: str) -> Any:
        """It searches the store of `leave`, and has functions of these names."""
        return self.assistants.create(
            model=MODEL,
            tools=[{"type": "file_search"}, *(function_tool(name) for name in functions)],
            tool_resources={"file_search": {"vector_store_ids": [self.leave.vector_store_id]}},
        )

    def coding_assistant(self) -> Any:
        """It runs the code of the user's message."""
        return self.assistants.create(model=MODEL, tools=[{"type": "code_interpreter"}])

    def thread(self, *texts: str) -> Any:
        return self.threads.create(messages=[{"role": "user", "content": text} for text in texts])

    @cached_property
    def completed_run(self) -> Any:
        return self.new_completed_run()

    def new_completed_run(self) -> Any:
        return self.threads.create_and_run_poll(assistant_id=self.assistant().id, thread=thread_of("Hello"))

    @cached_property
    def unanswered_run(self) -> Any:
        """It waits for the outputs of two functions."""
        return self.waiting_run("get_weather", "get_time")

    def waiting_run(self, *functions: str) -> Any:
        """A run that waits for the outputs of `functions`, and so keeps its thread until it gets them."""
        assistant = self.assistant(*functions)
        run = self.threads.create_and_run_poll(assistant_id=assistant.id, thread=thread_of("What is it like in Oslo?"))
        equal(run.status, "requires_action")
        return run

    def finish(self, run: Any) -> Any:
        """Answer a waiting run's calls and wait for its end."""
        outputs = outputs_of(run)
        return self.runs.submit_tool_outputs_and_poll(run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs)

    def file(self, text: str = LEAVE) -> Any:
        return self.files.create(file=("page.md", text.encode()), purpose="assistants")

    def store(self) -> Any:
        return self.vector_stores.create(name="Handbook")

    @cached_property
    def leave(self) -> Any:
        """The only file of its store."""
        return self.stored_file(self.store())

    @cached_property
    def chapters(self) -> tuple[Any, Any]:
        """The two files of a store."""
        store = self.store()
        leave = self.stored_file(store, LEAVE, attributes={"chapter": 1, "draft": False})
        return leave, self.stored_file(store, PARTS, attributes={"chapter": 2})

    @cached_property
    def completed_batch(self) -> Any:
        """Of two files, in a store that had none."""
        ids = [self.file(text).id for text in (LEAVE, PARTS)]
        return self.vector_stores.file_batches.create_and_poll(self.store().id, file_ids=ids)

    def stored_file(self, store: Any, text: str = LEAVE, **fields: Any) -> Any:
        """A new file with this text, searchable in the store."""
        file_id = self.file(text).id
        added = self.vector_stores.files.create_and_poll(file_id=file_id, vector_store_id=store.id, **fields)
        equal(added.status, "completed")
        return added

    def texts(self, thread_id: str) -> list[str]:
        """The texts of the thread's messages, oldest first."""
        return [message.content[0].text.value for message in self.messages.list(thread_id, order="asc")]


def function_tool(name: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": f"Calls {name}.", "parameters": parameters}}


def thread_of(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def calls_of(run: Any) -> list[Any]:
    return list(run.required_action.submit_tool_outputs.tool_calls)


def outputs_of(run: Any) -> list[dict[str, str]]:
    return [{"tool_call_id": call.id, "output": f"sunny, says {call.function.name}"} for call in calls_of(run)]


def has(answer: Any, **fields: object) -> None:
    """The answer has these fields with just these values."""
    sent = answer.model_dump()
    for name, expected in fields.items():
        if name not in sent or sent[name] != expected:
            raise AssertionError(f"{name} is {sent.get(name, 'missing')!r}, expected {expected!r}")


def has_id(answer: Any, prefix: str) -> None:
    _matches(answer, f"{prefix}_[A-Za-z0-9]{{24}}")


def has_file_id(answer: Any) -> None:
    _matches(answer, "file-[A-Za-z0-9]{24}")


def has_dated_id(answer: Any, prefix: str) -> None:
    _matches(answer, f"{prefix}_[0-9a-f]{{32}}")


def _matches(answer: Any, pattern: str) -> None:
    if not re.fullmatch(pattern, answer.id):
        raise AssertionError(f"id is {answer.id!r}, expected {pattern}")


def is_page_of(page: Any, *items: Any, has_more: bool) -> None:
    """The page contains these items in this order, and names its first and last."""
    equal([item.id for item in page.data], [item.id for item in items])
    has(page, object="list", first_id=items[0].id, last_id=items[-1].id, has_more=has_more)


def refused(
    call: Callable[[], object],
    error_class: type[openai.APIStatusError],
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
) -> None:
    """The call raises just this class, with just this error in the envelope; at Azure's addresses each has a code."""
    try:
        call()
    except openai.APIStatusError as error:
        code = code or ("invalid_request_error" if error.request.url.path.startswith("/openai/") else None)
        expected = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        equal((type(error).__name__, error.body), (error_class.__name__, expected))
        equal((error.code, error.param, error.type), (code, param, "invalid_request_error"))
        equal(has_request_id(error.response), True)
    else:
        raise AssertionError(f"was not refused, expected {error_class.__name__}: {message}")
