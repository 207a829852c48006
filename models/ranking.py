"""How the two lists of an index become one: the same for every index, so that each ranks alike.

score = (min-max of the cosine over the vector list + 0.8 x BM25 over its possible maximum) / 1.8

The min-max makes models alike whose cosines lie close together and those whose do not. The weight is from the labelled
set (tests/infra/vector_index/ranking_set.json): with less than 0.7 a query that is a part number alone finds its
neighbours first, and up to 1.0 questions in other words lose nothing. Reciprocal rank fusion found half as many of
those in first place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.search_index import Candidate, Candidates, ChunkKey

KEYWORD_WEIGHT = 0.8


@dataclass(frozen=True, slots=True)
class RankedChunk:
    """`score` is within 0..1, and comparable within one search only."""

    key: ChunkKey
    score: float

    @property
    def file_id(self) -> str:
        return self.key.file_id


def ranked(
    candidates: Candidates, limit: int, score_threshold: float = 0.0, by_vectors_alone: bool = False
) -> Sequence[RankedChunk]:
    """Up to `limit` chunks with at least `score_threshold`, best first. Equal ones are in the order of file and chunk.

    Where a store has no vectors, the keywords' part is the score; `by_vectors_alone`, theirs is where it has some.
    """
    if not candidates.by_vector:
        scores = _keyword_scores(candidates)
    elif by_vectors_alone:
        scores = _vector_scores(candidates.by_vector)
    else:
        scores = _fused(_vector_scores(candidates.by_vector), _keyword_scores(candidates))
    order = sorted(scores, key=lambda key: (-scores[key], key.file_id, key.number, key.store.id))
    return [RankedChunk(key, scores[key]) for key in order[:limit] if scores[key] >= score_threshold]


def _fused(vectors: Mapping[ChunkKey, float], keywords: Mapping[ChunkKey, float]) -> dict[ChunkKey, float]:
    return {
        key: (vectors.get(key, 0.0) + KEYWORD_WEIGHT * keywords.get(key, 0.0)) / (1 + KEYWORD_WEIGHT)
        for key in {**vectors, **keywords}
    }


def _vector_scores(by_vector: Sequence[Candidate]) -> dict[ChunkKey, float]:
    worst = min(candidate.score for candidate in by_vector)
    spread = max(candidate.score for candidate in by_vector) - worst
    # Where all are equal, as where there is one, the cosine itself is all that is known.
    return {
        candidate.key: (candidate.score - worst) / spread if spread > 0 else _within_0_and_1(candidate.score)
        for candidate in by_vector
    }


def _keyword_scores(candidates: Candidates) -> dict[ChunkKey, float]:
    most = candidates.max_keyword_score
    return {
        candidate.key: _within_0_and_1(candidate.score / most) if most > 0 else 0.0
        for candidate in candidates.by_keywords
    }


def _within_0_and_1(value: float) -> float:
    return min(max(value, 0.0), 1.0)
