"""litellm, loaded and set up for one catalogue. Only this module makes its loosely typed calls."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, cast

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.litellm_kept import NOTHING_KEPT, Kept, keeping
from infra.language_model.litellm_loading import load_litellm
from infra.language_model.litellm_names import called_by_litellm
from infra.language_model.litellm_router import learns_from_answers, open_router
from infra.language_model.model_facts import calls_functions, context_window_tokens
from infra.language_model.reasoning_budgets import budgets_of, with_affordable_effort

# Temporal owns retries: those of litellm and of the provider's SDK would multiply with its own.
NO_RETRIES: Mapping[str, Any] = {"num_retries": 0, "max_retries": 0}

CUSTOM_SERVER = "custom/"
SENT_TO_CUSTOM_SERVERS = frozenset({"max_tokens", "temperature", "top_p"})
"""litellm says that it sends all that OpenAI's API has."""


class LitellmCalls:
    def __init__(self, catalogue: ModelCatalogue) -> None:
        """Takes seconds. Raises `InvalidCatalogue`."""
        self._catalogue = catalogue
        loaded = load_litellm()
        self._litellm, self._price_list = loaded.module, loaded.price_list
        self._reasoning_budgets = budgets_of(self._litellm.constants)
        self._given: Mapping[str, Any] = {}
        self._complete = self._litellm.acompletion
        self._router: Any = None
        if catalogue.deployments is None:
            self._given = {"timeout": loaded.timeout}
        else:
            # The Router has its own order of time limits, including those of the file.
            self._router = open_router(loaded, catalogue.deployments, catalogue)
            self._complete = self._router.acompletion
        # litellm's work after a complete stream serves only the Router; it is a quarter of a call's CPU.
        self.learn_from_answers = learns_from_answers(catalogue)
        # The first count loads the tokenizer.
        self.count_tokens("", "")

    def close(self) -> None:
        """Remove litellm's callbacks: they are global to the process, and limited in number."""
        if self._router is not None:
            self._router.discard()

    async def stream(
        self, model: str, parameters: Mapping[str, Any], kept: Kept = NOTHING_KEPT
    ) -> AsyncGenerator[Any, None]:
        """litellm's chunks. Raises the errors of litellm and of providers, `FieldNotTaken` for a part of `kept`."""
        given = {**self._given_for(model, parameters), "stream": True, "stream_options": {"include_usage": True}}
        with keeping(kept):
            stream = cast("AsyncGenerator[Any, None]", await self._complete(**given))
        return _keeping(stream, kept) if kept.has_any else stream

    async def whole(self, model: str, parameters: Mapping[str, Any], kept: Kept) -> Any:
        """litellm's completion, with all of its choices. Raises as `stream` does."""
        with keeping(kept):
            return await self._complete(**self._given_for(model, parameters), stream=False)

    def _given_for(self, model: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        if "stop" in parameters and not self.takes("stop", model):
            parameters = {name: value for name, value in parameters.items() if name != "stop"}
        if "reasoning_effort" in parameters and self._reasons_by_budget(model):
            parameters = with_affordable_effort(parameters, self._reasoning_budgets)
        called = called_by_litellm(model) if self._router is None else model
        return {"model": called, **parameters, **NO_RETRIES, **self._given}

    def context_window_tokens(self, model: str) -> int | None:
        return context_window_tokens(self._price_list, self._catalogue.served_by(model))

    def calls_functions(self, model: str) -> bool:
        return all(
            calls_functions(self._price_list, served, takes_tools=self._takes("tools", served.name))
            for served in self._catalogue.served_by(model)
        )

    def takes(self, parameter: str, model: str) -> bool:
        """Whether litellm can pass `parameter` on to every provider that may serve `model`."""
        return all(self._takes(parameter, served.name) for served in self._catalogue.served_by(model))

    def count_tokens(self, model: str, text: str) -> int:
        return int(self._litellm.token_counter(model=model, text=text))

    def _reasons_by_budget(self, model: str) -> bool:
        return any("claude" in served.name for served in self._catalogue.served_by(model))

    def _takes(self, parameter: str, name: str) -> bool:
        """Whether litellm can pass `parameter` on to the provider of `name`."""
        called = called_by_litellm(name)
        if called.startswith(CUSTOM_SERVER):
            return parameter in SENT_TO_CUSTOM_SERVERS
        try:
            supported = self._litellm.get_supported_openai_params(model=called)
        except self._litellm.BadRequestError:
            # The name has no provider: the call itself raises the error.
            return True
        return supported is None or parameter in supported


async def _keeping(stream: AsyncGenerator[Any, None], kept: Kept) -> AsyncGenerator[Any, None]:
    # The Router turns to a fallback if the stream breaks off before the first word.
    async with aclosing(stream):
        while True:
            with keeping(kept):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            yield chunk
