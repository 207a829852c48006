"""`include[]`: additional fields of run steps.

Operations to which OpenAI's contract gives it take it. Others that stream steps refuse it.
"""

from typing import Annotated, Any

from fastapi import Depends, Request

from api.problems import shortened
from models.errors import InvalidRequest

FILE_SEARCH_CONTENT = "step_details.tool_calls[*].file_search.results[*].content"

NAMES = ("include[]", "include")

INCLUDE_PARAMETER: dict[str, Any] = {
    "name": "include[]",
    "in": "query",
    "description": "The one value there is adds the content of file search results to their tool calls.",
    "schema": {"type": "array", "items": {"type": "string", "enum": [FILE_SEARCH_CONTENT]}},
}


async def _include(request: Request) -> bool:
    """Whether the client asks for the content of search results.

    Accepts `include[]` and `include`, repeated or with commas. Raises `InvalidRequest` for any but the one value.
    """
    given = [value for name in NAMES for value in request.query_params.getlist(name)]
    values = [value for values in given for value in values.split(",")]
    for index, value in enumerate(values):
        if value != FILE_SEARCH_CONTENT:
            raise InvalidRequest(
                f"Invalid value: '{shortened(value)}'. Supported values are: '{FILE_SEARCH_CONTENT}'.",
                f"include[{index}]",
                "invalid_value",
            )
    return bool(values)


async def _refuse_include(request: Request) -> None:
    """Raises `InvalidRequest`: the stream that this operation answers with never has the content."""
    for name in NAMES:
        if name in request.query_params:
            raise InvalidRequest(f"Unknown parameter: '{name}'.", name, "unknown_parameter")


IncludeDep = Annotated[bool, Depends(_include)]
IncludeParameters = {"parameters": [INCLUDE_PARAMETER]}
RefusesInclude = Depends(_refuse_include)
