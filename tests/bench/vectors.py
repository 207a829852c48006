"""Vectors like those of texts, for measuring indexes."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from infra.embeddings.minilm import DIMENSIONS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INDEPENDENT_DIRECTIONS = 40


def vectors(seed: int, count: int) -> Sequence[Sequence[float]]:
    # Not before the index's module, which sets how many threads numpy has.
    import numpy as np

    random = np.random.default_rng(seed).standard_normal((count, INDEPENDENT_DIRECTIONS), dtype=np.float32)
    made = random @ _directions()
    unit: list[list[float]] = (made / np.linalg.norm(made, axis=1, keepdims=True)).tolist()
    return unit


@cache
def _directions() -> "NDArray[np.float32]":
    """Embeddings differ in few independent directions.

    In vectors that differ in all, no index but an exact one finds the nearest: they are all about as far.
    """
    import numpy as np

    return np.random.default_rng(1).standard_normal((INDEPENDENT_DIRECTIONS, DIMENSIONS), dtype=np.float32)
