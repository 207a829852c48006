"""Refuses what could have no effect: no field is accepted and ignored."""

from collections.abc import Iterable

from models.errors import InvalidRequest
from models.tools import FileSearchTool, Tool

SEARCHES_DIFFER = "The tool 'file_search' is given twice with different settings, and only one of them could apply."


def check_searches(tools: Iterable[Tool] | None) -> None:
    search: FileSearchTool | None = None
    for index, tool in enumerate(tools or ()):
        match tool:
            case FileSearchTool() if search not in (None, tool):
                raise InvalidRequest(SEARCHES_DIFFER, f"tools[{index}]", "invalid_value")
            case FileSearchTool():
                search = tool
