"""Models that litellm calls, each with an entry of a models file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.litellm_model import LitellmLanguageModel


def opened(folder: Path, name: str, model_info: Mapping[str, Any] | None = None, **params: Any) -> LitellmLanguageModel:
    path = folder / "models.yaml"
    entry = {"model_name": name, "litellm_params": {"api_key": "k", **params}, "model_info": model_info or {}}
    path.write_text(yaml.safe_dump({"model_list": [entry]}))
    return LitellmLanguageModel(ModelCatalogue.load(path))
