"""The tool `code_interpreter` of a request, by what the sandbox says of itself."""

from typing import Any, cast

import pytest

from api.code_tools import CodeRefused, check_tools
from infra.ports import CodeSandbox
from infra.sandbox.errors import SandboxUnavailable
from models.code_cells import PackageState, SandboxHealth
from models.tools import CodeInterpreterTool, FileSearchTool, Tool

TOOLS: list[Tool] = [FileSearchTool(type="file_search"), CodeInterpreterTool(type="code_interpreter")]
WORDS = "code_interpreter cannot run here: bwrap: setting up uid map: Permission denied. Set HOLDFAST_SANDBOX_URL."


class Sandbox:
    def __init__(self, health: SandboxHealth | Exception) -> None:
        self.health_ = health

    async def health(self) -> SandboxHealth:
        if isinstance(self.health_, Exception):
            raise self.health_
        return self.health_


def saying(health: SandboxHealth | Exception) -> CodeSandbox:
    return cast(CodeSandbox, Sandbox(health))


async def test_refusal_has_the_words_of_the_probe() -> None:
    sandbox = saying(SandboxHealth(None, WORDS, PackageState.READY))

    with pytest.raises(CodeRefused) as raised:
        await check_tools(sandbox, TOOLS)

    assert (str(raised.value), raised.value.param) == (WORDS, "tools[1].type")


OPEN: Any = [
    SandboxHealth("bubblewrap", None, PackageState.READY),
    SandboxHealth("bubblewrap", None, PackageState.PREPARING),
    SandboxUnavailable("The sandbox does not answer."),
]


@pytest.mark.parametrize("health", OPEN, ids=["ready", "preparing", "away"])
async def test_tool_is_accepted_unless_the_sandbox_refuses(health: SandboxHealth | Exception) -> None:
    await check_tools(saying(health), TOOLS)


@pytest.mark.parametrize("tools", [None, [], TOOLS[:1]])
async def test_sandbox_is_not_asked_about_other_tools(tools: list[Tool] | None) -> None:
    await check_tools(saying(AssertionError("asked")), tools)
