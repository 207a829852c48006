"""The choice of a language model by the name in a request."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.errors import ProviderRefused
from infra.language_model.own_servers import is_on_own_server
from infra.language_model.scripted import SCRIPTED_MODEL, ScriptedLanguageModel
from infra.language_model.wrapped_calls import WrappedCalls
from infra.language_model.written_calls import WrittenCalls
from infra.ports import LanguageModel
from models.language_model import ModelDelta, ModelRequest


class LanguageModelByName:
    """The `LanguageModel` port over all models of the catalogue: `direct` if it serves the model, or `by_litellm`."""

    def __init__(
        self, catalogue: ModelCatalogue, direct: ChatCompletionsLanguageModel, by_litellm: LanguageModel
    ) -> None:
        self._catalogue = catalogue
        self._scripted = ScriptedLanguageModel()
        self._direct = direct
        self._by_litellm = by_litellm

    async def prepare(self) -> None:
        await self._direct.prepare()
        if not await self._direct.serves_all():
            await self._by_litellm.prepare()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        # A run may be older than the models file.
        if not self._catalogue.offers(request.model):
            raise ProviderRefused(f"The model '{request.model}' is not offered here.")
        language_model, readers = await self._choose(request.model), self._readers(request)
        async with aclosing(language_model.stream(request)) as deltas:
            async for delta in deltas:
                for each in _read_by(readers, delta):
                    yield each

    async def context_window_tokens(self, model: str) -> int | None:
        return await (await self._choose(model)).context_window_tokens(model)

    async def count_tokens(self, model: str, text: str) -> int:
        return await (await self._choose(model)).count_tokens(model, text)

    def _readers(self, request: ModelRequest) -> Sequence[WrittenCalls | WrappedCalls]:
        if is_on_own_server(self._catalogue, request.model):
            return WrittenCalls(request), WrappedCalls(request)
        return (WrappedCalls(request),)

    async def _choose(self, model: str) -> LanguageModel:
        if model == SCRIPTED_MODEL:
            return self._scripted
        if not self._catalogue.offers(model) or await self._direct.serves(model):
            return self._direct
        return self._by_litellm


def _read_by(readers: Sequence[WrittenCalls | WrappedCalls], delta: ModelDelta) -> Iterable[ModelDelta]:
    deltas: Iterable[ModelDelta] = (delta,)
    for reader in readers:
        deltas = [read for each in deltas for read in reader.read(each)]
    return deltas
