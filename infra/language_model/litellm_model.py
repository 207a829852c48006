"""The `LanguageModel` port over litellm: any model of any provider it can reach."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_parameters import chat_parameters
from infra.language_model.litellm_answer import LitellmAnswer
from infra.language_model.litellm_calls import LitellmCalls
from infra.language_model.litellm_errors import translated
from infra.language_model.react.answer import ReactAnswer
from infra.language_model.react.prompt import STOP_SEQUENCE, as_text, needs_react, offers_tools
from models.language_model import Finish, FinishReason, ModelDelta, ModelRequest, RefusalDelta, TextDelta, TokenUsage

LONG_TEXT_CHARACTERS = 10_000


class LitellmLanguageModel:
    """litellm is loaded by `prepare`, or the first call, never before: that takes seconds."""

    def __init__(self, catalogue: ModelCatalogue) -> None:
        self._catalogue = catalogue
        self._calls: LitellmCalls | None = None
        self._opening = threading.Lock()

    def close(self) -> None:
        """Call it when no call is under way any more."""
        if self._calls is not None:
            self._calls.close()

    async def prepare(self) -> None:
        await self._ready()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        calls = await self._ready()
        takes_tools = not needs_react(request) or calls.calls_functions(request.model)
        deltas = self._answer(calls, request) if takes_tools else self._answer_by_react(calls, request)
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    async def context_window_tokens(self, model: str) -> int | None:
        return (await self._ready()).context_window_tokens(model)

    async def count_tokens(self, model: str, text: str) -> int:
        calls = await self._ready()
        if len(text) > LONG_TEXT_CHARACTERS:
            return await asyncio.to_thread(calls.count_tokens, model, text)
        return calls.count_tokens(model, text)

    async def _answer(
        self, calls: LitellmCalls, request: ModelRequest, stop: str | None = None
    ) -> AsyncGenerator[ModelDelta, None]:
        answer = LitellmAnswer()
        has_begun = False
        try:
            chunks = await calls.stream(request.model, chat_parameters(request), stop)
            async with aclosing(chunks):
                async for chunk in chunks:
                    for delta in answer.read(chunk):
                        has_begun = True
                        yield delta
                    if answer.is_over and not calls.learn_from_answers:
                        break
        except Exception as error:
            raise translated(error, request.model, has_begun) from error
        for delta in answer.end():
            yield delta

    async def _answer_by_react(self, calls: LitellmCalls, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        in_text = as_text(request)
        if not offers_tools(request):
            deltas = self._answer(calls, in_text)
        else:
            deltas = self._actions(calls, in_text, ReactAnswer(request))
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    async def _actions(
        self, calls: LitellmCalls, in_text: ModelRequest, answer: ReactAnswer
    ) -> AsyncGenerator[ModelDelta, None]:
        said = ""
        finish: Finish | None = None
        async with aclosing(self._answer(calls, in_text, stop=STOP_SEQUENCE)) as deltas:
            async for delta in deltas:
                match delta:
                    case TextDelta(text):
                        said += text
                        for piece in answer.feed(text):
                            yield piece
                    case RefusalDelta():
                        yield delta
                    case Finish():
                        finish = delta
                if answer.is_over:
                    break
        finish = finish or Finish(FinishReason.STOP, await self._counted(calls, in_text, said))
        for piece in answer.end(finish):
            yield piece

    async def _counted(self, calls: LitellmCalls, request: ModelRequest, said: str) -> TokenUsage:
        """The usage of a call that was closed before the provider told it."""
        prompt = await asyncio.to_thread(calls.count_prompt_tokens, request.model, chat_parameters(request))
        return TokenUsage(prompt, await self.count_tokens(request.model, said))

    async def _ready(self) -> LitellmCalls:
        if self._calls is not None:
            return self._calls
        return await asyncio.to_thread(self._open)

    def _open(self) -> LitellmCalls:
        with self._opening:
            if self._calls is None:
                self._calls = LitellmCalls(self._catalogue)
            return self._calls
