"""`/chat/completions`: one call of a model of the catalogue. It is not durable, and nothing of it is stored."""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeVar

from anyio import CancelScope, to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from api.chat_files import insert_contents
from api.dependencies import ProjectDep, ResourcesDep
from api.deployments import DeploymentRoute
from api.errors import DO_NOT_RETRY, ErrorResponse
from api.large_bodies import LARGE_BYTES
from api.sse import HEADERS, MEDIA_TYPE, OrStream, ended, following_of
from infra.clock import now_seconds
from infra.language_model.errors import ModelCallFailed, PromptRejected, QuotaExceeded, RateLimited
from models.chat_completion_answers import ChatCompletion
from models.chat_completions import CreateChatCompletionRequest
from models.errors import ApiError, ErrorEnvelope, ModelNotFound
from models.language_model import ModelDelta

router = APIRouter(prefix="/chat/completions", tags=["Chat"], route_class=DeploymentRoute)

DONE = b"data: [DONE]\n\n"
KEEPALIVE = b": keepalive\n\n"

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

Result = TypeVar("Result")


class ModelFailed(ApiError):
    def __init__(self, error: ModelCallFailed) -> None:
        super().__init__(str(error), code=error.code.value)
        match error:
            case RateLimited():
                self.status, self.type = 429, "requests"
            case QuotaExceeded():
                self.status, self.type, self.code = 429, "insufficient_quota", "insufficient_quota"
            case PromptRejected():
                self.status, self.type = 400, "invalid_request_error"
            case _:
                self.status = 503 if error.is_retryable else 502


@router.post("", operation_id="createChatCompletion", response_model=None, responses=OrStream)
async def create_chat_completion(
    body: CreateChatCompletionRequest, request: Request, resources: ResourcesDep, project: ProjectDep
) -> Response:
    if not resources.catalogue.offers(body.model):
        raise ModelNotFound(body.model)
    await insert_contents(body, resources, project)
    asked, with_usage = body.model_request(), body.sends_usage()
    completion = ChatCompletion(f"chatcmpl-{secrets.token_hex(12)}", now_seconds(), body.model, bool(body.functions))
    deltas = resources.language_model.stream(asked)
    try:
        if not body.stream:
            content = await _unless_gone(request, _whole(completion, deltas))
            return Response(content, media_type="application/json")
        # The failure of a call that has said nothing has its status.
        first = await _unless_gone(request, anext(deltas))
    except ModelCallFailed as error:
        return _failure(error)
    lines = _lines(completion, first, deltas, with_usage, resources.settings.keepalive)
    return StreamingResponse(lines, media_type=MEDIA_TYPE, headers=HEADERS)


async def _unless_gone(request: Request, answering: Coroutine[Any, Any, Result]) -> Result:
    """The result. Raises `ClientDisconnect`, and ends the model's call, where the client hangs up before it."""
    answer, gone = asyncio.ensure_future(answering), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait([answer, gone], return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise ClientDisconnect
    finally:
        for task in (answer, gone):
            task.cancel()
        await asyncio.wait([answer, gone])


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _whole(completion: ChatCompletion, deltas: AsyncGenerator[ModelDelta, None]) -> bytes:
    async with aclosing(deltas):
        async for delta in deltas:
            completion.read(delta)
    if completion.passed_on_bytes <= LARGE_BYTES:
        return _json(completion.whole())
    return await to_thread.run_sync(_json, completion.whole())


def _json(whole: dict[str, Any]) -> bytes:
    # `iterencode` gives up the GIL between the values of a large answer, `encode` does not. To join a list of millions
    # of pieces would hold it again.
    written = bytearray()
    for piece in _ENCODER.iterencode(whole):
        written += _mended(piece)
    return bytes(written)


def _mended(piece: str) -> bytes:
    """Halves of surrogate pairs are replaced, as they have no UTF-8. Those of a stream's chunks may yet be joined."""
    try:
        return piece.encode()
    except UnicodeEncodeError:
        return piece.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


async def _lines(
    completion: ChatCompletion,
    first: ModelDelta,
    deltas: AsyncGenerator[ModelDelta, None],
    with_usage: bool,
    keepalive: timedelta,
) -> AsyncGenerator[bytes, None]:
    async with aclosing(_with_silence(deltas, keepalive)) as pieces:
        for chunk in completion.first_chunks(first):
            yield _line(chunk)
        try:
            async for delta in pieces:
                if delta is None:
                    yield KEEPALIVE
                elif chunk_of_delta := completion.read(delta):
                    yield _line(chunk_of_delta)
        except ModelCallFailed as error:
            # The SDKs raise `APIError` for it.
            yield _line(ErrorEnvelope.of(ModelFailed(error)).model_dump())
            return
    if with_usage and not completion.has_told_usage:
        yield _line(completion.usage_chunk())
    yield DONE


async def _with_silence(
    deltas: AsyncGenerator[ModelDelta, None], limit: timedelta
) -> AsyncGenerator[ModelDelta | None, None]:
    """The deltas, and None each time that none came for so long."""
    # In a task of its own: Starlette cancels its own task again and again, once the client is gone.
    following: asyncio.Task[ModelDelta | None] | None = None
    try:
        while True:
            following = asyncio.create_task(following_of(deltas))
            while not (await asyncio.wait([following], timeout=limit.total_seconds()))[0]:
                yield None
            if (delta := following.result()) is None:
                return
            yield delta
    finally:
        with CancelScope(shield=True):
            if following:
                await ended(following)
            await deltas.aclose()


def _line(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n".encode()


def _failure(error: ModelCallFailed) -> Response:
    headers = {} if error.is_retryable else dict(DO_NOT_RETRY)
    if error.retry_after is not None:
        headers["retry-after"] = str(max(int(error.retry_after.total_seconds()), 1))
    return ErrorResponse(ModelFailed(error), headers)
