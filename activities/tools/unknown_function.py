"""Answers calls of functions that the run does not have: the model reads so, and the client is never asked."""

from infra.ports import ToolScope
from infra.tools.errors import ToolFailed
from models.offered_tools import OfferedTools
from models.tool_calls import ServerResult, ToolCall

MAX_NAME = 100


class UnknownFunction:
    async def run(self, call: ToolCall, scope: ToolScope) -> ServerResult:
        names = ", ".join(dict.fromkeys(function.name for function in OfferedTools.of(scope.run.tools).functions))
        there_are = f"The functions are: {names}." if names else "There are no functions: answer without them."
        raise ToolFailed(f"There is no function '{call.name[:MAX_NAME]}'. {there_are}")
