"""The models that are called directly, and their endpoints: providers and servers of OpenAI's chat completions.

A model is called directly only if all of its options are supported here; litellm serves the others.
"""

import os
from collections.abc import Mapping
from typing import Any

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.addresses import (
    DirectModel,
    Endpoint,
    endpoint_of,
    has_address,
    refuses_functions,
)
from infra.language_model.chat_completions.providers import AZURE, OPENAI, PROVIDERS
from infra.language_model.environment_references import require_variables
from infra.language_model.model_facts import PriceList, find_listed
from infra.language_model.models_file import Deployment, DeploymentParams

KNOWN_PARAMS = frozenset(
    {
        *("model", "api_base", "base_url", "api_key", "organization", "extra_headers"),
        *("timeout", "stream_timeout", "max_retries", "num_retries"),
    }
)
AZURES_PARAMS = KNOWN_PARAMS - {"organization"} | {"api_version"}
KNOWN_INFO = frozenset({"id", "base_model", "max_input_tokens", "supports_function_calling"})
KNOWN_ROUTER_SETTINGS = frozenset({"model_group_alias", "timeout", "stream_timeout"})

DIRECT_KEYS = frozenset(variable for provider in PROVIDERS.values() for variable in provider.key_variables)
"""The variables of providers that need no litellm."""

NO_PROVIDERS = ("TEMPORAL_", "HOLDFAST_")
"""What the variables of other keys begin with."""

MAX_REMEMBERED = 1_000
"""Models whose way is remembered: clients choose names."""

LITELLMS_VARIABLES = ("SSL_VERIFY", "SSL_CERTIFICATE", "SSL_SECURITY_LEVEL", "SSL_ECDH_CURVE")
"""If one is set, litellm makes the connections."""


class DirectModels:
    def __init__(self, catalogue: ModelCatalogue, price_list: PriceList) -> None:
        """Raises `InvalidCatalogue` if a model refers to an unset variable of the environment."""
        self._catalogue = catalogue
        self._price_list = price_list
        self._takes_any = _takes_any(catalogue)
        # A call asks several times, which would be a tenth of its CPU.
        self._found: dict[str, DirectModel | None] = {}
        require_variables(item for item in catalogue.deployments or () if self._is_direct(item))

    def serves(self, model: str) -> bool:
        return self._find(model) is not None

    @property
    def are_all(self) -> bool:
        """Whether no model of the operator needs litellm. Without a models file the keys in the environment decide."""
        if self._catalogue.deployments is None:
            return self._takes_any and not any(map(_is_litellms_key, os.environ))
        names = [item.model_name for item in self._catalogue.deployments]
        return len(set(names)) == len(names) and all(map(self._is_direct, self._catalogue.deployments))

    def endpoint(self, model: str, is_streamed: bool = True) -> Endpoint:
        """The endpoint of `model`, which must be served here. Raises `ProviderRefused` if there is no key for it.

        A whole answer is one silence: unless the call `is_streamed`, limits of streams are not its limits.
        """
        direct = self._find(model)
        assert direct is not None  # noqa: S101 - the caller has asked
        return endpoint_of(direct, model, self._catalogue.router_settings, is_streamed)

    def takes_tools(self, model: str) -> bool:
        """Whether the provider of `model`, which must be served here, gets functions."""
        direct = self._find(model)
        assert direct is not None  # noqa: S101 - the caller has asked
        listed = find_listed(self._price_list, direct.base_model)
        return PROVIDERS[direct.provider or OPENAI].takes_tools or bool(listed and listed.calls_functions)

    def _find(self, model: str) -> DirectModel | None:
        if model not in self._found:
            if len(self._found) >= MAX_REMEMBERED:
                self._found.clear()
            self._found[model] = self._look_up(model)
        return self._found[model]

    def _look_up(self, model: str) -> DirectModel | None:
        if not self._takes_any:
            return None
        if self._catalogue.deployments is None:
            direct = DirectModel(model, DeploymentParams(model=model), model)
            return direct if self._is_served(direct) else None
        match self._catalogue.deployments_of(model):
            case [(name, deployment)] if self._is_direct(deployment):
                base_model = deployment.model_info.base_model or name
                direct = DirectModel(name, deployment.litellm_params, base_model)
                return direct if self._is_served(direct) else None
        return None

    def _is_direct(self, deployment: Deployment) -> bool:
        params, info = deployment.litellm_params, deployment.model_info
        given = params.model_dump(exclude_none=True)
        direct = DirectModel(params.model, params, deployment.base_model)
        known = AZURES_PARAMS if direct.provider == AZURE else KNOWN_PARAMS
        has_known = given.keys() <= known and info.model_dump(exclude_none=True).keys() <= KNOWN_INFO
        return self._takes_any and has_known and _are_usable(given) and self._is_served(direct)

    def _is_served(self, direct: DirectModel) -> bool:
        if direct.provider is None or not (self._is_named_by_provider(direct) and has_address(direct)):
            return False
        listed = find_listed(self._price_list, direct.base_model)
        # Some models have no chat completions; litellm translates to the API that they have.
        has_chat = listed is None or listed.mode == "chat"
        return has_chat and not direct.model.startswith("responses/") and not refuses_functions(direct)

    def _is_named_by_provider(self, direct: DirectModel) -> bool:
        listed = find_listed(self._price_list, direct.name)
        return "/" in direct.name or (listed is not None and listed.provider == direct.provider)


def _is_litellms_key(variable: str) -> bool:
    is_providers = variable.endswith("_API_KEY") and not variable.startswith(NO_PROVIDERS)
    return is_providers and variable not in DIRECT_KEYS


def _takes_any(catalogue: ModelCatalogue) -> bool:
    has_known = catalogue.router_settings.keys() <= KNOWN_ROUTER_SETTINGS and not catalogue.drop_params
    return has_known and not any(name in os.environ for name in LITELLMS_VARIABLES)


def _are_usable(given: Mapping[str, Any]) -> bool:
    texts = (given.get(name, "") for name in ("api_base", "base_url", "api_key", "organization", "api_version"))
    seconds = (given.get(name, 0) for name in ("timeout", "stream_timeout"))
    headers = given.get("extra_headers") or {}
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(limit, int | float) for limit in seconds)
        and isinstance(headers, dict)
        and all(isinstance(text, str) for pair in headers.items() for text in pair)
        and "?" not in str(given.get("api_base") or given.get("base_url"))
    )
