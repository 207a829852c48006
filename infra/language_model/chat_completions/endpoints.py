"""The models that are called directly, and their endpoints: OpenAI's, and servers of OpenAI's chat completions.

A model is called directly only if all of its options are supported here; litellm serves the others.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from infra import openai_api
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.environment_references import require_variables, resolved
from infra.language_model.errors import ProviderRefused
from infra.language_model.model_facts import PriceList, find_listed
from infra.language_model.models_file import Deployment, DeploymentParams
from infra.language_model.timeouts import CONNECT_TIMEOUT, READ_TIMEOUT

PREFIX = "openai/"
PROVIDER = "openai"

KNOWN_PARAMS = frozenset(
    {
        *("model", "api_base", "base_url", "api_key", "organization", "extra_headers"),
        *("timeout", "stream_timeout", "max_retries", "num_retries"),
    }
)
KNOWN_INFO = frozenset({"id", "base_model", "max_input_tokens", "supports_function_calling"})
KNOWN_ROUTER_SETTINGS = frozenset({"model_group_alias", "timeout", "stream_timeout"})

LITELLMS_VARIABLES = ("SSL_VERIFY", "SSL_CERTIFICATE", "SSL_SECURITY_LEVEL", "SSL_ECDH_CURVE")
"""If one is set, litellm makes the connections."""

# From 5.4 on OpenAI accepts functions of reasoning models only by another API, to which litellm translates.
_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?")
FIRST_WITHOUT_FUNCTIONS = (5, 4)


@dataclass(frozen=True)
class Endpoint:
    """`url` takes the calls of a provider's `model`; `read_seconds` bounds each silence of the provider.

    `provider` is litellm's prefix for it.
    """

    url: str
    provider: str
    model: str
    headers: Mapping[str, str] = field(repr=False)
    connect_seconds: float
    read_seconds: float


@dataclass(frozen=True)
class _Direct:
    """A model that is called directly, by litellm's name: it begins with `openai/` or is one of OpenAI's own."""

    name: str
    params: DeploymentParams


class DirectModels:
    def __init__(self, catalogue: ModelCatalogue, price_list: PriceList) -> None:
        """Raises `InvalidCatalogue` if a model refers to an unset variable of the environment."""
        self._catalogue = catalogue
        self._price_list = price_list
        self._takes_any = _takes_any(catalogue)
        require_variables(item for item in catalogue.deployments or () if self._is_direct(item))

    def serves(self, model: str) -> bool:
        return self._find(model) is not None

    @property
    def are_all(self) -> bool:
        """Whether no model of the operator needs litellm. Without a models file the keys in the environment decide."""
        if self._catalogue.deployments is None:
            others = (name for name in os.environ if name.endswith("_API_KEY") and name != openai_api.KEY_VARIABLE)
            return self._takes_any and not any(others)
        names = [item.model_name for item in self._catalogue.deployments]
        return len(set(names)) == len(names) and all(map(self._is_direct, self._catalogue.deployments))

    def endpoint(self, model: str) -> Endpoint:
        """The endpoint of `model`, which must be served here. Raises `ProviderRefused` if there is no key for it."""
        direct = self._find(model)
        assert direct is not None  # noqa: S101 - the caller has asked
        params = _Params(direct.params, self._catalogue.router_settings)
        key = params.text("api_key") or openai_api.api_key()
        if not key:
            raise ProviderRefused(f"The call of '{model}' failed: Missing credentials: set {openai_api.KEY_VARIABLE}.")
        return Endpoint(
            url=f"{_base_url(direct.params).rstrip('/')}/chat/completions",
            provider=PROVIDER,
            model=direct.name.removeprefix(PREFIX),
            headers=dict(_headers(params, key)),
            connect_seconds=min(params.seconds or CONNECT_TIMEOUT.total_seconds(), CONNECT_TIMEOUT.total_seconds()),
            read_seconds=params.seconds or READ_TIMEOUT.total_seconds(),
        )

    def _find(self, model: str) -> _Direct | None:
        if not self._takes_any:
            return None
        if self._catalogue.deployments is None:
            direct = _Direct(model, DeploymentParams(model=model))
            return direct if self._speaks_openai(direct) else None
        match self._catalogue.deployments_of(model):
            case [(name, deployment)] if self._is_direct(deployment):
                direct = _Direct(name, deployment.litellm_params)
                return direct if self._speaks_openai(direct) else None
        return None

    def _is_direct(self, deployment: Deployment) -> bool:
        params, info = deployment.litellm_params, deployment.model_info
        given = params.model_dump(exclude_none=True)
        has_known = given.keys() <= KNOWN_PARAMS and info.model_dump(exclude_none=True).keys() <= KNOWN_INFO
        direct = _Direct(params.model, params)
        return self._takes_any and has_known and _are_usable(given) and self._speaks_openai(direct)

    def _speaks_openai(self, direct: _Direct) -> bool:
        listed = find_listed(self._price_list, direct.name)
        is_openais = listed is not None and listed.provider == PROVIDER
        if not (direct.name.startswith(PREFIX) or (is_openais and "/" not in direct.name)):
            return False
        # Some of OpenAI's models have no chat completions; litellm translates to the API that they have.
        has_chat = listed is None or listed.mode == "chat"
        return has_chat and not direct.name.startswith(f"{PREFIX}responses/") and not _refuses_functions(direct)


class _Params:
    """The parameters of a deployment, with the defaults of the environment and the router's settings."""

    def __init__(self, params: DeploymentParams, router_settings: Mapping[str, Any]) -> None:
        self._given = params.model_dump(exclude_none=True)
        self._router_settings = router_settings

    def text(self, name: str) -> str | None:
        value = self._given.get(name)
        return resolved(value) if value is not None else None

    @property
    def seconds(self) -> float | None:
        """The time limit, in the order of litellm's Router."""
        for name in ("stream_timeout", "timeout"):
            for settings in (self._given, self._router_settings):
                if settings.get(name):
                    return float(settings[name])
        return None

    @property
    def extra_headers(self) -> Mapping[str, str]:
        extra: Mapping[str, str] = self._given.get("extra_headers") or {}
        return extra


