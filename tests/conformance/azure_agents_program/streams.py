from azure.ai.agents.models import ToolOutput

from tests.conformance.azure_agents_program.client import Agents, Heard, operation
from tests.conformance.scenario import equal


@operation("streams.create_run")
def stream_run(agents: Agents) -> None:
    thread = agents.thread("Hello")

    with agents.runs.stream(thread_id=thread.id, agent_id=agents.agent().id) as stream:
        names = [name for name, _, _ in stream]

    equal(
        [name for place, name in enumerate(names) if name not in names[:place]],
        [
            *("thread.run.created", "thread.run.queued", "thread.run.in_progress"),
            *("thread.run.step.created", "thread.run.step.in_progress"),
            *("thread.message.created", "thread.message.in_progress", "thread.message.delta"),
            *("thread.message.completed", "thread.run.step.completed", "thread.run.completed", "done"),
        ],
    )


@operation("streams.handler_of_run")
def stream_run_to_handler(agents: Agents) -> None:
    heard = Heard()

    with agents.runs.stream(
        thread_id=agents.thread("Hello").id, agent_id=agents.agent().id, event_handler=heard
    ) as stream:
        stream.until_done()

    equal((heard.text, heard.ended), ("You said: Hello", ["message", "step", "run", "done"]))


@operation("streams.submit_tool_outputs")
def submit_tool_outputs_to_stream(agents: Agents) -> None:
    waiting, heard = agents.waiting_run(), Heard()
    [call] = waiting.required_action.submit_tool_outputs.tool_calls

    agents.runs.submit_tool_outputs_stream(
        thread_id=waiting.thread_id,
        run_id=waiting.id,
        tool_outputs=[ToolOutput(tool_call_id=call.id, output="sunny")],
        event_handler=heard,
    )
    heard.until_done()

    equal(heard.text, "get_weather returned: sunny")


@operation("streams.handler_that_submits")
def automatic_function_calls_in_a_stream(agents: Agents) -> None:
    agent, heard = agents.agent_with_function(is_automatic=True), Heard()

    with agents.runs.stream(thread_id=agents.thread("Weather?").id, agent_id=agent.id, event_handler=heard) as stream:
        stream.until_done()

    equal(heard.text.startswith("get_weather returned: sunny in "), True)
