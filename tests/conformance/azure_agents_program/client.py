"""A client of a project's agents, and parts of the scenarios.

The types of one release do not hold for another: what the client returns is `Any`.
"""

from collections.abc import Callable
from typing import Any

from azure.ai.agents import AgentsClient
from azure.ai.agents.models import AgentEventHandler, FunctionTool, ListSortOrder, ThreadMessageOptions, ToolSet
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import AzureKeyCredentialPolicy

from tests.conformance.scenario import Scenarios, equal

MODEL = "holdfast/scripted"
POLL_SECONDS = 0.05

SCENARIOS = Scenarios()
operation = SCENARIOS.operation


def get_weather(city: str) -> str:
    """
    The weather in a city.

    :param city: A city.
    :return: The weather.
    """
    return f"sunny in {city}"


class Agents:
    """A client of a project, and objects for scenarios that are about something else."""

    def __init__(self, url: str, key: str) -> None:
        self._endpoint, self._project = url.removesuffix("/v1"), key
        self.client = self.with_key(key)
        self.runs, self.threads, self.messages = self.client.runs, self.client.threads, self.client.messages

    def with_key(self, key: str) -> Any:
        # Its bearer tokens go over TLS only.
        policy = AzureKeyCredentialPolicy(AzureKeyCredential(key), "api-key")
        endpoint = f"{self._endpoint}/api/projects/{self._project}"
        return AgentsClient(endpoint, object(), authentication_policy=policy, retry_total=0)

    def agent(self, **fields: Any) -> Any:
        return self.client.create_agent(model=MODEL, name="Guide", instructions="Be brief.", **fields)

    def agent_with_function(self, is_automatic: bool = False) -> Any:
        tools = ToolSet()
        tools.add(FunctionTool({get_weather}))
        if is_automatic:
            self.client.enable_auto_function_calls(tools)
        return self.agent(toolset=tools)

    def thread(self, *texts: str) -> Any:
        return self.threads.create(messages=[ThreadMessageOptions(role="user", content=text) for text in texts])

    def completed_run(self) -> Any:
        return self.runs.create_and_process(
            thread_id=self.thread("Hello").id, agent_id=self.agent().id, polling_interval=POLL_SECONDS
        )

    def waiting_run(self) -> Any:
        """A run that waits for the output of `get_weather`."""
        run = self.runs.create(thread_id=self.thread("Weather?").id, agent_id=self.agent_with_function().id)
        return self.until(run, "requires_action")

    def until(self, run: Any, status: str) -> Any:
        """`run` once it has `status`. The server answers each request when there is news."""
        while run.status != status:
            if run.status not in ("queued", "in_progress", "cancelling", "requires_action"):
                raise AssertionError(f"the run is {run.status}, expected {status}")
            run = self.runs.get(thread_id=run.thread_id, run_id=run.id)
        return run

    def texts(self, thread_id: str) -> list[str]:
        listed = self.messages.list(thread_id=thread_id, order=ListSortOrder.ASCENDING)
        return [message.content[0].text.value for message in listed]


class Heard(AgentEventHandler):  # type: ignore[misc]
    """Keeps the text, and the ends of what was streamed."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.ended = "", list[str]()

    def on_message_delta(self, delta: Any) -> None:
        self.text += delta.text

    def on_thread_message(self, message: Any) -> None:
        if message.status == "completed":
            self.ended.append("message")

    def on_run_step(self, step: Any) -> None:
        if step.status == "completed":
            self.ended.append("step")

    def on_thread_run(self, run: Any) -> None:
        if run.status == "completed":
            self.ended.append("run")

    def on_done(self) -> None:
        self.ended.append("done")


def refused(
    call: Callable[[], object],
    error_class: type[HttpResponseError],
    said: str,
    code: str = "invalid_request_error",
) -> None:
    """The call raises just this class, with this code and a message that has `said`."""
    try:
        call()
    except HttpResponseError as error:
        equal((type(error), error.error.code), (error_class, code))
        equal(said in error.message, True)
    else:
        raise AssertionError(f"was not refused, expected {error_class.__name__}: {said}")
