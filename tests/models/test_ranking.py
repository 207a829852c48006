"""The fusion of an index's two lists."""

import pytest

from models.ranking import KEYWORD_WEIGHT, ranked
from models.search_index import Candidate, Candidates, ChunkKey, IndexedFile, IndexedStore

STORE = IndexedStore("vs_one", "test/model", 2)


def _candidate(file_id: str, number: int, score: float) -> Candidate:
    return Candidate(ChunkKey(STORE, IndexedFile(file_id, 1), number), score)


VECTORS = [_candidate("file-a", 0, 0.8), _candidate("file-b", 0, 0.6), _candidate("file-c", 0, 0.4)]


def test_scores_are_the_spread_of_cosines_and_the_share_of_bm25() -> None:
    keywords = [_candidate("file-c", 0, 6.0), _candidate("file-b", 0, 3.0)]

    found = ranked(Candidates(VECTORS, keywords, max_keyword_score=6.0), limit=10)

    whole = 1 + KEYWORD_WEIGHT
    assert [chunk.file_id for chunk in found] == ["file-a", "file-b", "file-c"]
    assert [chunk.score for chunk in found] == pytest.approx(
        [1 / whole, (0.5 + 0.5 * KEYWORD_WEIGHT) / whole, KEYWORD_WEIGHT / whole]
    )


def test_chunk_of_both_lists_is_found_once() -> None:
    found = ranked(Candidates(VECTORS, VECTORS, max_keyword_score=0.8), limit=10)

    assert [chunk.file_id for chunk in found] == ["file-a", "file-b", "file-c"]
    assert found[0].score == pytest.approx(1.0)


def test_chunk_that_only_keywords_find_is_found() -> None:
    found = ranked(Candidates(VECTORS, [_candidate("file-z", 7, 5.0)], max_keyword_score=5.0), limit=10)

    assert ("file-z", 7) in [(chunk.file_id, chunk.key.number) for chunk in found]


def test_without_vectors_the_keywords_are_the_score() -> None:
    found = ranked(Candidates((), [_candidate("file-a", 0, 4.0)], max_keyword_score=8.0), limit=10)

    assert [chunk.score for chunk in found] == [0.5]


def test_scores_of_vectors_alone_are_of_the_whole_range() -> None:
    keywords = [_candidate("file-z", 7, 5.0)]

    found = ranked(Candidates(VECTORS, keywords, max_keyword_score=5.0), limit=10, by_vectors_alone=True)

    assert len(found) == len(VECTORS)
    assert (found[0].score, found[-1].score) == (1.0, 0.0)


@pytest.mark.parametrize(("cosine", "score"), [(0.7, 0.7), (-0.2, 0.0), (1.0000001, 1.0)])
def test_a_cosine_without_others_stands_for_itself(cosine: float, score: float) -> None:
    found = ranked(Candidates([_candidate("file-a", 0, cosine)], (), 0.0), limit=10)

    assert found[0].score == pytest.approx(score / (1 + KEYWORD_WEIGHT))


@pytest.mark.parametrize("most", [0.0, 1.0, 3.0])
def test_scores_are_within_0_and_1(most: float) -> None:
    keywords = [_candidate("file-a", number, 2.0 - number) for number in range(4)]
    vectors = [_candidate("file-a", number, 1.1 - 0.7 * number) for number in range(4)]

    assert all(0 <= chunk.score <= 1 for chunk in ranked(Candidates(vectors, keywords, most), limit=10))


def test_equal_scores_are_in_the_order_of_file_and_chunk() -> None:
    equal = [_candidate("file-b", 1, 0.5), _candidate("file-a", 9, 0.5), _candidate("file-b", 0, 0.5)]

    for order in (equal, equal[::-1]):
        found = ranked(Candidates(order, (), 0.0), limit=2)
        assert [(chunk.file_id, chunk.key.number) for chunk in found] == [("file-a", 9), ("file-b", 0)]


def test_chunks_under_the_threshold_are_left_out() -> None:
    candidates = Candidates(VECTORS, (), 0.0)
    scores = [chunk.score for chunk in ranked(candidates, limit=10)]

    assert [chunk.score for chunk in ranked(candidates, limit=10, score_threshold=scores[1])] == scores[:2]


def test_no_candidates_are_no_chunks() -> None:
    assert ranked(Candidates((), (), 0.0), limit=10) == []