def _takes_any(catalogue: ModelCatalogue) -> bool:
    has_known = catalogue.router_settings.keys() <= KNOWN_ROUTER_SETTINGS and not catalogue.drop_params
    return has_known and not any(name in os.environ for name in LITELLMS_VARIABLES)


def _are_usable(given: Mapping[str, Any]) -> bool:
    texts = (given.get(name, "") for name in ("api_base", "base_url", "api_key", "organization"))
    seconds = (given.get(name, 0) for name in ("timeout", "stream_timeout"))
    headers = given.get("extra_headers") or {}
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(limit, int | float) for limit in seconds)
        and isinstance(headers, dict)
        and all(isinstance(text, str) for pair in headers.items() for text in pair)
        and "?" not in str(given.get("api_base") or given.get("base_url"))
    )


def _base_url(params: DeploymentParams) -> str:
    given = params.model_dump(exclude_none=True)
    if url := given.get("api_base") or given.get("base_url"):
        return resolved(url)
    return openai_api.base_url()


def _refuses_functions(direct: _Direct) -> bool:
    version = _VERSION.match(direct.name.removeprefix(PREFIX))
    if version is None or (int(version[1]), int(version[2] or 0)) < FIRST_WITHOUT_FUNCTIONS:
        return False
    return (urlsplit(_base_url(direct.params)).hostname or "").endswith("api.openai.com")


def _headers(params: _Params, key: str) -> Iterator[tuple[str, str]]:
    yield "authorization", f"Bearer {key}"
    yield "content-type", "application/json"
    yield "accept", "text/event-stream"
    # In compressed responses small pieces are delayed.
    yield "accept-encoding", "identity"
    yield "user-agent", "holdfast"
    yield from openai_api.account_headers(params.text("organization")).items()
    for name, value in params.extra_headers.items():
        yield name.lower(), value
