"""The `LanguageModel` port over litellm: any model of any provider that it supports."""

import threading
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from infra.daemon_threads import DaemonThreads
from infra.language_model.acceptable_prompts import acceptable
from infra.language_model.beyond_the_port import changes_answer, custom_part, parameters_beyond
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_parameters import chat_parameters
from infra.language_model.litellm_answer import LitellmAnswer
from infra.language_model.litellm_calls import LitellmCalls
from infra.language_model.litellm_errors import translated
from infra.language_model.litellm_kept import Kept
from infra.language_model.litellm_media import media_of, payload_of, with_media_for_litellm
from infra.language_model.litellm_passed_on import LitellmRequest, pass_on
from infra.language_model.react.calling import answer_by_react
from infra.language_model.react.prompt import needs_react
from infra.language_model.schema_expansion import check_expansion
from infra.language_model.vendors import vendor_of
from models.language_model import ModelDelta, ModelRequest

LONG_TEXT_CHARACTERS = 10_000
NOT_DROPPED = frozenset({"parallel_tool_calls"})
"""Parameters of the port that a model takes, or the call fails."""


class LitellmLanguageModel:
    """`prepare` loads litellm, which takes seconds, or else the first call does."""

    def __init__(self, catalogue: ModelCatalogue) -> None:
        self._catalogue = catalogue
        self._calls: LitellmCalls | None = None
        self._opening = threading.Lock()
        self._threads = DaemonThreads()

    def close(self) -> None:
        """Call it when no call is in progress."""
        if self._calls is not None:
            self._calls.close()

    async def prepare(self) -> None:
        await self._ready()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        calls = await self._ready()
        # A prompt with calls but without functions is refused by some providers: then these are text as well.
        calls_functions = request.functions and calls.calls_functions(request.model)
        if needs_react(request) and not (calls_functions or custom_part(request)):
            deltas = answer_by_react(request, partial(self._answer, calls), self.count_tokens)
        else:
            deltas = self._answer(calls, request)
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    async def context_window_tokens(self, model: str) -> int | None:
        return (await self._ready()).context_window_tokens(model)

    async def count_tokens(self, model: str, text: str) -> int:
        calls = await self._ready()
        if len(text) > LONG_TEXT_CHARACTERS:
            return await self._threads.run(calls.count_tokens, model, text)
        return calls.count_tokens(model, text)

    async def _answer(self, calls: LitellmCalls, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        has_begun = False
        try:
            if request.functions or request.response_format or request.chat:
                await self._threads.run(check_expansion, request)
            if request.chat and request.chat.in_request:
                request = await self._threads.run(with_media_for_litellm, request)
            async with aclosing(self._deltas(calls, request)) as deltas:
                async for delta in deltas:
                    has_begun = True
                    yield delta
        except Exception as error:
            raise translated(error, request.model, has_begun) from error

    def _deltas(self, calls: LitellmCalls, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        vendor = vendor_of(self._catalogue, request.model)
        beyond = parameters_beyond(request, lambda name: calls.takes(name, request.model))
        parameters = {**chat_parameters(acceptable(request), vendor), **beyond}
        asked = LitellmRequest(request.model, parameters, _kept(request, parameters, beyond))
        if request.chat is not None and changes_answer(request.chat):
            return pass_on(calls, asked, request.chat, self._threads)
        provider = self._catalogue.provider_of(request.model)
        return _read(calls, asked, LitellmAnswer(request.function_names, provider, vendor))

    async def _ready(self) -> LitellmCalls:
        if self._calls is not None:
            return self._calls
        return await self._threads.run(self._open)

    def _open(self) -> LitellmCalls:
        with self._opening:
            if self._calls is None:
                self._calls = LitellmCalls(self._catalogue)
            return self._calls


def _kept(request: ModelRequest, parameters: Mapping[str, Any], beyond: Mapping[str, Any]) -> Kept:
    fields = beyond.keys() | (parameters.keys() & NOT_DROPPED)
    if request.chat is None:
        return Kept(fields)
    names = tuple(message["name"] for message in parameters["messages"] if "name" in message)
    named = next((name for name in request.chat.beyond if name.endswith(".name")), "")
    parts = {part.field: payload_of(part) for part in media_of(request)}
    return Kept(fields, parts, names, named, custom_part(request))


async def _read(
    calls: LitellmCalls, request: LitellmRequest, answer: LitellmAnswer
) -> AsyncGenerator[ModelDelta, None]:
    async with aclosing(await calls.stream(request.model, request.parameters, request.kept)) as chunks:
        async for chunk in chunks:
            for delta in answer.read(chunk):
                yield delta
            if answer.is_over and not calls.learn_from_answers:
                break
    for delta in answer.end():
        yield delta
