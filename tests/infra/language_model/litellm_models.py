"""Models that litellm calls, each with an entry of a models file."""

from pathlib import Path
from typing import Any

import yaml

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.litellm_model import LitellmLanguageModel


def opened(folder: Path, name: str, **params: Any) -> LitellmLanguageModel:
    path = folder / "models.yaml"
    entry = {"model_name": name, "litellm_params": {"api_key": "k", **params}}
    path.write_text(yaml.safe_dump({"model_list": [entry]}))
    return LitellmLanguageModel(ModelCatalogue.load(path))
