"""Code of the model, in a real sandbox: as programs see its steps, messages and files."""

from typing import Any

import httpx
import pytest
from openai import AsyncAssistantEventHandler
from openai.types.beta.threads import ImageFile, Message
from openai.types.beta.threads.runs import ToolCall, ToolCallDelta
from typing_extensions import override

from infra.database import assistants
from infra.language_model.scripted import SCRIPTED_MODEL
from models.assistants import CreateAssistantRequest
from models.tool_formats.code_interpreter import NO_SANDBOX
from models.tools import CodeInterpreterTool
from tests.code_runs import CODE, IN_TEXT, PNG, SHOW_IMAGE, WAITS, code_of, coding, logs_of, put_file, python, told
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Calls, Hangs, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.stored_files import DEFAULT_PROJECT, store_file
from tests.streams import THREAD, all_events, followed, forget, streamed

SMILE = "\N{GRINNING FACE}"
LINK = "sandbox:/mnt/data/report.csv"
LISTING = 'import os\nfor n in sorted(os.listdir("/mnt/data")):\n    print(n, open(f"/mnt/data/{n}").read())'
REPORT = f'open("/mnt/data/report.csv", "w").write("a,b")\nprint("é {SMILE}")\n'


class Reader(AsyncAssistantEventHandler):
    """Reads a stream as OpenAI's guide shows it."""

    def __init__(self) -> None:
        super().__init__()
        self.input = ""
        self.logs: list[str] = []
        self.image_ids: list[str] = []
        self.done: list[ToolCall] = []
        self.shown: list[str] = []
        self.messages: list[Message] = []

    @override
    async def on_tool_call_delta(self, delta: ToolCallDelta, snapshot: ToolCall) -> None:
        assert delta.type == "code_interpreter"
        code = delta.code_interpreter
        assert code is not None
        self.input += code.input or ""
        for output in code.outputs or ():
            if output.type == "logs":
                self.logs.append(output.logs or "")
            elif output.image and output.image.file_id:
                self.image_ids.append(output.image.file_id)

    @override
    async def on_tool_call_done(self, tool_call: ToolCall) -> None:
        self.done.append(tool_call)

    @override
    async def on_image_file_done(self, image_file: ImageFile) -> None:
        self.shown.append(image_file.file_id)

    @override
    async def on_message_done(self, message: Message) -> None:
        self.messages.append(message)


async def test_official_client_streams_code_outputs_images_and_files(
    coder: RunningHoldfast, provider: ScriptedProvider
) -> None:
    said = f"{SMILE} Here: [report]({LINK}), and {LINK}."
    provider.script("code-stream", python(REPORT + SHOW_IMAGE), Says(said))
    thread = await coder.client.beta.threads.create(messages=[{"role": "user", "content": "Go"}])
    assistant, reader = await coding(coder, "code-stream"), Reader()

    async with coder.client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant, event_handler=reader
    ) as stream:
        await stream.until_done()
        run = await stream.get_final_run()

    assert run.status == "completed"
    assert reader.input == REPORT + SHOW_IMAGE
    assert "".join(reader.logs) == f"é {SMILE}\n"
    [image_id] = reader.image_ids
    [code] = await code_of(coder, run)
    image = {"type": "image", "image": {"file_id": image_id}}
    assert code == {"input": reader.input, "outputs": [{"type": "logs", "logs": f"é {SMILE}\n"}, image]}
    [message] = reader.messages
    shown, text = [part.to_dict() for part in message.content]
    assert shown == {"type": "image_file", "image_file": {"file_id": image_id, "detail": "auto"}}
    assert reader.shown == [image_id]
    annotations: Any = text["text"]["annotations"]  # type: ignore[index]
    assert text["text"]["value"] == said  # type: ignore[index]
    assert [said[each["start_index"] : each["end_index"]] for each in annotations] == [LINK, LINK]
    [made_id] = {each["file_path"]["file_id"] for each in annotations}
    made, shown_file = await coder.client.files.retrieve(made_id), await coder.client.files.retrieve(image_id)
    assert (made.filename, made.bytes, made.purpose) == ("report.csv", 3, "assistants_output")
    assert (shown_file.filename, shown_file.purpose) == (f"{image_id}.png", "assistants_output")
    assert (await coder.client.files.content(made_id)).content == b"a,b"
    assert (await coder.client.files.content(image_id)).content == PNG
    stored = await coder.client.beta.threads.messages.retrieve(message.id, thread_id=thread.id)
    assert stored.to_dict() == message.to_dict()
    [output] = told(provider.requests("code-stream")[1])
    assert output == f"é {SMILE}\n\n[The user was shown 1 image(s).]"


