"""Where and how a model is called directly: the address, the key and the other headers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from infra import openai_api
from infra.language_model.chat_completions import azure
from infra.language_model.chat_completions.call_parameters import CallParameters
from infra.language_model.chat_completions.providers import AZURE, OLLAMA, OLLAMA_CHAT, OPENAI, PROVIDERS
from infra.language_model.environment_references import resolved
from infra.language_model.errors import ProviderRefused
from infra.language_model.models_file import DeploymentParams
from infra.language_model.timeouts import CONNECT_TIMEOUT, READ_TIMEOUT
from infra.language_model.vendors import vendor

# From 5.4 on OpenAI accepts functions of reasoning models only by another API, to which litellm translates.
_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?")
FIRST_WITHOUT_FUNCTIONS = (5, 4)


@dataclass(frozen=True)
class Endpoint:
    """`url` takes the calls of a provider's `model`; `read_seconds` bounds each silence of the provider.

    `provider` is litellm's prefix for it. The abilities of the model are those of `base_model`.
    """

    url: str
    provider: str
    model: str
    base_model: str
    headers: Mapping[str, str] = field(repr=False)
    connect_seconds: float
    read_seconds: float

    @property
    def vendor(self) -> str:
        """Who gets the state of its answers back: two servers of one prefix are different vendors."""
        return vendor(self.provider, self.url)


@dataclass(frozen=True)
class DirectModel:
    """A model that may be called directly, by litellm's name, and its base model, by which its abilities are known."""

    name: str
    params: DeploymentParams
    base_model: str

    @property
    def provider(self) -> str | None:
        """litellm's prefix. A name without one may be OpenAI's."""
        prefix, slash, _ = self.name.partition("/")
        return (prefix if prefix in PROVIDERS else None) if slash else OPENAI

    @property
    def model(self) -> str:
        return without_prefix(self.name)


def without_prefix(name: str) -> str:
    """A provider's own name for the model that litellm calls `name`."""
    prefix, slash, rest = name.partition("/")
    return rest if slash and prefix in PROVIDERS else name


def endpoint_of(direct: DirectModel, requested: str, router_settings: Mapping[str, Any], is_streamed: bool) -> Endpoint:
    """The endpoint of `direct` for calls that ask for `requested`. Raises `ProviderRefused` if there is no key."""
    provider = direct.provider
    assert provider is not None  # noqa: S101 - a model that is called directly has one
    params = CallParameters(direct.params, router_settings)
    seconds = params.seconds(is_streamed)
    return Endpoint(
        url=_url(direct),
        provider=provider,
        model=direct.model,
        base_model=without_prefix(direct.base_model),
        headers=dict(_headers(params, provider, _key(requested, provider, params))),
        connect_seconds=min(seconds or CONNECT_TIMEOUT.total_seconds(), CONNECT_TIMEOUT.total_seconds()),
        read_seconds=seconds or READ_TIMEOUT.total_seconds(),
    )


def has_address(direct: DirectModel) -> bool:
    """Whether the address of `direct` is known here, and one of chat completions."""
    try:
        url, api_version = _base_url(direct), azure.version(_given(direct, "api_version"))
    # It refers to an unset variable, which is reported when the file is read.
    except KeyError:
        return True
    if url is None or direct.provider != AZURE:
        return url is not None
    # Without a key, litellm tries the other ways to sign in.
    has_key = direct.params.model_dump().get("api_key") or PROVIDERS[AZURE].key_of_environment
    return bool(has_key) and azure.serves_deployments(url, api_version, direct.model)


def _given(direct: DirectModel, *names: str) -> str | None:
    given = direct.params.model_dump(exclude_none=True)
    return next((resolved(str(given[name])) for name in names if given.get(name)), None)


def _base_url(direct: DirectModel) -> str | None:
    return _given(direct, "api_base", "base_url") or PROVIDERS[direct.provider or OPENAI].url_of_environment


def _url(direct: DirectModel) -> str:
    url = (_base_url(direct) or "").rstrip("/")
    if direct.provider == AZURE:
        return azure.deployment_url(url, azure.version(_given(direct, "api_version")), direct.model)
    if direct.provider in (OLLAMA, OLLAMA_CHAT) and not url.endswith("/v1"):
        return f"{url}/v1/chat/completions"
    return f"{url}/chat/completions"


def _key(model: str, name: str, params: CallParameters) -> str | None:
    provider = PROVIDERS[name]
    key = params.text("api_key") or provider.key_of_environment
    if not key and provider.needs_key:
        variable = provider.key_variables[0]
        raise ProviderRefused(f"The call of '{model}' failed: Missing credentials: set {variable}.")
    return key


def refuses_functions(direct: DirectModel) -> bool:
    """Whether the provider accepts functions of this model only by another API."""
    version = _VERSION.match(without_prefix(direct.base_model))
    if version is None or (int(version[1]), int(version[2] or 0)) < FIRST_WITHOUT_FUNCTIONS:
        return False
    try:
        host = urlsplit(_base_url(direct) or "").hostname or ""
    except KeyError:
        return False
    return direct.provider == AZURE or (direct.provider == OPENAI and host.endswith("api.openai.com"))


def _headers(params: CallParameters, provider: str, key: str | None) -> Iterator[tuple[str, str]]:
    if key:
        yield ("api-key", key) if provider == AZURE else ("authorization", f"Bearer {key}")
    yield "content-type", "application/json"
    yield "accept", "text/event-stream"
    # In compressed responses small pieces are delayed.
    yield "accept-encoding", "identity"
    yield "user-agent", "holdfast"
    organization = params.text("organization")
    if provider == OPENAI:
        yield from openai_api.account_headers(organization).items()
    elif organization:
        yield openai_api.ORGANIZATION_HEADER, organization
    for name, value in params.extra_headers.items():
        yield name.lower(), value
