"""Checks the vectors that a provider answers with."""

import math
from collections.abc import Sequence

from infra.embeddings.errors import EmbeddingRefused


def unit_vector(vector: Sequence[float], dimensions: int, subject: str) -> Sequence[float]:
    """`vector` with length 1. Raises `EmbeddingRefused`, which begins with `subject`."""
    if len(vector) != dimensions:
        raise EmbeddingRefused(
            f"{subject} answered with vectors of {len(vector)} dimensions, not {dimensions}: "
            f"set HOLDFAST_EMBEDDING_DIMENSIONS={len(vector)}."
        )
    try:
        length = math.sqrt(math.fsum(value * value for value in vector))
    except OverflowError:
        length = math.inf
    if not length or not math.isfinite(length):
        raise EmbeddingRefused(f"{subject} answered with a vector without a direction.")
    return [value / length for value in vector]
