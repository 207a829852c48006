"""Runs: create in every way, read, change, list, cancel, and answer their function calls."""

import json

from tests.conformance.python_program.scenarios import (
    CODE,
    CODE_MESSAGE,
    FOUND,
    LINK,
    LOGS,
    MODEL,
    Sdk,
    calls_of,
    equal,
    function_tool,
    has,
    has_id,
    is_page_of,
    operation,
    outputs_of,
    thread_of,
)


@operation("runs.create")
def create(sdk: Sdk) -> None:
    assistant, thread = sdk.assistant("get_weather"), sdk.thread("Hello")

    run = sdk.runs.create(thread.id, assistant_id=assistant.id)

    has_id(run, "run")
    has(run, object="thread.run", thread_id=thread.id, assistant_id=assistant.id, model=MODEL, status="queued")
    has(run, started_at=None, cancelled_at=None, failed_at=None, completed_at=None, expires_at=run.created_at + 600)
    has(run, required_action=None, last_error=None, incomplete_details=None, usage=None, metadata={})
    has(run, instructions="Be brief.", max_prompt_tokens=None, max_completion_tokens=None, parallel_tool_calls=True)
    has(run, truncation_strategy={"type": "auto", "last_messages": None}, tool_choice="auto", response_format="auto")
    equal(run.tools, assistant.tools)
    equal(sdk.runs.poll(run.id, thread_id=thread.id).status, "requires_action")


@operation("runs.create_without_instructions")
def create_without_instructions(sdk: Sdk) -> None:
    assistant = sdk.assistants.create(model=MODEL)

    run = sdk.runs.create_and_poll(thread_id=sdk.thread("Hello").id, assistant_id=assistant.id)

    has(run, status="completed", instructions="")


@operation("runs.create_with_overrides")
def create_with_overrides(sdk: Sdk) -> None:
    overrides = {
        "model": MODEL,
        "metadata": {"ticket": "7"},
        "temperature": 0.5,
        "top_p": 0.25,
        "max_prompt_tokens": 1000,
        "max_completion_tokens": 500,
        "truncation_strategy": {"type": "last_messages", "last_messages": 5},
        "response_format": {"type": "json_object"},
    }
    thread = sdk.thread("Hello")

    run = sdk.runs.create(
        thread.id,
        assistant_id=sdk.assistant("get_weather").id,
        instructions="Be quick.",
        additional_instructions="Be kind.",
        additional_messages=[{"role": "user", "content": "And goodbye"}],
        tools=[function_tool("get_time"), function_tool("get_date")],
        tool_choice={"type": "function", "function": {"name": "get_time"}},
        **overrides,
    )

    has(run, **overrides)
    equal(run.instructions.split(), ["Be", "quick.", "Be", "kind."])
    has(run, tool_choice={"type": "function", "function": {"name": "get_time"}})
    equal([tool.function.name for tool in run.tools], ["get_time", "get_date"])
    waiting = sdk.runs.poll(run.id, thread_id=thread.id)
    equal([call.function.name for call in calls_of(waiting)], ["get_time"])
    equal(sdk.texts(thread.id), ["Hello", "And goodbye"])


@operation("runs.create_with_json_schema")
def create_with_json_schema(sdk: Sdk) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": schema}}

    run = sdk.runs.create_and_poll(
        thread_id=sdk.thread("Where?").id, assistant_id=sdk.assistant().id, response_format=wanted
    )

    equal(run.response_format.to_dict(), wanted)
    equal(list(json.loads(sdk.texts(run.thread_id)[-1])), ["city"])


@operation("runs.create_and_poll")
def create_and_poll(sdk: Sdk) -> None:
    thread = sdk.thread("Hello")

    run = sdk.runs.create_and_poll(thread_id=thread.id, assistant_id=sdk.assistant().id)

    has(run, status="completed", expires_at=None, cancelled_at=None, failed_at=None)
    equal(run.created_at <= run.started_at <= run.completed_at, True)
    equal(run.usage.total_tokens, run.usage.prompt_tokens + run.usage.completion_tokens)
    equal(sdk.texts(thread.id), ["Hello", "You said: Hello"])


@operation("runs.retrieve")
def retrieve(sdk: Sdk) -> None:
    run = sdk.completed_run

    equal(sdk.runs.retrieve(run.id, thread_id=run.thread_id), run)


@operation("runs.update")
def update(sdk: Sdk) -> None:
    run = sdk.new_completed_run()

    updated = sdk.runs.update(run.id, thread_id=run.thread_id, metadata={"ticket": "7"})

    has(updated, id=run.id, status="completed", metadata={"ticket": "7"})
    equal(sdk.runs.retrieve(run.id, thread_id=run.thread_id), updated)


@operation("runs.list")
def list_(sdk: Sdk) -> None:
    assistant, thread = sdk.assistant(), sdk.thread("Hello")
    first, second, third = (sdk.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id) for _ in range(3))

    is_page_of(sdk.runs.list(thread.id), third, second, first, has_more=False)
    is_page_of(sdk.runs.list(thread.id, order="asc", limit=2), first, second, has_more=True)
    is_page_of(sdk.runs.list(thread.id, after=third.id, before=first.id), second, has_more=False)
    equal([run.id for run in sdk.runs.list(thread.id, limit=1)], [third.id, second.id, first.id])