async def test_cancelled_answer_keeps_its_links_and_their_files(
    coder: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("code-cut", python(REPORT), Hangs(after=f"It is {LINK} and sandbox:/mnt/data/rep"))
    run: Any = None

    async with followed(coder, await coding(coder, "code-cut")) as events:
        async for event in events:
            if event.name == "thread.run.created":
                run = event.json
            if event.name == "thread.message.delta" and '"value":" and' in event.data:
                await coder.client.beta.threads.runs.cancel(run["id"], thread_id=run["thread_id"])

    [message, _] = (await coder.client.beta.threads.messages.list(run["thread_id"])).data
    [part] = [part.to_dict() for part in message.content]
    text: Any = part["text"]
    assert (message.status, text["value"].rstrip()) == ("incomplete", f"It is {LINK} and")
    [annotation] = text["annotations"]
    assert (await coder.client.files.content(annotation["file_path"]["file_id"])).content == b"a,b"


async def test_stream_has_the_events_of_the_recorded_wire(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("code-events", python("print(1)\n" + SHOW_IMAGE), Says("Done."))

    events = await streamed(coder, await coding(coder, "code-events"))

    names = [event.name.removeprefix("thread.") for event in events]
    first = names.index("run.step.created")
    calls = [
        event.json["delta"]["step_details"]["tool_calls"][0]
        for event in events
        if event.name == "thread.run.step.delta"
    ]
    assert names[first : first + 2] == ["run.step.created", "run.step.in_progress"]
    last_delta = len(names) - 1 - names[::-1].index("run.step.delta")
    assert names[last_delta + 1 : last_delta + 3] == ["run.step.completed", "run.step.created"]
    assert calls[0] == {
        "index": 0,
        "id": calls[0]["id"],
        "type": "code_interpreter",
        "code_interpreter": {"input": "", "outputs": []},
    }
    inputs = [call["code_interpreter"]["input"] for call in calls[1:-2]]
    assert ("".join(inputs), len(inputs) > 2) == ("print(1)\n" + SHOW_IMAGE, True)
    logs, image = (call["code_interpreter"]["outputs"][0] for call in calls[-2:])
    assert logs == {"index": 0, "type": "logs", "logs": "1\n"}
    assert (image["index"], image["type"]) == (1, "image")
    run = events[-2].json
    forget(coder)
    assert [(each.name, each.data) for each in await all_events(coder, run)] == [
        (each.name, each.data) for each in events[:-1]
    ] + [("done", "[DONE]")]


async def test_output_is_shown_while_the_code_runs(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("code-live", python(WAITS), Says("Done."))
    reader = _Releasing(coder)

    async with coder.client.beta.threads.create_and_run_stream(
        assistant_id=await coding(coder, "code-live"), thread=THREAD, event_handler=reader
    ) as stream:
        await stream.until_done()

    assert reader.logs == ["first\n", "second\n"]
    assert logs_of(reader.done[0].to_dict()["code_interpreter"]) == "first\nsecond\n"


class _Releasing(Reader):
    """Lets the code go on once its first output has come."""

    def __init__(self, holdfast: RunningHoldfast) -> None:
        super().__init__()
        self._holdfast = holdfast

    @override
    async def on_tool_call_delta(self, delta: ToolCallDelta, snapshot: ToolCall) -> None:
        had = len(self.logs)
        await super().on_tool_call_delta(delta, snapshot)
        if len(self.logs) > had == 0:
            run = self.current_run
            assert run is not None
            await put_file(self._holdfast, run.thread_id, "go", b"")


async def test_variables_last_from_run_to_run_of_a_thread(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("code-state", python("a = 41"), Says("Set."), python("print(a + 1)"), Says("Read."))
    assistant = await coding(coder, "code-state")
    run = await coder.until(await coder.run(assistant))

    later = await coder.client.beta.threads.runs.create_and_poll(thread_id=run.thread_id, assistant_id=assistant)

    assert [logs_of(code) for code in await code_of(coder, later)] == ["42\n"]


async def test_calls_of_one_answer_run_in_their_order(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    codes = ["a = 1", "import time; time.sleep(0.3); a += 1", "print(a)"]
    provider.script("code-order", python(*codes), Says("Done."))

    run = await coder.until(await coder.run(await coding(coder, "code-order")))

    assert [logs_of(code) for code in await code_of(coder, run)] == ["", "", "2\n"]


async def test_files_of_assistant_thread_and_messages_are_in_the_folder(
    coder: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("code-files", python(LISTING), Says("Done."), python(LISTING), Says("Done."))
    ids = [
        await store_file(coder.resources, each, f"{each}.txt") for each in ("assistant", "thread", "message", "late")
    ]
    same = await store_file(coder.resources, "other", "thread.txt")
    assistant = await coding(coder, "code-files", tool_resources={"code_interpreter": {"file_ids": ids[:1]}})
    attached = {"role": "user", "content": "Go", "attachments": [{"file_id": ids[2], "tools": [CODE]}]}
    resources = {"code_interpreter": {"file_ids": [ids[1], same]}}
    run = await coder.until(
        await coder.run(assistant, thread={"messages": [attached], "tool_resources": resources}), "completed"
    )
    threads = coder.client.beta.threads
    await threads.messages.create(
        run.thread_id, role="user", content="More", attachments=[{"file_id": ids[3], "tools": [CODE]}]
    )

    later = await threads.runs.create_and_poll(thread_id=run.thread_id, assistant_id=assistant)

    [first], [second] = await code_of(coder, run), await code_of(coder, later)
    expected = {
        "assistant.txt assistant",
        "thread.txt thread",
        "message.txt message",
        f"{same}-thread.txt other",
        f"{ids[0]} assistant",
        f"{ids[1]} thread",
        f"{ids[2]} message",
        f"{same} other",
    }
    assert set(logs_of(first).splitlines()) == expected
    assert set(logs_of(second).splitlines()) == expected | {"late.txt late", f"{ids[3]} late"}
    [function] = [tool["function"] for tool in provider.requests("code-files")[0]["tools"]]
    assert f"assistant.txt, thread.txt, {same}-thread.txt, message.txt." in function["description"]


async def test_files_of_the_first_beta_are_in_the_folder(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("code-v1", python(LISTING), Says("Done."))
    of_assistant, of_message = [await store_file(coder.resources, each, f"{each}.md") for each in ("assistant", "said")]
    message = {"role": "user", "content": "Go", "file_ids": [of_message]}
    async with httpx.AsyncClient(base_url=f"{coder.url}/v1", headers={"OpenAI-Beta": "assistants=v1"}) as v1:
        body: Any = {"model": "code-v1", "tools": [CODE], "file_ids": [of_assistant]}
        assistant = (await v1.post("/assistants", json=body)).json()
        body = {"assistant_id": assistant["id"], "thread": {"messages": [message]}}
        begun = (await v1.post("/threads/runs", json=body)).json()

    run = await coder.client.beta.threads.runs.poll(begun["id"], thread_id=begun["thread_id"])

    [code] = await code_of(coder, run)
    names = {"assistant.md assistant", f"{of_assistant} assistant", "said.md said", f"{of_message} said"}
    assert set(logs_of(code).splitlines()) == names


async def test_mixed_answer_runs_code_before_the_client_is_asked(
    coder: RunningHoldfast, provider: ScriptedProvider
) -> None:
    both = Calls(("python", '{"code": "print(7)"}'), ("python_2", "{}"), ("get_weather", '{"city": "Rome"}'))
    provider.script("code-mixed", both, Says("Done."))
    waiting = await coder.until(await coder.run(await coding(coder, "code-mixed", "get_weather")))
    assert waiting.required_action is not None
    [asked] = waiting.required_action.submit_tool_outputs.tool_calls
    assert asked.function.name == "get_weather"

    run = await coder.until(await coder.submit(waiting, "sunny"))

    assert run.status == "completed"
    assert told(provider.requests("code-mixed")[1])[0] == "7\n"


async def test_users_function_named_python_keeps_its_name(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("code-name", Calls(("python_2", '{"code": "print(7)"}')), Says("Done."))

    run = await coder.until(await coder.run(await coding(coder, "code-name", "python")))

    assert [logs_of(code) for code in await code_of(coder, run)] == ["7\n"]


@pytest.mark.parametrize("bare", ["print(6 * 7)", "```python\nprint(6 * 7)\n```", '"print(6 * 7)"'])
async def test_model_that_sends_bare_code_is_understood(
    coder: RunningHoldfast, provider: ScriptedProvider, bare: str
) -> None:
    model = f"code-bare-{len(bare)}"
    provider.script(model, Calls(("python", bare)), Says("Done."))

    run = await coder.until(await coder.run(await coding(coder, model)))

    assert [logs_of(code) for code in await code_of(coder, run)] == ["42\n"]


@pytest.mark.parametrize(
    "written", ['{"code": "x = 6 * 7\\nprint(x)"}', "\n```python\nx = 6 * 7\nprint(x)\n```", "x = 6 * 7\nprint(x)"]
)
async def test_model_without_function_calling_runs_code(
    coder: RunningHoldfast, provider: ScriptedProvider, written: str
) -> None:
    action = f"Thought: I compute.\nAction: python\nAction Input: {written}\n"
    provider.script(IN_TEXT, Says(action), Says("Thought: I know.\nFinal Answer: It is 42."))

    run = await coder.until(await coder.run(await coding(coder, IN_TEXT)))

    assert (run.status, (await coder.texts(run))[-1]) == ("completed", "It is 42.")
    [code] = await code_of(coder, run)
    assert code == {"input": "x = 6 * 7\nprint(x)", "outputs": [{"type": "logs", "logs": "42\n"}]}
    asked, told_in_text = provider.requests(IN_TEXT)[-2:]
    assert ("tools" in asked, "- python: Runs Python code" in asked["messages"][0]["content"]) == (False, True)
    assert told_in_text["messages"][-1]["content"] == "Observation: 42\n"


@pytest.mark.parametrize("arguments", ["", "{}", '{"code": ""}', '{"code": "print(1)'])
async def test_call_without_whole_code_is_told_to_the_model(
    coder: RunningHoldfast, provider: ScriptedProvider, arguments: str
) -> None:
    model = f"code-none-{len(arguments)}"
    provider.script(model, Calls(("python", arguments)), Says("Sorry."))

    run = await coder.until(await coder.run(await coding(coder, model)))

    assert run.status == "completed"
    assert "The code was not run" in told(provider.requests(model)[1])[0]


async def test_exception_is_in_the_output_and_the_run_goes_on(
    coder: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("code-raises", python("1 / 0"), Says("I divided by zero."))

    run = await coder.until(await coder.run(await coding(coder, "code-raises")))

    [code] = await code_of(coder, run)
    assert (run.status, "ZeroDivisionError" in logs_of(code)) == ("completed", True)


async def test_text_that_no_database_takes_is_mended(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    writes = r'import sys; sys.stdout.buffer.write(b"a\0b\xffc\n")'
    provider.script("code-bytes", python(writes), Says("Done."))

    run = await coder.until(await coder.run(await coding(coder, "code-bytes")))

    [code] = await code_of(coder, run)
    assert logs_of(code).startswith("a\ufffdb\ufffdc\n")


async def test_tool_choice_makes_the_model_run_code(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("code-chosen", python("1"), Says("Done."))
    assistant = await coding(coder, "code-chosen")

    await coder.until(await coder.run(assistant, tool_choice={"type": "code_interpreter"}))

    choices = [request.get("tool_choice") for request in provider.requests("code-chosen")]
    assert choices[0] == {"type": "function", "function": {"name": "python"}}
    assert choices[1] in (None, "auto")


async def test_scripted_model_runs_the_code_of_the_message(coder: RunningHoldfast) -> None:
    assistant = await coding(coder, SCRIPTED_MODEL)
    said = 'Try:\n```python\nopen("/mnt/data/a.txt", "w").write("a")\nprint("sandbox:/mnt/data/a.txt")\n```\n'

    run = await coder.until(await coder.run(assistant, said))
    silent = await coder.until(await coder.run(assistant, "No code"))

    [message] = (await coder.client.beta.threads.messages.list(run.thread_id, run_id=run.id)).data
    [text] = [part.to_dict()["text"] for part in message.content]
    assert [each["text"] for each in text["annotations"]] == ["sandbox:/mnt/data/a.txt"]  # type: ignore[index]
    assert await coder.texts(silent) == ["No code", "You said: No code"]


async def test_run_of_an_assistant_that_has_the_tool_already_says_why_no_code_runs(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("code-refused", python("print(1)"), Says("I cannot."))
    body = CreateAssistantRequest(model="code-refused", tools=[CodeInterpreterTool(type="code_interpreter")])
    # By the API it could not be created here.
    assistant = await holdfast.resources.database.write(assistants.create, DEFAULT_PROJECT, body)

    run = await holdfast.until(await holdfast.run(assistant.id), "completed")

    [code] = await code_of(holdfast, run)
    assert code["outputs"] == [{"type": "logs", "logs": NO_SANDBOX}]
    assert told(provider.requests("code-refused")[1]) == [NO_SANDBOX]


async def test_operators_see_code_calls(coder: RunningHoldfast, provider: ScriptedProvider) -> None:
    provider.script("code-ops", python("print('a secret')"), Says("Done."))
    run = await coder.until(await coder.run(await coding(coder, "code-ops")))

    timeline: Any = await coder.client.get(f"/ops/runs/{run.id}", cast_to=object)

    [call] = timeline["turns"][0]["tool_calls"]
    assert (call["kind"], call["is_answered"], call["attempts"], call["error"]) == ("code_interpreter", True, 1, None)
    history = await coder.resources.temporal.get_workflow_handle(run.id).fetch_history()
    summaries = [event.user_metadata.summary.data for event in history.events if event.HasField("user_metadata")]
    assert b'"code_interpreter"' in summaries
    assert "a secret" not in str(history)
