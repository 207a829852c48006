"""The `LanguageModel` port over OpenAI's chat completions: for OpenAI, and for every compatible server."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.daemon_threads import DaemonThreads
from infra.language_model.acceptable_prompts import acceptable, takes_any_prompt
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.addresses import Endpoint, without_prefix
from infra.language_model.chat_completions.answer import ChatCompletionsAnswer
from infra.language_model.chat_completions.endpoints import DirectModels
from infra.language_model.chat_completions.failures import CallFailed, translated
from infra.language_model.chat_completions.passed_on_answer import PassedOnAnswer
from infra.language_model.chat_completions.request import body_of
from infra.language_model.litellm_files import bundled_price_list
from infra.language_model.model_facts import PriceList, calls_functions, context_window_tokens
from infra.language_model.react.calling import answer_by_react, prompt_text
from infra.language_model.react.prompt import needs_react
from infra.language_model.tokenizer import Tokenizer
from infra.time_slices import TimeSlices
from models.language_model import (
    CallDelta,
    Finish,
    ModelDelta,
    ModelRequest,
    PassedOn,
    RefusalDelta,
    TextDelta,
    TokenUsage,
)

if TYPE_CHECKING:
    from infra.language_model.chat_completions.client import ChatCompletionsClient

USAGE_PATIENCE_SECONDS = 5
"""The time limit for the usage of an answer after its finish reason."""

END_PATIENCE_SECONDS = 0.05
"""The time limit for the end of the stream after an answer: a connection is reusable only after it."""

LARGE_BYTES = 64 * 1024
"""Larger events, such as whole answers, are read in a thread."""


@dataclass(frozen=True)
class _Opened:
    client: "ChatCompletionsClient"
    models: DirectModels
    price_list: PriceList


class ChatCompletionsLanguageModel:
    """`prepare` loads the dependencies, or else the first call does."""

    def __init__(self, catalogue: ModelCatalogue) -> None:
        self._catalogue = catalogue
        self._tokenizer = Tokenizer()
        self._threads = DaemonThreads()
        self._opening = threading.Lock()
        self._opened: _Opened | None = None

    async def close(self) -> None:
        """Call it when no call is in progress."""
        if self._opened is not None:
            await self._opened.client.close()

    async def prepare(self) -> None:
        """Raises `InvalidCatalogue`."""
        await self._ready()

    async def serves(self, model: str) -> bool:
        """Whether calls of `model` can be made directly, with all of the operator's options."""
        return (await self._ready()).models.serves(model)

    async def serves_all(self) -> bool:
        """Whether every model that the operator names can be called directly."""
        return (await self._ready()).models.are_all

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        opened = await self._ready()
        if self._needs_react(opened, request):
            deltas = answer_by_react(request, self._answer, self.count_tokens)
        else:
            deltas = self._answer(request)
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    async def context_window_tokens(self, model: str) -> int | None:
        return context_window_tokens((await self._ready()).price_list, self._catalogue.served_by(model))

    async def count_tokens(self, model: str, text: str) -> int:
        served = self._catalogue.served_by(model)
        return await self._tokenizer.count(without_prefix(served[0].name) if served else model, text)

    async def _answer(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        opened = await self._ready()
        endpoint = opened.models.endpoint(request.model, request.chat is None or request.chat.is_streamed)
        answer, said = _answer_to(request, endpoint), _Said()
        try:
            async with aclosing(self._deltas(opened, endpoint, request, answer)) as deltas:
                async for delta in deltas:
                    said.add(delta)
                    yield delta
            reason = answer.finish_reason
        except Exception as error:
            raise translated(error, request.model, said.has_any) from error
        yield Finish(reason, answer.usage or await self._counted(request, said), answer.state)

    async def _deltas(
        self, opened: _Opened, endpoint: Endpoint, request: ModelRequest, answer: ChatCompletionsAnswer | PassedOnAnswer
    ) -> AsyncGenerator[ModelDelta, None]:
        slices = TimeSlices()
        sent = request if takes_any_prompt(endpoint.url) else acceptable(request)
        async with aclosing(opened.client.events(endpoint, body_of(sent, endpoint))) as events:
            while (event := await _next(events, answer)) is not None:
                for delta in await self._read(answer, event):
                    yield delta
                # Thousands of events may have arrived in one piece.
                await slices.checkpoint()
        for delta in answer.end():
            yield delta

    async def _read(self, answer: ChatCompletionsAnswer | PassedOnAnswer, event: bytes) -> Iterable[ModelDelta]:
        if len(event) <= LARGE_BYTES:
            return answer.read(event)
        return await self._threads.run(lambda: list(answer.read(event)))

    def _needs_react(self, opened: _Opened, request: ModelRequest) -> bool:
        # A body that is passed on says all that the client wants to be sent.
        if request.chat is not None or not needs_react(request):
            return False
        # A prompt with calls but without functions is refused by some providers: then these are text as well.
        return not (request.functions and self._calls_functions(opened, request.model))

    def _calls_functions(self, opened: _Opened, model: str) -> bool:
        served_by, takes_tools = self._catalogue.served_by(model), opened.models.takes_tools(model)
        return all(calls_functions(opened.price_list, served, takes_tools) for served in served_by)

    async def _counted(self, request: ModelRequest, said: "_Said") -> TokenUsage:
        """The usage of an answer whose provider reported none."""
        functions = (json.dumps([function.name, function.parameters]) for function in request.functions)
        asked = "\n".join([prompt_text(request), *functions])
        counts = [await self.count_tokens(request.model, text) for text in (asked, said.text)]
        return TokenUsage(*counts)

    async def _ready(self) -> _Opened:
        if self._opened is not None:
            return self._opened
        return await self._threads.run(self._open)

    def _open(self) -> _Opened:
        with self._opening:
            if self._opened is None:
                # httpx takes a quarter of a second to import, which processes without model calls avoid.
                from infra.language_model.chat_completions.client import ChatCompletionsClient

                price_list = bundled_price_list()
                models = DirectModels(self._catalogue, price_list)
                self._opened = _Opened(ChatCompletionsClient(), models, price_list)
            return self._opened


class _Said:
    """The text of an answer so far, for counting."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.has_any = False

    def add(self, delta: ModelDelta) -> None:
        self.has_any = True
        match delta:
            case TextDelta(text) | RefusalDelta(text):
                self._pieces.append(text)
            case CallDelta(name=name, arguments=arguments):
                self._pieces.append(f"{name or ''}{arguments}")
            case PassedOn(content):
                self._pieces.extend(_texts_of(content))

    @property
    def text(self) -> str:
        return "".join(self._pieces)


def _answer_to(request: ModelRequest, endpoint: Endpoint) -> ChatCompletionsAnswer | PassedOnAnswer:
    if request.chat is not None:
        return PassedOnAnswer(request.chat)
    return ChatCompletionsAnswer(request.function_names, endpoint.vendor)


def _texts_of(piece: Mapping[str, Any]) -> Iterator[str]:
    for choice in piece["choices"]:
        text = (choice.get("delta") or choice.get("message") or {}).get("content")
        if isinstance(text, str):
            yield text


async def _next(events: AsyncGenerator[bytes, None], answer: ChatCompletionsAnswer | PassedOnAnswer) -> bytes | None:
    if not answer.is_over:
        return await anext(events, None)
    # The answer is complete, even if its connection fails now.
    with suppress(TimeoutError, CallFailed):
        async with asyncio.timeout(END_PATIENCE_SECONDS if answer.is_whole else USAGE_PATIENCE_SECONDS):
            return await anext(events, None)
    return None
