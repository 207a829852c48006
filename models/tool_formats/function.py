"""The form of function calls: clients answer them, and the server those of functions that the run does not have."""

from collections.abc import Sequence

from models.answers import ArgumentsMender
from models.events import Event, call_delta
from models.run_steps import CalledFunction, FunctionToolCall
from models.tool_calls import SubmittedOutput, ToolCall, ToolFailure, ToolKind


class FunctionFormat:
    def step_call(self, call: ToolCall, with_content: bool = False) -> FunctionToolCall:
        return FunctionToolCall(
            id=call.id, function=CalledFunction(name=call.name, arguments=call.arguments, output=_output(call))
        )

    def opened(self, step_id: str, call: ToolCall) -> Event:
        function = {"name": call.name, "arguments": "", "output": None}
        return call_delta(step_id, call.position, {"id": call.id, "type": ToolKind.FUNCTION, "function": function})

    def reader(self) -> ArgumentsMender:
        return ArgumentsMender()

    def shown_input(self, call: ToolCall) -> str:
        return call.arguments

    def input_deltas(self, step_id: str, call: ToolCall, piece: str) -> Sequence[Event]:
        fields = {"type": ToolKind.FUNCTION, "function": {"arguments": piece}}
        return [call_delta(step_id, call.position, fields)]

    def progress_deltas(self, step_id: str, call: ToolCall) -> Sequence[tuple[int, Event]]:
        return ()

    def result_deltas(self, step_id: str, call: ToolCall) -> Sequence[Event]:
        return ()

    def output_for_model(self, call: ToolCall) -> str:
        return _output(call) or ""


def _output(call: ToolCall) -> str | None:
    match call.result:
        case SubmittedOutput(text) | ToolFailure(text):
            return text
    return None
