"""Which models are served by programs for an operator's own machines, such as Ollama and vLLM."""

from urllib.parse import urlsplit

from infra import openai_api
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.environment_references import resolved
from infra.language_model.models_file import DeploymentParams

PREFIXES = frozenset(
    {
        *("ollama", "ollama_chat", "hosted_vllm", "vllm", "llamafile"),
        *("lm_studio", "docker_model_runner", "xinference", "lemonade"),
    }
)
OPENAI = "openai"
OPENAIS_DOMAIN = "openai.com"


def is_on_own_server(catalogue: ModelCatalogue, model: str) -> bool:
    """Whether one of the deployments of `model` has the prefix of such a program, or is `openai/…` at another address
    than OpenAI's.
    """
    if catalogue.deployments is None:
        return _is_own(model, DeploymentParams(model=model))
    return any(_is_own(name, item.litellm_params) for name, item in catalogue.deployments_of(model))


def _is_own(name: str, params: DeploymentParams) -> bool:
    prefix, slash, _ = name.partition("/")
    if prefix != OPENAI or not slash:
        return bool(slash) and prefix in PREFIXES
    given = params.model_extra or {}
    url = given.get("api_base") or given.get("base_url") or openai_api.base_url()
    try:
        host = urlsplit(resolved(url)).hostname
    # An unset variable and a URL of another form are reported by the adapter.
    except (KeyError, ValueError, AttributeError):
        return False
    return not f".{host or ''}".endswith(f".{OPENAIS_DOMAIN}")