@operation("runs.cancel")
def cancel(sdk: Sdk) -> None:
    waiting = sdk.waiting_run("get_weather")

    equal(sdk.runs.cancel(waiting.id, thread_id=waiting.thread_id).status, "cancelling")

    run = sdk.runs.poll(waiting.id, thread_id=waiting.thread_id)
    has(run, status="cancelled", completed_at=None, failed_at=None, required_action=None, expires_at=None)
    equal(run.cancelled_at >= run.created_at, True)


@operation("runs.submit_tool_outputs")
def submit_tool_outputs(sdk: Sdk) -> None:
    waiting = sdk.waiting_run("get_weather")
    [call] = calls_of(waiting)
    has(waiting, usage=None)
    has_id(call, "call")
    has(call, type="function")
    equal(list(json.loads(call.function.arguments)), ["city"])

    run = sdk.runs.submit_tool_outputs(waiting.id, thread_id=waiting.thread_id, tool_outputs=outputs_of(waiting))

    has(run, id=waiting.id, status="queued", required_action=None, started_at=waiting.started_at)
    equal(sdk.runs.poll(run.id, thread_id=run.thread_id).status, "completed")


@operation("runs.submit_tool_outputs_and_poll")
def submit_tool_outputs_and_poll(sdk: Sdk) -> None:
    waiting = sdk.waiting_run("get_weather")

    run = sdk.runs.submit_tool_outputs_and_poll(
        run_id=waiting.id, thread_id=waiting.thread_id, tool_outputs=outputs_of(waiting)
    )

    has(run, status="completed", required_action=None)
    equal(sdk.texts(run.thread_id)[-1], "get_weather returned: sunny, says get_weather")


@operation("runs.parallel_function_calls")
def parallel_function_calls(sdk: Sdk) -> None:
    waiting = sdk.waiting_run("get_weather", "get_time")
    equal([call.function.name for call in calls_of(waiting)], ["get_weather", "get_time"])

    run = sdk.runs.submit_tool_outputs_and_poll(
        run_id=waiting.id, thread_id=waiting.thread_id, tool_outputs=outputs_of(waiting)[::-1]
    )

    equal(run.status, "completed")
    answers = "get_weather returned: sunny, says get_weather get_time returned: sunny, says get_time"
    equal(sdk.texts(run.thread_id)[-1], answers)


@operation("runs.one_function_call_at_a_time")
def one_function_call_at_a_time(sdk: Sdk) -> None:
    assistant, thread = sdk.assistant("get_weather", "get_time"), sdk.thread("What is it like in Oslo?")

    # 1.26.0 has no such parameter yet.
    waiting = sdk.runs.create_and_poll(
        thread_id=thread.id, assistant_id=assistant.id, extra_body={"parallel_tool_calls": False}
    )

    has(waiting, status="requires_action", parallel_tool_calls=False)
    equal(len(calls_of(waiting)), 1)
    equal(sdk.finish(waiting).status, "completed")


@operation("runs.file_search")
def file_search(sdk: Sdk) -> None:
    assistant = sdk.searching_assistant()

    run = sdk.threads.create_and_run_poll(assistant_id=assistant.id, thread=thread_of("How much vacation?"))

    has(run, status="completed", required_action=None)
    equal(sdk.texts(run.thread_id)[-1], FOUND)
    [step, _] = sdk.steps.list(run.id, thread_id=run.thread_id, order="asc").data
    has(step, type="tool_calls", status="completed")
    [call] = step.step_details.tool_calls
    # 1.26.0 has no types for what was found.
    sent = call.model_dump()
    equal(
        (sent["type"], [result["file_name"] for result in sent["file_search"]["results"]]), ("file_search", ["page.md"])
    )


@operation("runs.code_interpreter")
def code_interpreter(sdk: Sdk) -> None:
    assistant = sdk.coding_assistant()

    run = sdk.threads.create_and_run_poll(assistant_id=assistant.id, thread=thread_of(CODE_MESSAGE))

    has(run, status="completed", required_action=None)
    step = sdk.steps.list(run.id, thread_id=run.thread_id, order="asc").data[0]
    [call] = step.step_details.tool_calls
    logs, image = call.code_interpreter.outputs
    equal((call.type, call.code_interpreter.input, logs.logs), ("code_interpreter", CODE, LOGS))
    shown, text = sdk.messages.list(run.thread_id).data[0].content
    equal((shown.type, shown.image_file.file_id), ("image_file", image.image.file_id))
    [annotation] = text.text.annotations
    equal((annotation.type, annotation.text), ("file_path", LINK))
    equal(text.text.value[annotation.start_index : annotation.end_index], LINK)
    equal(sdk.files.content(annotation.file_path.file_id).read(), b"a")


@operation("runs.file_search_beside_functions")
def file_search_beside_functions(sdk: Sdk) -> None:
    assistant = sdk.searching_assistant("get_weather")

    waiting = sdk.threads.create_and_run_poll(assistant_id=assistant.id, thread=thread_of("How much vacation?"))

    equal([call.function.name for call in calls_of(waiting)], ["get_weather"])
    run = sdk.finish(waiting)
    has(run, status="completed", required_action=None)
    equal(sdk.texts(run.thread_id)[-1], f"{FOUND} get_weather returned: sunny, says get_weather")
    [step, _] = sdk.steps.list(run.id, thread_id=run.thread_id, order="asc").data
    equal([call.type for call in step.step_details.tool_calls], ["file_search", "function"])
