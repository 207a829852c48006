"""`?metadata[key]=value`, repeated for several pairs: a filter of lists."""

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from api.json_bodies import check_storable
from models.wire import Metadata

METADATA_PARAMETER: dict[str, Any] = {
    "name": "metadata",
    "in": "query",
    "style": "deepObject",
    "explode": True,
    "description": "Only objects that have all of these pairs: `?metadata[user]=ada`.",
    "schema": {"type": "object", "maxProperties": 16, "additionalProperties": {"type": "string", "maxLength": 512}},
}

_METADATA: TypeAdapter[dict[str, str]] = TypeAdapter(Metadata)


async def _metadata_filter(request: Request) -> dict[str, str]:
    given = {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in request.query_params.multi_items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    check_storable(given, "metadata")
    try:
        return _METADATA.validate_python(given)
    except ValidationError as error:
        located = [{**each, "loc": ("query", "metadata", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(located) from error


MetadataFilterDep = Annotated[dict[str, str], Depends(_metadata_filter)]
