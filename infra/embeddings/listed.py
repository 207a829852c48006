"""Embedding models that the models file lists: the setting names an entry, a vector store also the model it led to."""

from infra.embeddings.errors import EmbeddingRefused
from infra.embeddings.openai_compatible import EmbeddingEndpoint, own_name
from infra.errors import StartFailed
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.environment_references import require_variables, resolved
from infra.language_model.models_file import Deployment

LEADS_TO = "="
"""In the name that a vector store remembers: `house-vectors=openai/bge-small`."""

OPENAI = "openai/"
HONOURED = frozenset({"model", "api_base", "base_url", "api_key", "max_retries", "num_retries"})


def listed_endpoint(
    catalogue: ModelCatalogue, named: str, dimensions: int, window_tokens: int
) -> tuple[str, EmbeddingEndpoint]:
    """The model's own name and its endpoint, for the name of an entry or what a store remembers.

    Raises `EmbeddingRefused` where no entry leads to that model, `StartFailed` where the entry cannot be used.
    """
    entry, _, meant = named.partition(LEADS_TO)
    model, deployment = _entry(catalogue, entry)
    if meant and own_name(meant.removeprefix(OPENAI)) != model:
        raise EmbeddingRefused(
            f"The entry '{entry}' of the models file leads to '{OPENAI}{model}' now, not to '{meant}'."
        )
    require_variables([deployment])
    given = deployment.litellm_params.model_dump(exclude_none=True)
    url, key = given.get("api_base") or given.get("base_url") or "", given.get("api_key") or ""
    return model, EmbeddingEndpoint.at(
        resolved(url),
        resolved(key),
        model,
        dimensions,
        window_tokens,
        remembered_as=f"{entry}{LEADS_TO}{OPENAI}{model}",
    )


def _entry(catalogue: ModelCatalogue, entry: str) -> tuple[str, Deployment]:
    # A wildcard offers every name: one that was only mistyped must not reach a provider.
    names = [item.model_name for item in catalogue.deployments or ()]
    match names.count(catalogue.target_of(entry)):
        case 0:
            raise EmbeddingRefused(
                f"This version of Holdfast does not know the embedding model '{entry}', nor does the models file."
            )
        case 1:
            [(target, deployment)] = catalogue.deployments_of(entry)
        case count:
            raise StartFailed(f"The models file has {count} entries for the embedding model '{entry}': keep one.")
    if not target.startswith(OPENAI):
        raise StartFailed(
            f"'{target}' is no embedding model that Holdfast can call: name one with {OPENAI} and its api_base."
        )
    if unknown := sorted(deployment.litellm_params.model_dump(exclude_none=True).keys() - HONOURED):
        raise StartFailed(f"An embedding model takes no '{unknown[0]}': remove it from the entry '{entry}'.")
    return target.removeprefix(OPENAI), deployment
