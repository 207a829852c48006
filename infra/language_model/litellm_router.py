"""litellm's Router, made from a models file."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from infra.language_model.catalogue import NEXT_STEP, SETTING, InvalidCatalogue, ModelCatalogue
from infra.language_model.environment_references import require_variables
from infra.language_model.litellm_loading import LoadedLitellm
from infra.language_model.litellm_names import called_by_litellm
from infra.language_model.models_file import Deployment

COOLDOWN_SETTINGS = frozenset({"allowed_fails", "allowed_fails_policy", "cooldown_time", "disable_cooldowns"})
SHUFFLE = "simple-shuffle"


def open_router(litellm: LoadedLitellm, deployments: tuple[Deployment, ...], catalogue: ModelCatalogue) -> Any:
    """A `litellm.Router` over `deployments` that never retries. Raises `InvalidCatalogue`."""
    require_variables(deployments)
    model_list = [_entry(item) for item in deployments]
    try:
        return litellm.module.Router(model_list=model_list, **_settings(catalogue, litellm.timeout))
    # litellm raises bare Exception and ValueError for unusable entries.
    except Exception as error:
        raise InvalidCatalogue(f"{SETTING}: litellm refuses it: {' '.join(str(error).split())}. {NEXT_STEP}") from error


def _entry(deployment: Deployment) -> dict[str, Any]:
    entry = deployment.model_dump(exclude_unset=True)
    entry["litellm_params"]["model"] = called_by_litellm(deployment.litellm_params.model)
    return entry


def learns_from_answers(catalogue: ModelCatalogue) -> bool:
    """Whether the Router's choices depend on the results of earlier answers."""
    settings = catalogue.router_settings
    is_shuffled = settings.get("routing_strategy", SHUFFLE) == SHUFFLE
    return not is_shuffled or bool(COOLDOWN_SETTINGS & settings.keys())


def _settings(catalogue: ModelCatalogue, timeout: Any) -> Mapping[str, Any]:
    # A copy, because the Router appends to its arguments.
    given = deepcopy(dict(catalogue.router_settings))
    return {
        "timeout": timeout,
        "disable_cooldowns": not COOLDOWN_SETTINGS & given.keys(),
        "default_litellm_params": {"drop_params": True} if catalogue.drop_params else {},
        **given,
        "num_retries": 0,
    }
