"""References of a models file to variables of the environment: `os.environ/NAME`."""

import os
from collections.abc import Iterable, Iterator

from infra.language_model.catalogue import SETTING, InvalidCatalogue
from infra.language_model.models_file import Deployment

ENVIRONMENT_REFERENCE = "os.environ/"


def require_variables(deployments: Iterable[Deployment]) -> None:
    """Raises `InvalidCatalogue` if one of `deployments` refers to an unset variable."""
    missing = sorted(name for item in deployments for name in _variables(item) if name not in os.environ)
    if missing:
        unset = f"{SETTING} refers to environment variables that are not set: {', '.join(missing)}"
        raise InvalidCatalogue(f"{unset}. Set them, or correct the file.")


def resolved(value: str) -> str:
    """`value`, or that of the variable to which it refers, which must be set."""
    is_reference = value.startswith(ENVIRONMENT_REFERENCE)
    return os.environ[value.removeprefix(ENVIRONMENT_REFERENCE)] if is_reference else value


def _variables(deployment: Deployment) -> Iterator[str]:
    for value in deployment.litellm_params.model_dump().values():
        if isinstance(value, str) and value.startswith(ENVIRONMENT_REFERENCE):
            yield value.removeprefix(ENVIRONMENT_REFERENCE)
