"""The form of function calls, which clients answer."""

from collections.abc import Sequence

from models.events import Event, call_delta
from models.run_steps import CalledFunction, FunctionToolCall
from models.tool_calls import SubmittedOutput, ToolCall, ToolKind


class FunctionFormat:
    def step_call(self, call: ToolCall, with_content: bool = False) -> FunctionToolCall:
        output = call.result.text if isinstance(call.result, SubmittedOutput) else None
        return FunctionToolCall(
            id=call.id, function=CalledFunction(name=call.name, arguments=call.arguments, output=output)
        )

    def opened(self, step_id: str, call: ToolCall) -> Event:
        function = {"name": call.name, "arguments": "", "output": None}
        return call_delta(step_id, call.position, {"id": call.id, "type": ToolKind.FUNCTION, "function": function})

    def shown_input(self, call: ToolCall) -> str:
        return call.arguments

    def input_deltas(self, step_id: str, call: ToolCall, piece: str) -> Sequence[Event]:
        fields = {"type": ToolKind.FUNCTION, "function": {"arguments": piece}}
        return [call_delta(step_id, call.position, fields)]

    def result_deltas(self, step_id: str, call: ToolCall) -> Sequence[Event]:
        return ()

    def output_for_model(self, call: ToolCall) -> str:
        return call.result.text if isinstance(call.result, SubmittedOutput) else ""
