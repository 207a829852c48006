"""Embeds whole inputs of `/embeddings`: one vector each, however long it is."""

from collections.abc import Sequence

from infra.ports import Embedder

LEAST_LENGTH = 1e-12
"""Of a mean whose windows cancel each other out."""


async def embed_whole(embedder: Embedder, texts: Sequence[str]) -> Sequence[Sequence[float]]:
    """A vector of unit length for each text, in their order.

    The vector of a text that the model does not see all of is the mean of its windows', weighted by their lengths, as
    OpenAI's cookbook does it. Raises `infra.embeddings.errors.EmbeddingFailed`.
    """
    windows = [await embedder.windows(text) for text in texts]
    every_window = list(dict.fromkeys(window for of_text in windows for window in of_text))
    vectors = dict(zip(every_window, await embedder.embed(every_window), strict=True))
    return [_mean([vectors[window] for window in of_text], [len(window) for window in of_text]) for of_text in windows]


def _mean(vectors: Sequence[Sequence[float]], weights: Sequence[int]) -> Sequence[float]:
    if len(vectors) == 1:
        return vectors[0]
    import numpy as np

    mean = np.average(np.asarray(vectors), axis=0, weights=weights)
    return list(mean / max(float(np.linalg.norm(mean)), LEAST_LENGTH))
