"""The form of code that the server runs: what the model writes and reads, and what clients see of it.

Clients see the text and the images that the code put out; the model reads the same text.
"""

from collections.abc import Sequence
from typing import Any

from models.events import Event, call_delta
from models.language_model import Function
from models.run_steps import (
    CodeInterpreter,
    CodeInterpreterToolCall,
    ImageOutput,
    ImageOutputFile,
    LogsOutput,
)
from models.tool_calls import CodeRun, ToolCall, ToolFailure, ToolKind
from models.written_code import CodeReader, code_of

FUNCTION_NAME = "python"
DESCRIPTION = (
    "Runs Python code, and returns what it prints. Variables are kept from call to call; there is no network. The "
    "folder /mnt/data has files: {files}. The user sees plots (plt.show()), and gets a file that you save there if "
    "your answer links to it, as in [report.csv](sandbox:/mnt/data/report.csv)."
)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"code": {"type": "string", "description": "The Python code to run."}},
    "required": ["code"],
    "additionalProperties": False,
}
NO_FILES = "none yet"
MAX_LISTED_FILES = 50

MAX_TOLD = 20_000
"""In characters, of the text that the model reads: its beginning and its end."""

NO_SANDBOX = (
    "code_interpreter cannot run here: this server has no sandbox. `holdfast up` starts one; for other servers set "
    "HOLDFAST_SANDBOX_URL."
)
NOTHING_PRINTED = "The code ran and printed nothing."
IMAGES_SHOWN = "[The user was shown {count} image(s).]"
LEFT_OUT = "\n[… {count} characters are left out here …]\n"
INVALID_ARGUMENTS = 'The code was not run: the arguments must be JSON of the form {"code": "…"}, with some code.'


def offered(name: str, files: Sequence[str] = ()) -> Function:
    """The tool as a function for the model. `files` are those of the thread, by their names in /mnt/data."""
    listed = ", ".join(files[:MAX_LISTED_FILES]) or NO_FILES
    more = f" and {len(files) - MAX_LISTED_FILES} more" if len(files) > MAX_LISTED_FILES else ""
    return Function(name, DESCRIPTION.format(files=listed + more), PARAMETERS, kind=ToolKind.CODE_INTERPRETER)


class CodeInterpreterFormat:
    def step_call(self, call: ToolCall, with_content: bool = False) -> CodeInterpreterToolCall:
        logs, image_ids = _outputs(call)
        outputs: list[LogsOutput | ImageOutput] = [LogsOutput(logs=logs)] if logs else []
        outputs += [ImageOutput(image=ImageOutputFile(file_id=file_id)) for file_id in image_ids]
        shown = CodeInterpreter(input=code_of(call.arguments), outputs=outputs)
        return CodeInterpreterToolCall(id=call.id, code_interpreter=shown)

    def opened(self, step_id: str, call: ToolCall) -> Event:
        return call_delta(step_id, call.position, {"id": call.id, **_code({"input": "", "outputs": []})})

    def reader(self) -> CodeReader:
        return CodeReader()

    def shown_input(self, call: ToolCall) -> str:
        return code_of(call.arguments)

    def input_deltas(self, step_id: str, call: ToolCall, piece: str) -> Sequence[Event]:
        return [call_delta(step_id, call.position, _code({"input": piece}))]

    def progress_deltas(self, step_id: str, call: ToolCall) -> Sequence[tuple[int, Event]]:
        logs, deltas, at = call.cell.logs if call.cell else "", list[tuple[int, Event]](), 0
        for number, size in call.cell.shown if call.cell else ():
            deltas.append((number, logs_delta(step_id, call, logs[at : at + size])))
            at += size
        return deltas

    def result_deltas(self, step_id: str, call: ToolCall) -> Sequence[Event]:
        logs, image_ids = _outputs(call)
        unseen = logs[len(call.cell.logs) if call.cell else 0 :]
        deltas = [logs_delta(step_id, call, unseen)] if unseen else []
        for index, file_id in enumerate(image_ids, start=1 if logs else 0):
            image = {"index": index, "type": "image", "image": {"file_id": file_id}}
            deltas.append(call_delta(step_id, call.position, _code({"outputs": [image]})))
        return deltas

    def output_for_model(self, call: ToolCall) -> str:
        match call.result:
            case CodeRun(logs, image_ids):
                shown = [IMAGES_SHOWN.format(count=len(image_ids))] if image_ids else []
                return "\n".join([*([_shortened(logs)] if logs else []), *shown]) or NOTHING_PRINTED
            case ToolFailure(message):
                return message
        return ""


def logs_delta(step_id: str, call: ToolCall, text: str) -> Event:
    """A piece of the logs, which are the first output of a call that has any."""
    return call_delta(step_id, call.position, _code({"outputs": [{"index": 0, "type": "logs", "logs": text}]}))


def _code(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": ToolKind.CODE_INTERPRETER, ToolKind.CODE_INTERPRETER: fields}


def _outputs(call: ToolCall) -> tuple[str, Sequence[str]]:
    """The logs and the images of a call, as far as they are known."""
    match call.result:
        case CodeRun(logs, image_ids):
            return logs, image_ids
        case ToolFailure(message):
            return (call.cell.logs if call.cell else "") + message, ()
    return call.cell.logs if call.cell else "", ()


def _shortened(logs: str) -> str:
    if len(logs) <= MAX_TOLD:
        return logs
    half = MAX_TOLD // 2
    return logs[:half] + LEFT_OUT.format(count=len(logs) - 2 * half) + logs[-half:]
