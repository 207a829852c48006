"""A model that one of litellm's own adapters embeds with: its name, vector length, window, and input-type parameter."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.errors import StartFailed
from infra.language_model.litellm_files import ListedEmbeddingModel, bundled_embedding_models

MAX_TEXTS_PER_REQUEST = 64
MAX_TOKENS_PER_REQUEST = 100_000
"""Voyage takes 120,000; texts are counted by another vocabulary than the provider's."""
SAFE_SHARE_OF_WINDOW = 0.75
"""For the same reason: some providers cut off in silence what is longer."""

RETRIEVAL_TASKS = ("task_type", "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY")
PURPOSES: Mapping[str, tuple[str, str, str]] = {
    "cohere": ("input_type", "search_document", "search_query"),
    "gemini": RETRIEVAL_TASKS,
    # Else litellm asks the hub what the model is for.
    "huggingface": ("input_type", "feature-extraction", "feature-extraction"),
    "jina_ai": ("task", "retrieval.passage", "retrieval.query"),
    "nvidia_nim": ("input_type", "passage", "query"),
    "vertex_ai": RETRIEVAL_TASKS,
    "voyage": ("input_type", "document", "query"),
}
"""Per provider: the input-type parameter, its value for documents, and its value for queries."""


@dataclass(frozen=True)
class LitellmEndpoint:
    """`name` is litellm's for the model. `given` are an address, a key and the like: repr() does not show them.

    `sent_dimensions` asks the model for shorter vectors than its own; `remembered_as` is the name by which vector
    stores find it again.
    """

    name: str
    remembered_as: str
    dimensions: int
    sent_dimensions: int | None
    window_tokens: int
    given: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(
        cls, name: str, dimensions: int, window_tokens: int, given: Mapping[str, Any], remembered_as: str
    ) -> "LitellmEndpoint":
        """Raises `StartFailed` where `dimensions` is 0 and litellm does not list the model's."""
        listed = _listed(name)
        own, most = (listed.dimensions, listed.max_input_tokens) if listed else (None, None)
        if not dimensions and not own:
            raise StartFailed(f"Set HOLDFAST_EMBEDDING_DIMENSIONS to the length of the vectors of '{name}'.")
        return cls(
            name=name,
            remembered_as=remembered_as,
            dimensions=dimensions or own or 0,
            sent_dimensions=dimensions if own and dimensions and dimensions != own else None,
            window_tokens=min(window_tokens, int(most * SAFE_SHARE_OF_WINDOW)) if most else window_tokens,
            given=given,
        )

    @property
    def provider(self) -> str:
        return self.name.partition("/")[0]

    @property
    def texts_per_request(self) -> int:
        return max(min(MAX_TEXTS_PER_REQUEST, MAX_TOKENS_PER_REQUEST // self.window_tokens), 1)

    def purpose(self, are_queries: bool) -> Mapping[str, str]:
        """The provider's input-type parameter; empty for a provider without one."""
        provider = "cohere" if self.provider == "bedrock" and "cohere.embed" in self.name else self.provider
        if provider not in PURPOSES:
            return {}
        name, of_documents, of_queries = PURPOSES[provider]
        return {name: of_queries if are_queries else of_documents}


def own_name(remembered: str) -> str:
    """litellm's name of a model that a vector store remembers: see `LitellmEmbedder.model`."""
    name, _, sent = remembered.rpartition("@")
    return name if sent.isdecimal() and not _listed(remembered) and _listed(name) else remembered


def _listed(name: str) -> ListedEmbeddingModel | None:
    models, (provider, _, rest) = bundled_embedding_models(), name.partition("/")
    if name in models:
        return models[name]
    # Another provider's model of the same name is a different model.
    found = models.get(rest)
    return found if found and found.provider.startswith(provider) else None
