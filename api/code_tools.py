"""Refuses the tool `code_interpreter` where code cannot be kept in its box, before anything is created with it."""

from collections.abc import Sequence

from infra.ports import CodeSandbox
from infra.sandbox.errors import SandboxUnavailable
from models.errors import InvalidRequest
from models.tool_formats.code_interpreter import NO_SANDBOX
from models.tools import CodeInterpreterTool, Tool


class CodeRefused(InvalidRequest):
    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason, f"tools[{index}].type", "unsupported_parameter")


async def check_tools(sandbox: CodeSandbox | None, tools: Sequence[Tool] | None) -> None:
    """Raises `CodeRefused` with the reason that the sandbox gives. One that does not answer now may do so later."""
    index = next((index for index, tool in enumerate(tools or ()) if isinstance(tool, CodeInterpreterTool)), None)
    if index is None:
        return
    if reason := await _refusal(sandbox):
        raise CodeRefused(index, reason)


async def _refusal(sandbox: CodeSandbox | None) -> str | None:
    if sandbox is None:
        return NO_SANDBOX
    try:
        health = await sandbox.health()
    except SandboxUnavailable:
        return None
    return None if health.isolation else health.refusal
