"""Files of litellm's package that can be read without importing litellm, which takes seconds."""

import importlib.util
import json
from functools import cache
from pathlib import Path

from infra.language_model.model_facts import PriceList, read_price_list

PRICE_LIST = "model_prices_and_context_window_backup.json"
VOCABULARIES = "litellm_core_utils/tokenizers"


@cache
def bundled_price_list() -> PriceList:
    """litellm's own list of models, as its release has it. 3 MB of JSON."""
    return read_price_list(json.loads((_package() / PRICE_LIST).read_bytes()))


def vocabularies() -> Path:
    """The folder of tiktoken's vocabularies, in the form of its cache."""
    return _package() / VOCABULARIES


def _package() -> Path:
    spec = importlib.util.find_spec("litellm")
    assert spec is not None  # noqa: S101 - it is among the dependencies
    assert spec.origin is not None  # noqa: S101 - a package with a file of its own
    return Path(spec.origin).parent
