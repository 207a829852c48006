"""Files of litellm's package that can be read without importing litellm, which takes seconds."""

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from infra.language_model.model_facts import PriceList, read_price_list

PRICE_LIST = "model_prices_and_context_window_backup.json"
VOCABULARIES = "litellm_core_utils/tokenizers"


@dataclass(frozen=True, slots=True)
class ListedEmbeddingModel:
    provider: str
    dimensions: int | None
    max_input_tokens: int | None


@cache
def bundled_price_list() -> PriceList:
    """litellm's own list of models, as its release has it. 3 MB of JSON."""
    return read_price_list(json.loads((_package() / PRICE_LIST).read_bytes()))


@cache
def bundled_embedding_models() -> Mapping[str, ListedEmbeddingModel]:
    """The embedding models of the same list."""
    entries: Mapping[str, Mapping[str, Any]] = json.loads((_package() / PRICE_LIST).read_bytes())
    return {
        name: ListedEmbeddingModel(
            str(entry.get("litellm_provider")), entry.get("output_vector_size"), entry.get("max_input_tokens")
        )
        for name, entry in entries.items()
        if entry.get("mode") == "embedding"
    }


def vocabularies() -> Path:
    """The folder of tiktoken's vocabularies, in the form of its cache."""
    return _package() / VOCABULARIES


def _package() -> Path:
    spec = importlib.util.find_spec("litellm")
    assert spec is not None  # noqa: S101 - it is among the dependencies
    assert spec.origin is not None  # noqa: S101 - a package with a file of its own
    return Path(spec.origin).parent
