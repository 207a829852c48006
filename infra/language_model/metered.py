"""The `LanguageModel` port with its calls timed and its tokens counted."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from infra.language_model.errors import ModelCallFailed
from infra.metrics import Metrics
from infra.ports import LanguageModel
from models.language_model import Finish, ModelDelta, ModelRequest

ANSWERED = "answered"
FAILED = "failed"
CUT_SHORT = "cut_short"


class MeteredLanguageModel:
    """`language_model`, with its calls recorded in `metrics`."""

    def __init__(self, language_model: LanguageModel, metrics: Metrics) -> None:
        self._language_model = language_model
        self._metrics = metrics

    async def prepare(self) -> None:
        await self._language_model.prepare()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        began = time.perf_counter()
        first_chunk_seconds: float | None = None
        outcome = CUT_SHORT
        try:
            async with aclosing(self._language_model.stream(request)) as deltas:
                async for delta in deltas:
                    if first_chunk_seconds is None:
                        first_chunk_seconds = time.perf_counter() - began
                    if isinstance(delta, Finish):
                        outcome = ANSWERED
                        self._count_answer(request.model, first_chunk_seconds, delta)
                    yield delta
        except ModelCallFailed as error:
            outcome = FAILED
            self._metrics.model_failures.labels(self._metrics.models.of(request.model), type(error).__name__).inc()
            raise
        finally:
            model = self._metrics.models.of(request.model)
            self._metrics.model_call_seconds.labels(model, outcome).observe(time.perf_counter() - began)

    async def context_window_tokens(self, model: str) -> int | None:
        return await self._language_model.context_window_tokens(model)

    async def count_tokens(self, model: str, text: str) -> int:
        return await self._language_model.count_tokens(model, text)

    def _count_answer(self, model: str, first_chunk_seconds: float, finish: Finish) -> None:
        label = self._metrics.models.of_answering(model)
        self._metrics.model_first_chunk_seconds.labels(label).observe(first_chunk_seconds)
        self._metrics.tokens.labels(label, "input").inc(finish.usage.prompt_tokens)
        self._metrics.tokens.labels(label, "output").inc(finish.usage.completion_tokens)
