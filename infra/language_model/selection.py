"""Choosing between language models by the name a request asks for."""

from collections.abc import AsyncGenerator, Mapping

from infra.ports import LanguageModel
from models.language_model import ModelDelta, ModelRequest


class LanguageModelByName:
    """The `LanguageModel` port over several: `named` ones answer to their names, `otherwise` to every other."""

    def __init__(self, named: Mapping[str, LanguageModel], otherwise: LanguageModel) -> None:
        self._named = named
        self._otherwise = otherwise

    async def prepare(self) -> None:
        for language_model in (*self._named.values(), self._otherwise):
            await language_model.prepare()

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        return self._choose(request.model).stream(request)

    async def context_window_tokens(self, model: str) -> int | None:
        return await self._choose(model).context_window_tokens(model)

    async def count_tokens(self, model: str, text: str) -> int:
        return await self._choose(model).count_tokens(model, text)

    def _choose(self, model: str) -> LanguageModel:
        return self._named.get(model, self._otherwise)
