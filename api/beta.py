"""The version of the Assistants API that a client's `OpenAI-Beta` header requests, and responses in that version."""

from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from api.azure import IS_AZURE
from api.beta_v1 import to_v2
from api.json_bodies import JsonRoute
from api.v1_answers import V1Answers
from models.errors import InvalidRequest

HEADER = "openai-beta"
MODIFY_ASSISTANT = "modifyAssistant"
MISSING_BETA = (
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by setting the header "
    "'OpenAI-Beta: assistants=v2'."
)


class BetaVersion(StrEnum):
    V1 = "v1"
    V2 = "v2"


def beta_version(request: Request, is_required: bool = False) -> BetaVersion:
    """The requested version; no header means v2, unless one `is_required`. Raises `InvalidRequest` for any other.

    Azure's clients never send it.
    """
    named = ",".join(request.headers.getlist(HEADER))
    betas = dict(part.strip().partition("=")[::2] for part in named.split(","))
    asked = betas.get("assistants")
    if asked is None and (not is_required or getattr(request.state, IS_AZURE, False)):
        return BetaVersion.V2
    if asked not in tuple(BetaVersion):
        raise InvalidRequest(MISSING_BETA, code="invalid_beta")
    return BetaVersion(asked)


class AssistantsRoute(JsonRoute):
    """A route of the Assistants API. It is written for v2; bodies and responses of v1 clients are translated."""

    def body_of(self, request: Request, body: Any) -> Any:
        if beta_version(request) is BetaVersion.V2:
            return body
        translated = to_v2(self.operation_id or "", body)
        if self.operation_id == MODIFY_ASSISTANT and isinstance(translated, dict):
            request.state.v1_file_ids = translated.pop("file_ids", None)
        return translated

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_version(request: Request) -> Response:
            response = await handle(request)
            # The events of a stream are translated one by one: api/sse.py.
            is_stream = isinstance(response, StreamingResponse)
            if beta_version(request) is BetaVersion.V2 or is_stream:
                return response
            return await V1Answers(request.app.state.resources.database, request.state.project).rewrite(response)

        return handle_version
