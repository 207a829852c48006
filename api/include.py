"""`include[]`: additional fields of run steps."""

from typing import Annotated, Any

from fastapi import Depends, Request

from api.problems import shortened
from models.errors import InvalidRequest

FILE_SEARCH_CONTENT = "step_details.tool_calls[*].file_search.results[*].content"

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
    given = [*request.query_params.getlist("include[]"), *request.query_params.getlist("include")]
    values = [value for values in given for value in values.split(",")]
    for index, value in enumerate(values):
        if value != FILE_SEARCH_CONTENT:
            raise InvalidRequest(
                f"Invalid value: '{shortened(value)}'. Supported values are: '{FILE_SEARCH_CONTENT}'.",
                f"include[{index}]",
                "invalid_value",
            )
    return bool(values)


IncludeDep = Annotated[bool, Depends(_include)]
IncludeParameters = {"parameters": [INCLUDE_PARAMETER]}
