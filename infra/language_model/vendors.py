"""Who answers: a provider at a host. What one vendor wants back with a turn's calls, no other vendor gets."""

from urllib.parse import urlsplit

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.environment_references import resolved
from infra.language_model.models_file import DeploymentParams

FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def vendor(provider: str, url: str | None) -> str:
    """`provider` is litellm's prefix; without `url` it is at an address of its own."""
    return _named(provider, _host(url))


def vendor_of(catalogue: ModelCatalogue, model: str) -> str | None:
    """The one vendor that answers for `model` by way of litellm; None if there may be several."""
    provider = catalogue.provider_of(model)
    hosts = {_host(_url(deployment.litellm_params)) for _, deployment in catalogue.deployments_of(model)}
    if provider is None or len(hosts) > 1 or _has_fallbacks(catalogue, model):
        return None
    return _named(provider, next(iter(hosts), ""))


def _named(provider: str, host: str) -> str:
    return f"{provider}@{host}" if host else provider


def _host(url: str | None) -> str:
    # Without the user and password that a URL may have: the vendor is stored.
    return urlsplit(url or "").netloc.rpartition("@")[2].lower()


def _url(params: DeploymentParams) -> str | None:
    given = params.model_extra or {}
    url = given.get("api_base") or given.get("base_url")
    return resolved(str(url)) if url else None


def _has_fallbacks(catalogue: ModelCatalogue, model: str) -> bool:
    settings = catalogue.router_settings
    names = [name for setting in FALLBACKS for item in settings.get(setting) or () for name in item]
    # litellm also finds the fallbacks of a name without its prefix, and those of a pattern.
    asked = {_bare(model), _bare(catalogue.target_of(model))}
    return bool(settings.get("default_fallbacks")) or any("*" in name or _bare(name) in asked for name in names)


def _bare(name: str) -> str:
    return name.rpartition("/")[2]
