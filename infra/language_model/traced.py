"""The `LanguageModel` port with a span around every call, after OpenTelemetry's GenAI conventions, without content."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.errors import ModelCallFailed
from infra.language_model.provider_names import OTHER, provider_name
from infra.ports import LanguageModel
from models.language_model import Finish, ModelDelta, ModelRequest

CHAT = "chat"


class TracedLanguageModel:
    """`language_model`, each call of which is a span `chat MODEL` under the current span."""

    def __init__(self, language_model: LanguageModel, catalogue: ModelCatalogue, tracer: Tracer) -> None:
        self._language_model = language_model
        self._catalogue = catalogue
        self._tracer = tracer

    async def prepare(self) -> None:
        await self._language_model.prepare()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        # Not made current: a generator may be closed in another context than the one in which it was begun.
        span = self._tracer.start_span(
            f"{CHAT} {request.model}", kind=SpanKind.CLIENT, attributes=self._attributes(request)
        )
        began: float | None = time.perf_counter()
        try:
            async with aclosing(self._language_model.stream(request)) as deltas:
                async for delta in deltas:
                    if began is not None:
                        span.set_attribute("gen_ai.response.time_to_first_chunk", time.perf_counter() - began)
                        began = None
                    if isinstance(delta, Finish):
                        _note_finish(span, delta)
                    yield delta
        except ModelCallFailed as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            span.end()

    async def context_window_tokens(self, model: str) -> int | None:
        return await self._language_model.context_window_tokens(model)

    async def count_tokens(self, model: str, text: str) -> int:
        return await self._language_model.count_tokens(model, text)

    def _attributes(self, request: ModelRequest) -> dict[str, AttributeValue]:
        values: dict[str, str | bool | int | float | None] = {
            "gen_ai.operation.name": CHAT,
            "gen_ai.provider.name": self._provider(request.model),
            "gen_ai.request.model": request.model,
            "gen_ai.request.stream": request.chat is None or request.chat.is_streamed,
            "gen_ai.request.max_tokens": request.max_tokens,
            "gen_ai.request.temperature": request.temperature,
            "gen_ai.request.top_p": request.top_p,
            "gen_ai.request.reasoning.level": request.reasoning_effort,
        }
        return {name: value for name, value in values.items() if value is not None}

    def _provider(self, model: str) -> str:
        # litellm chooses among several deployments of one name; its choice is not known.
        providers = {provider_name(served.name) for served in self._catalogue.served_by(model)}
        providers = providers or {provider_name(model)}
        return providers.pop() if len(providers) == 1 else OTHER


def _note_finish(span: Span, finish: Finish) -> None:
    span.set_attribute("gen_ai.response.finish_reasons", [finish.reason.value])
    span.set_attribute("gen_ai.usage.input_tokens", finish.usage.prompt_tokens)
    span.set_attribute("gen_ai.usage.output_tokens", finish.usage.completion_tokens)
    span.set_attribute("gen_ai.usage.cache_read.input_tokens", finish.usage.cached_tokens)
    span.set_attribute("gen_ai.usage.reasoning.output_tokens", finish.usage.reasoning_tokens)
