from azure.ai.agents.models import FileSearchTool, ThreadMessageOptions, ToolOutput

from tests.conformance.azure_agents_program.client import POLL_SECONDS, Agents, operation
from tests.conformance.scenario import equal

LEAVE = "Every employee has 27 days of paid vacation a year."


@operation("runs.create_with_overrides")
def create_run_with_overrides(agents: Agents) -> None:
    thread = agents.thread("Hello")
    more = [ThreadMessageOptions(role="user", content="More")]

    run = agents.runs.create(
        thread_id=thread.id,
        agent_id=agents.agent().id,
        instructions="Be kind.",
        additional_instructions="Rhyme.",
        additional_messages=more,
        temperature=0.5,
        metadata={"a": "1"},
    )

    equal((run.instructions, run.temperature, dict(run.metadata)), ("Be kind. Rhyme.", 0.5, {"a": "1"}))
    equal(agents.texts(agents.until(run, "completed").thread_id)[:2], ["Hello", "More"])


@operation("runs.create_and_poll")
def create_and_process_run(agents: Agents) -> None:
    run = agents.completed_run()

    equal((run.status, run.last_error, run.required_action), ("completed", None, None))
    equal(run.usage.total_tokens, run.usage.prompt_tokens + run.usage.completion_tokens)
    equal(agents.texts(run.thread_id), ["Hello", "You said: Hello"])


@operation("runs.retrieve")
def get_run(agents: Agents) -> None:
    run = agents.completed_run()

    equal(agents.runs.get(thread_id=run.thread_id, run_id=run.id), run)


@operation("runs.update")
def update_run(agents: Agents) -> None:
    run = agents.completed_run()

    equal(dict(agents.runs.update(run.thread_id, run.id, metadata={"a": "1"}).metadata), {"a": "1"})


@operation("runs.list")
def list_runs(agents: Agents) -> None:
    run = agents.completed_run()

    equal([each.id for each in agents.runs.list(thread_id=run.thread_id)], [run.id])


@operation("runs.cancel")
def cancel_run(agents: Agents) -> None:
    waiting = agents.waiting_run()

    agents.until(agents.runs.cancel(thread_id=waiting.thread_id, run_id=waiting.id), "cancelled")


@operation("runs.submit_tool_outputs")
def submit_tool_outputs(agents: Agents) -> None:
    waiting = agents.waiting_run()
    [call] = waiting.required_action.submit_tool_outputs.tool_calls
    equal((call.type, call.function.name), ("function", "get_weather"))

    run = agents.runs.submit_tool_outputs(
        thread_id=waiting.thread_id, run_id=waiting.id, tool_outputs=[ToolOutput(tool_call_id=call.id, output="sunny")]
    )

    agents.until(run, "completed")
    equal(agents.texts(run.thread_id)[-1], "get_weather returned: sunny")


@operation("runs.submit_tool_outputs_and_poll")
def automatic_function_calls(agents: Agents) -> None:
    agent, thread = agents.agent_with_function(is_automatic=True), agents.thread("Weather?")

    run = agents.runs.create_and_process(thread_id=thread.id, agent_id=agent.id, polling_interval=POLL_SECONDS)

    equal(run.status, "completed")
    equal(agents.texts(thread.id)[-1].startswith("get_weather returned: sunny in "), True)


@operation("runs.file_search")
def file_search_with_resources_of_the_run(agents: Agents) -> None:
    file = agents.client.files.upload_and_poll(
        file=("page.md", LEAVE.encode()), purpose="assistants", polling_interval=POLL_SECONDS
    )
    store = agents.client.vector_stores.create_and_poll(
        file_ids=[file.id], name="Handbook", polling_interval=POLL_SECONDS
    )
    search = FileSearchTool(vector_store_ids=[store.id])
    thread = agents.thread("How much vacation?")

    run = agents.runs.create(
        thread_id=thread.id, agent_id=agents.agent().id, tools=search.definitions, tool_resources=search.resources
    )

    agents.until(run, "completed")
    equal(LEAVE in agents.texts(thread.id)[-1], True)


@operation("run_steps.list")
def list_steps(agents: Agents) -> None:
    run = agents.completed_run()

    [step] = agents.client.run_steps.list(thread_id=run.thread_id, run_id=run.id)

    equal((step.type, step.status, step.agent_id), ("message_creation", "completed", run.agent_id))


@operation("run_steps.retrieve")
def get_step(agents: Agents) -> None:
    run = agents.completed_run()
    [step] = agents.client.run_steps.list(thread_id=run.thread_id, run_id=run.id)

    equal(agents.client.run_steps.get(thread_id=run.thread_id, run_id=run.id, step_id=step.id), step)
