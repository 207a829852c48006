"""Streams of runs: the events as they arrive, and the results of the SDK's event handler."""

import json
from collections.abc import Callable
from typing import Any

import openai
from openai import AssistantEventHandler
from typing_extensions import override

from tests.conformance.python_program.scenarios import (
    CODE,
    CODE_MESSAGE,
    CUT_OFF,
    FOUND,
    LEAVE,
    LINK,
    LOGS,
    MARKER,
    SPEAKS_AND_HANGS,
    STOPPED_BY_FILTER,
    Sdk,
    calls_of,
    equal,
    has,
    operation,
    outputs_of,
    thread_of,
)

RUN_BEGUN = ["run.created", "run.queued", "run.in_progress"]
RESUMED = ["run.step.completed", "run.queued", "run.in_progress"]
MESSAGE_BEGUN = ["run.step.created", "run.step.in_progress", "message.created", "message.in_progress", "message.delta"]
MESSAGE = [*MESSAGE_BEGUN, "message.completed", "run.step.completed"]
CALLS = ["run.step.created", "run.step.in_progress", "run.step.delta", "run.requires_action"]


class Handler(AssistantEventHandler):
    """Keeps the SDK's callbacks for a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.texts: list[str] = []
        self.arguments: dict[int, str] = {}
        self.calls_done: list[Any] = []
        self.steps_done: list[Any] = []

    @override
    def on_event(self, event: Any) -> None:
        self.names.append(event.event.removeprefix("thread."))

    @override
    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.texts.append(delta.value)
        equal(snapshot.value, "".join(self.texts))

    @override
    def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        self.arguments[delta.index] = self.arguments.get(delta.index, "") + (delta.function.arguments or "")
        equal(snapshot.function.arguments, self.arguments[delta.index])

    @override
    def on_tool_call_done(self, tool_call: Any) -> None:
        self.calls_done.append(tool_call)

    @override
    def on_run_step_done(self, run_step: Any) -> None:
        self.steps_done.append(run_step)

    @override
    def on_exception(self, exception: Exception) -> None:
        raise exception


@operation("streams.create_run")
def create_run(sdk: Sdk) -> None:
    thread = sdk.thread("Hello")

    events = list(sdk.runs.create(thread.id, assistant_id=sdk.assistant().id, stream=True))

    equal(names(events), [*RUN_BEGUN, *MESSAGE, "run.completed"])
    equal(said(events), "You said: Hello")
    ended = events[-1].data
    equal(ended, sdk.runs.retrieve(ended.id, thread_id=thread.id))
    [step] = sdk.steps.list(ended.id, thread_id=thread.id)
    equal(events[-2].data, step)
    equal(events[-3].data, sdk.messages.list(thread.id).data[0])


@operation("streams.create_thread_and_run")
def create_thread_and_run(sdk: Sdk) -> None:
    events = stream_of(sdk, thread=thread_of("Hello"))

    equal(names(events), ["created", *RUN_BEGUN, *MESSAGE, "run.completed"])
    equal(said(events), "You said: Hello")
    equal(events[0].data, sdk.threads.retrieve(events[-1].data.thread_id))


@operation("streams.submit_tool_outputs")
def submit_tool_outputs(sdk: Sdk) -> None:
    asked = stream_of(sdk, sdk.assistant("get_weather", "get_time"))
    run = asked[-1].data
    equal(names(asked), ["created", *RUN_BEGUN, *CALLS])

    answered = list(
        sdk.runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs_of(run), stream=True)
    )

    equal(names(answered), [*RESUMED, *MESSAGE, "run.completed"])
    equal(
        [call.function.output for call in answered[0].data.step_details.tool_calls],
        [
            "sunny, says get_weather",
            "sunny, says get_time",
        ],
    )
    equal(said(answered), sdk.texts(run.thread_id)[-1])


@operation("streams.handler_of_run")
def handler_of_run(sdk: Sdk) -> None:
    thread = sdk.thread("Hello")

    with sdk.runs.stream(thread_id=thread.id, assistant_id=sdk.assistant().id, event_handler=Handler()) as handler:
        handler.until_done()

    equal(handler.names[-3:], ["message.completed", "run.step.completed", "run.completed"])
    equal("".join(handler.texts), "You said: Hello")
    [message] = handler.get_final_messages()
    equal(message, sdk.messages.list(thread.id).data[0])
    has(handler.get_final_run(), thread_id=thread.id, status="completed")
    equal(handler.steps_done, sdk.steps.list(message.run_id, thread_id=thread.id).data)


@operation("streams.handler_of_thread_and_run")
def handler_of_thread_and_run(sdk: Sdk) -> None:
    starting = sdk.threads.create_and_run_stream(assistant_id=sdk.assistant().id, thread=thread_of("Hello"))

    with starting as handler:
        text = "".join(handler.text_deltas)

    equal(text, "You said: Hello")
    equal(handler.get_final_messages()[0].content[0].text.value, text)


@operation("streams.handler_of_function_calls")
def handler_of_function_calls(sdk: Sdk) -> None:
    assistant, thread = sdk.assistant("get_weather", "get_time"), sdk.thread("What is it like in Oslo?")

    with sdk.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=Handler()) as handler:
        handler.until_done()

    run = handler.get_final_run()
    equal(run.status, "requires_action")
    equal([list(json.loads(text)) for _, text in sorted(handler.arguments.items())], [["city"], ["city"]])
    asked = {(call.id, call.function.name, call.function.arguments) for call in calls_of(run)}
    equal({(call.id, call.function.name, call.function.arguments) for call in handler.calls_done}, asked)

    with sdk.runs.submit_tool_outputs_stream(
        run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs_of(run), event_handler=Handler()
    ) as answering:
        answering.until_done()

    equal(answering.get_final_run().status, "completed")
    equal("".join(answering.texts), sdk.texts(run.thread_id)[-1])
    steps = sdk.steps.list(run.id, thread_id=run.thread_id, order="asc").data
    equal(answering.steps_done, steps)


@operation("streams.handler_of_file_search")
def handler_of_file_search(sdk: Sdk) -> None:
    class Searching(Handler):
        @override
        def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
            raise AssertionError(f"a search has one delta, which creates it, but {delta!r} came")

    assistant, thread = sdk.searching_assistant(), sdk.thread("How much vacation?")

    with sdk.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=Searching()) as handler:
        handler.until_done()

    run = handler.get_final_run()
    equal(run.status, "completed")
    equal("".join(handler.texts), FOUND)
    steps = sdk.steps.list(run.id, thread_id=run.thread_id, order="asc").data
    equal(handler.steps_done, steps)
    # The SDK repeats the last call of a stream for each later step.
    equal({call.id for call in handler.calls_done}, {call.id for call in steps[0].step_details.tool_calls})


@operation("streams.handler_of_code_interpreter")
def handler_of_code_interpreter(sdk: Sdk) -> None:
    inputs: list[str] = []
    outputs: list[Any] = []
    shown: list[str] = []

    class Coding(Handler):
        @override
        def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
            inputs.append(delta.code_interpreter.input or "")
            outputs.extend(delta.code_interpreter.outputs or ())
            equal(snapshot.code_interpreter.input, "".join(inputs))

        @override
        def on_image_file_done(self, image_file: Any) -> None:
            shown.append(image_file.file_id)

    assistant, thread = sdk.coding_assistant(), sdk.thread(CODE_MESSAGE)

    with sdk.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=Coding()) as handler:
        handler.until_done()

    run = handler.get_final_run()
    equal((run.status, "".join(inputs), len(inputs) > 1), ("completed", CODE, True))
    logs, image = outputs
    equal((logs.index, logs.logs, image.index), (0, LOGS, 1))
    equal(shown, [image.image.file_id])
    steps = sdk.steps.list(run.id, thread_id=run.thread_id, order="asc").data
    equal(handler.steps_done, steps)
    [message] = handler.get_final_messages()
    equal(message, sdk.messages.list(thread.id).data[0])
    equal([part.type for part in message.content], ["image_file", "text"])
    equal([each.text for each in message.content[1].text.annotations], [LINK])


@operation("streams.handler_of_citations")
def handler_of_citations(sdk: Sdk) -> None:
    annotations: list[Any] = []

    class Citing(Handler):
        @override
        def on_text_delta(self, delta: Any, snapshot: Any) -> None:
            super().on_text_delta(delta, snapshot)
            annotations.extend(delta.annotations or ())
            equal(len(snapshot.annotations), len(annotations))

    assistant, thread = sdk.searching_assistant(), sdk.thread("How much vacation?")

    with sdk.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=Citing()) as handler:
        handler.until_done()

    [message] = handler.get_final_messages()
    equal(message, sdk.messages.list(thread.id).data[0])
    text = message.content[0].text
    [annotation] = text.annotations
    has(annotation, type="file_citation", text=MARKER, start_index=FOUND.index(MARKER), end_index=len(FOUND))
    equal(annotation.file_citation.quote, LEAVE)
    equal(sdk.files.retrieve(annotation.file_citation.file_id).filename, "page.md")
    [streamed] = annotations
    equal(streamed.index, 0)
    equal(streamed.file_citation.to_dict(), annotation.file_citation.to_dict())
    has(streamed, text=MARKER, start_index=annotation.start_index, end_index=annotation.end_index)


@operation("streams.handler_that_submits")
def handler_that_submits(sdk: Sdk) -> None:
    """The outputs are submitted while the stream that asked for them is still open."""
    answering = Handler()

    class Submitting(Handler):
        @override
        def on_event(self, event: Any) -> None:
            super().on_event(event)
            if event.event == "thread.run.requires_action":
                run = event.data
                with sdk.runs.submit_tool_outputs_stream(
                    run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs_of(run), event_handler=answering
                ) as stream:
                    stream.until_done()

    assistant, thread = sdk.assistant("get_weather"), sdk.thread("What is it like in Oslo?")
    with sdk.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=Submitting()) as asking:
        asking.until_done()

    equal(asking.names[-1], "run.requires_action")
    equal(answering.names[-1], "run.completed")
    equal("".join(answering.texts), "get_weather returned: sunny, says get_weather")


@operation("streams.run_that_fails")
def run_that_fails(sdk: Sdk) -> None:
    events = stream_of(sdk, model=STOPPED_BY_FILTER)

    equal(names(events)[-4:], ["message.delta", "message.incomplete", "run.step.failed", "run.failed"])
    has(events[-3].data, incomplete_details={"reason": "content_filter"})
    equal(events[-1].data.last_error.message, "The model's answer was stopped by the provider's content filter.")


@operation("streams.run_that_is_cancelled")
def run_that_is_cancelled(sdk: Sdk) -> None:
    events = stream_of(
        sdk, model=SPEAKS_AND_HANGS, on_message=lambda run: sdk.runs.cancel(run.id, thread_id=run.thread_id)
    )

    ending = ["run.cancelling", "message.incomplete", "run.step.cancelled", "run.cancelled"]
    equal(names(events)[-5:], ["message.delta", *ending])
    has(events[-3].data, incomplete_details={"reason": "run_cancelled"})
    equal(said(events), "Once upon")


@operation("streams.run_that_expires_in_silence")
def run_that_expires_in_silence(sdk: Sdk) -> None:
    expiry = {"expires_after": {"anchor": "created_at", "seconds": 3}}

    events = stream_of(sdk, model=SPEAKS_AND_HANGS, extra_body=expiry)

    equal(names(events)[-4:], ["message.delta", "message.incomplete", "run.step.expired", "run.expired"])
    has(events[-3].data, incomplete_details={"reason": "run_expired"})
    equal(sdk.client.last_stream.keepalives > 0, True)


@operation("streams.run_that_is_incomplete")
def run_that_is_incomplete(sdk: Sdk) -> None:
    events = stream_of(sdk, model=CUT_OFF)

    equal(names(events)[-4:], ["message.delta", "message.incomplete", "run.step.completed", "run.incomplete"])
    has(events[-3].data, incomplete_details={"reason": "max_tokens"})
    equal(said(events), "Once upon")
    equal(events[-1].data.incomplete_details.reason, "max_completion_tokens")


@operation("streams.stream_that_breaks")
def stream_that_breaks(sdk: Sdk) -> None:
    try:
        stream_of(sdk, model=SPEAKS_AND_HANGS, on_message=lambda run: sdk.threads.delete(run.thread_id))
    except openai.APIError as error:
        equal((error.message, error.code), ("The run was deleted.", "run_deleted"))
    else:
        raise AssertionError("was not raised, expected APIError: The run was deleted.")


def stream_of(
    sdk: Sdk, assistant: Any = None, on_message: Callable[[Any], object] = lambda run: None, **fields: Any
) -> list[Any]:
    """The events of a run on a new thread; `on_message` is called with the run once the model has said all it will."""
    fields = {"assistant_id": (assistant or sdk.assistant()).id, "thread": thread_of("Hello"), **fields}
    events: list[Any] = []
    for event in sdk.threads.create_and_run(**fields, stream=True):
        events.append(event)
        if event.event == "thread.message.delta" and said(events) == "Once upon":
            on_message(next(event.data for event in events if event.event == "thread.run.created"))
    return events


def names(events: list[Any]) -> list[str]:
    """Without their common prefix, and deltas that follow each other as one."""
    short = [event.event.removeprefix("thread.") for event in events]
    return [
        name for place, name in enumerate(short) if not (name.endswith("delta") and short[place - 1 : place] == [name])
    ]


def said(events: list[Any]) -> str:
    """The text deltas joined."""
    deltas = [event.data.delta for event in events if event.event == "thread.message.delta"]
    return "".join(part.text.value for delta in deltas for part in delta.content)
