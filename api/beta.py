"""The version of the Assistants API that a client's `OpenAI-Beta` header requests, and responses in that version."""

import json
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from api.beta_v1 import to_v1, to_v2
from api.json_bodies import JsonRoute
from models.errors import InvalidRequest

HEADER = "openai-beta"
MISSING_BETA = (
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by setting the header "
    "'OpenAI-Beta: assistants=v2'."
)


class BetaVersion(StrEnum):
    V1 = "v1"
    V2 = "v2"


def beta_version(request: Request, is_required: bool = False) -> BetaVersion:
    """The requested version; no header means v2, unless one `is_required`. Raises `InvalidRequest` for any other."""
    named = ",".join(request.headers.getlist(HEADER))
    betas = dict(part.strip().partition("=")[::2] for part in named.split(","))
    asked = betas.get("assistants")
    if asked is None and not is_required:
        return BetaVersion.V2
    if asked not in tuple(BetaVersion):
        raise InvalidRequest(MISSING_BETA, code="invalid_beta")
    return BetaVersion(asked)


class AssistantsRoute(JsonRoute):
    """A route of the Assistants API. It is written for v2; bodies and responses of v1 clients are translated."""

    def body_of(self, request: Request, body: Any) -> Any:
        return to_v2(self.operation_id or "", body) if beta_version(request) is BetaVersion.V1 else body

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_version(request: Request) -> Response:
            response = await handle(request)
            # The events of a stream are translated one by one: api/sse.py.
            is_stream = isinstance(response, StreamingResponse)
            return _as_v1(response) if beta_version(request) is BetaVersion.V1 and not is_stream else response

        return handle_version


def _as_v1(response: Response) -> Response:
    response.body = json.dumps(to_v1(json.loads(bytes(response.body))), ensure_ascii=False).encode()
    response.headers["content-length"] = str(len(response.body))
    return response
