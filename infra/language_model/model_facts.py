"""Facts about a model before it is called, from the models file or from litellm's own price list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.language_model.catalogue import ServedModel

TALKING_MODES = frozenset({"chat", "responses"})


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model of litellm's price list, which includes capabilities."""

    provider: str
    mode: str
    max_input_tokens: int | None
    calls_functions: bool


PriceList = Mapping[str, ListedModel]


def read_price_list(entries: Mapping[str, Mapping[str, Any]]) -> PriceList:
    """The chat models among `entries`. A copy: Routers change the entries later."""
    return {name: _listed(entry) for name, entry in entries.items() if entry.get("mode") in TALKING_MODES}


def find_listed(price_list: PriceList, name: str) -> ListedModel | None:
    """The entry of the model with litellm's name `name`."""
    provider, _, rest = name.partition("/")
    if name in price_list or not rest:
        return price_list.get(name)
    listed = price_list.get(rest)
    # Another provider's model of the same name is a different model.
    return listed if listed and listed.provider == provider else None


def context_window_tokens(price_list: PriceList, served_by: list[ServedModel]) -> int | None:
    """The smallest window of the deployments, because any of them may get the prompt."""
    windows = [served.info.max_input_tokens or _listed_window(price_list, served.name) for served in served_by]
    return min((window for window in windows if window), default=None)


def calls_functions(price_list: PriceList, served: ServedModel, takes_tools: bool) -> bool:
    """Whether the model calls functions itself. For an unknown model, `takes_tools` of its provider decides."""
    if served.info.supports_function_calling is not None:
        return served.info.supports_function_calling
    listed = find_listed(price_list, served.name)
    return takes_tools and (listed is None or listed.calls_functions)


def _listed(entry: Mapping[str, Any]) -> ListedModel:
    window = entry.get("max_input_tokens")
    return ListedModel(
        provider=str(entry.get("litellm_provider")),
        mode=str(entry["mode"]),
        max_input_tokens=int(window) if isinstance(window, int | float) else None,
        calls_functions=bool(entry.get("supports_function_calling")),
    )


def _listed_window(price_list: PriceList, name: str) -> int | None:
    listed = find_listed(price_list, name)
    return listed.max_input_tokens if listed else None
