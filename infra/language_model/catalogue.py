"""The models that the operator offers: the HOLDFAST_MODELS file, read and checked without loading litellm."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from infra.errors import StartFailed
from infra.language_model.models_file import Deployment, DeploymentInfo, ModelsFile
from infra.language_model.provider_names import provider_name
from infra.language_model.scripted import SCRIPTED_MODEL
from infra.language_model.wildcards import filled_in, matches, most_specific

SETTING = "HOLDFAST_MODELS"
RETRY_SETTINGS = ("num_retries", "max_retries", "retry_after", "retry_policy")
NEXT_STEP = f"Correct the file or {SETTING}."
EXPECTED_FORM = "litellm's form: a `model_list` of entries with `model_name` and `litellm_params`"


class InvalidCatalogue(StartFailed):
    """The models file cannot be used."""


@dataclass(frozen=True)
class ServedModel:
    """A model by litellm's own name, and the operator's facts about it."""

    name: str
    info: DeploymentInfo = field(default_factory=DeploymentInfo)

    @property
    def provider(self) -> str:
        """litellm's prefix; for a name without one, the provider that its beginning names."""
        prefix, slash, _ = self.name.partition("/")
        return prefix if slash else provider_name(self.name)


@dataclass(frozen=True)
class ModelCatalogue:
    """The models file, or its absence: without a file any name in litellm's form is a model."""

    deployments: tuple[Deployment, ...] | None = None
    router_settings: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of litellm's Router, besides its model list."""
    drop_params: bool = False
    has_scripted: bool = True
    """Whether the scripted model is offered as well."""

    @classmethod
    def load(cls, path: Path | None, has_scripted: bool = True) -> "ModelCatalogue":
        """Read the file at `path`; None is a catalogue without a file. Raises `InvalidCatalogue`."""
        if path is None:
            return cls(has_scripted=has_scripted)
        content = _read(path)
        try:
            file = ModelsFile.model_validate(content)
        except ValidationError as error:
            raise InvalidCatalogue(f"{SETTING}={path}: {_first_problem(error)}. {NEXT_STEP}") from error
        drop_params = bool(file.litellm_settings.drop_params)
        return cls(tuple(file.model_list), file.keyword_arguments(), drop_params, has_scripted)

    @property
    def is_open(self) -> bool:
        return self.deployments is None

    def names(self) -> list[str]:
        """The models that can be requested by name, without those of wildcards."""
        hidden = {name for name, target in self._aliases.items() if isinstance(target, Mapping) and target["hidden"]}
        listed = [name for name in self._offered if "*" not in name and name not in hidden]
        return [*listed, SCRIPTED_MODEL] if self.has_scripted else listed

    def wildcards(self) -> list[str]:
        """The patterns, such as `openai/*`, that offer further names."""
        return [name for name in self._offered if "*" in name]

    def offers(self, model: str) -> bool:
        """Whether a run may use `model`: a name, an alias, or a match of a wildcard.

        A name with an address must be listed: with some providers litellm calls any server in the model's name.
        """
        if model == SCRIPTED_MODEL:
            return self.has_scripted
        if model in self._offered:
            return True
        if not model or "://" in model:
            return False
        return self.is_open or any(matches(pattern, model) for pattern in self.wildcards())

    def served_by(self, model: str) -> list[ServedModel]:
        """The models that litellm calls for `model`, one entry a deployment; without its fallbacks."""
        if self.deployments is None:
            return [ServedModel(model)]
        target = self.target_of(model)
        return [
            ServedModel(filled_in(item.model_name, target, item.base_model), item.model_info)
            for item in self._serving(target)
        ]

    def provider_of(self, model: str) -> str | None:
        """The one provider that serves `model`, by litellm's prefix; None if its deployments have several."""
        providers = {served.provider for served in self.served_by(model)}
        return providers.pop() if len(providers) == 1 else None

    def deployments_of(self, model: str) -> list[tuple[str, Deployment]]:
        """The entries of the file that serve `model`, each with the name by which it is called there."""
        target = self.target_of(model)
        return [(filled_in(item.model_name, target, item.litellm_params.model), item) for item in self._serving(target)]

    def _serving(self, target: str) -> list[Deployment]:
        deployments = self.deployments or ()
        names = {item.model_name for item in deployments}
        name = target if target in names else most_specific(names, target)
        return [item for item in deployments if item.model_name == name]

    @cached_property
    def _offered(self) -> list[str]:
        return list(dict.fromkeys([*(item.model_name for item in self.deployments or ()), *self._aliases]))

    @property
    def _aliases(self) -> Mapping[str, Any]:
        aliases: Mapping[str, Any] = self.router_settings.get("model_group_alias") or {}
        return aliases

    def target_of(self, model: str) -> str:
        """The name for which `model` is an alias, or itself."""
        target = self._aliases.get(model, model)
        return str(target["model"]) if isinstance(target, Mapping) else str(target)


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidCatalogue(f"{SETTING}={path} cannot be read: {reason}. {NEXT_STEP}") from error
    except yaml.YAMLError as error:
        raise InvalidCatalogue(f"{SETTING}={path} is not YAML: {' '.join(str(error).split())}. {NEXT_STEP}") from error


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).removeprefix(".")
    return f"{where}: {_explained(first, where)}" if where else _explained(first, where)


def _explained(problem: ErrorDetails, where: str) -> str:
    if where.endswith(RETRY_SETTINGS):
        return "Holdfast itself repeats calls that failed; remove this"
    match problem["type"]:
        case "extra_forbidden":
            return "Holdfast does not use this; remove it"
        case "too_short":
            return "names no model"
        case "model_type":
            return f"expected {EXPECTED_FORM}"
    return problem["msg"].removeprefix("Value error, ")
