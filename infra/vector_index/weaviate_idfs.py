"""The highest BM25 that a chunk could have for a query's words, as far as possible from the answer to the query itself.

The score of a chunk is the sum of idf x f / (f + k1) over the words, where it has each f times. Weaviate reports
neither idfs nor, at little cost, numbers of chunks, but the scores and, in their explanations, each f: equations for
the idfs.
"""

import asyncio
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set

from infra.vector_index.weaviate_objects import BM25_K1
from infra.vector_index.weaviate_queries import Found, TenantQueries

EQUATIONS = 50
"""Of so many of the best chunks: to read an explanation costs 4 µs."""
SMALLEST = 0.01
"""Smaller singular values determine nothing: a score has seven digits; of an idf by them, fewer than five are right."""
UNDETERMINED = 1e-4
"""The part of a word that lies where the scores determine nothing: so much of the others' idfs would be in its own."""

# Letters that Weaviate folds and Unicode does not take apart; it has rarer ones.
_LETTERS = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    }
)
_FREQUENCY = re.compile(r"BM25F_(\w+)_frequency:(\d+)")


def distinct(words: Iterable[str]) -> Sequence[str]:
    """Words that differ in accents alone are one."""
    return list({_folded(word): word for word in words}.values())


async def max_score(tenant: TenantQueries, words: Sequence[str], answer: Sequence[Found], is_all: bool) -> float:
    """`answer`: what `distinct` words find, with explained scores; `is_all`: every chunk that has any of them."""
    spellings = {_folded(word): word for word in words}
    terms, idfs = _explained(answer if is_all else answer[:EQUATIONS])
    # A term that is none of the words may be one that Weaviate folds otherwise.
    absent = spellings.keys() - terms if is_all and terms <= spellings.keys() else set()
    unknown = [word for term, word in spellings.items() if term not in idfs and term not in absent]
    asked = await asyncio.gather(*(_asked_idf(tenant, word) for word in unknown))
    found = [idfs[term] for term in spellings if term in idfs] + [idf for idf in asked if idf is not None]
    # A word that no chunk has counts as much as the rarest that one has.
    return sum(found) + (len(spellings) - len(found)) * max(found, default=0.0)


def _explained(answer: Sequence[Found]) -> tuple[Set[str], Mapping[str, float]]:
    """The words that chunks have, and the idfs of those whose idf follows from the scores."""
    explained = [_frequencies(each) for each in answer]
    terms = {term for frequencies in explained for term in frequencies}
    scores = [each.score for each in answer]
    return terms, _solved(explained, sorted(terms), scores) if terms else {}


def _solved(explained: Sequence[Mapping[str, int]], terms: Sequence[str], scores: Sequence[float]) -> dict[str, float]:
    import numpy as np

    shares = np.array([[_share(frequencies.get(term, 0)) for term in terms] for frequencies in explained])
    left, sizes, right = np.linalg.svd(shares, full_matrices=False)
    is_determined = sizes > SMALLEST
    idfs = right[is_determined].T @ ((left.T[is_determined] @ np.array(scores)) / sizes[is_determined])
    # The scores do not determine the idf of a word that always comes with another.
    certain = (right[is_determined] ** 2).sum(axis=0) > 1 - UNDETERMINED**2
    return {term: float(idf) for term, idf, is_certain in zip(terms, idfs, certain, strict=True) if is_certain}


def _frequencies(found: Found) -> Mapping[str, int]:
    return {term: int(count) for term, count in _FREQUENCY.findall(found.explanation)}


def _share(frequency: int) -> float:
    return frequency / (frequency + BM25_K1)


async def _asked_idf(tenant: TenantQueries, word: str) -> float | None:
    """By the best chunk for it."""
    best = await tenant.with_words([word], limit=1)
    _, idfs = _explained(best)
    return next(iter(idfs.values()), None)


def _folded(word: str) -> str:
    """Without accents. A word that Weaviate folds otherwise is asked for."""
    letters = (each for each in unicodedata.normalize("NFD", word) if unicodedata.category(each) != "Mn")
    return unicodedata.normalize("NFC", "".join(letters)).translate(_LETTERS)
