"""Embedding models that the models file lists: the setting names an entry, a vector store also the model it led to."""

from collections.abc import Mapping
from typing import Any

from infra.embeddings import litellm_endpoint, openai_compatible
from infra.embeddings.errors import EmbeddingRefused
from infra.embeddings.litellm_endpoint import LitellmEndpoint
from infra.embeddings.openai_compatible import EmbeddingEndpoint
from infra.errors import StartFailed
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.environment_references import require_variables, resolved
from infra.language_model.models_file import Deployment

LEADS_TO = "="
"""In the name that a vector store remembers: `house-vectors=openai/bge-small`."""

OPENAI = "openai/"
HONOURED = frozenset({"model", "api_base", "base_url", "api_key", "max_retries", "num_retries"})
OF_ACCOUNTS = ("api_version", "aws_", "azure_", "oci_", "region_name", "vertex_", "watsonx_")
"""The beginnings of further parameters, by which litellm's adapters reach an account."""


def listed_endpoint(
    catalogue: ModelCatalogue, named: str, dimensions: int, window_tokens: int
) -> tuple[str, EmbeddingEndpoint] | LitellmEndpoint:
    """The endpoint for the name of an entry or what a store remembers; with the model's own name where it is OpenAI's.

    Raises `EmbeddingRefused` where no entry leads to that model, `StartFailed` where the entry cannot be used.
    """
    entry, _, meant = named.partition(LEADS_TO)
    target, deployment = _entry(catalogue, entry)
    if meant and _own_name(meant) != target:
        raise EmbeddingRefused(f"The entry '{entry}' of the models file leads to '{target}' now, not to '{meant}'.")
    given = _given(entry, target, deployment)
    remembered_as = f"{entry}{LEADS_TO}{target}"
    if not target.startswith(OPENAI):
        return LitellmEndpoint.of(target, dimensions, window_tokens, given, remembered_as)
    model, url, key = target.removeprefix(OPENAI), given.get("api_base", ""), given.get("api_key", "")
    return model, EmbeddingEndpoint.at(url, key, model, dimensions, window_tokens, remembered_as)


def has_entry(catalogue: ModelCatalogue, named: str) -> bool:
    """Whether it is the name of an entry or its alias, or what a store remembers of one."""
    entry, leads_to, _ = named.partition(LEADS_TO)
    # A wildcard offers every name: one that was only mistyped must not reach a provider.
    return bool(leads_to) or catalogue.target_of(entry) in {item.model_name for item in catalogue.deployments or ()}


def _own_name(meant: str) -> str:
    if meant.startswith(OPENAI):
        return OPENAI + openai_compatible.own_name(meant.removeprefix(OPENAI))
    return litellm_endpoint.own_name(meant)


def _entry(catalogue: ModelCatalogue, entry: str) -> tuple[str, Deployment]:
    names = [item.model_name for item in catalogue.deployments or ()]
    match names.count(catalogue.target_of(entry)):
        case 0:
            raise EmbeddingRefused(
                f"This version of Holdfast does not know the embedding model '{entry}', nor does the models file."
            )
        case 1:
            [(target, deployment)] = catalogue.deployments_of(entry)
            return target, deployment
        case count:
            raise StartFailed(f"The models file has {count} entries for the embedding model '{entry}': keep one.")


def _given(entry: str, target: str, deployment: Deployment) -> Mapping[str, Any]:
    """What the entry has of an address and an account, with the values of the variables that it refers to."""
    listed = deployment.litellm_params.model_dump(exclude_none=True)
    of_account = () if target.startswith(OPENAI) else OF_ACCOUNTS
    unknown = sorted(name for name in listed.keys() - HONOURED if not name.startswith(of_account))
    if unknown:
        raise StartFailed(f"An embedding model takes no '{unknown[0]}': remove it from the entry '{entry}'.")
    require_variables([deployment])
    values = {name: resolved(value) if isinstance(value, str) else value for name, value in listed.items()}
    address = {"api_base": values["base_url"]} if "base_url" in values else {}
    kept = {name: values[name] for name in values if name == "api_key" or name not in HONOURED}
    return address | ({"api_base": values["api_base"]} if values.get("api_base") else {}) | kept
