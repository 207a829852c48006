"""The terms of a query that keyword search looks for, the same for every index."""

import re
from collections.abc import Iterator, Sequence

MAX_TERMS = 32

_STOP_WORDS = """
    a about above after again against all also am an and any are as at be because been before being below between
    both but by can cannot could did do does doing down during each few for from further get had has have having
    he her here hers herself him himself his how i if in into is it its itself just me more most my myself no nor
    not now of off on once only or other our ours ourselves out over own please same she should so some such tell
    than that the their theirs them themselves then there these they this those through to too under until up us
    very was we were what when where which while who whom whose why will with would you your yours yourself
    yourselves
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_APOSTROPHE = re.compile("['\u2019]")
_WORD = re.compile(r"[^\W_]+")


def search_terms(query: str) -> Sequence[Sequence[str]]:
    """Up to `MAX_TERMS` different terms in lower case, each the words that follow one another in it.

    A term of several words is something like a part number (`AX-4410/B`). Stop words (English) are left out.
    """
    terms = dict.fromkeys(term for item in query.lower().split() for term in _terms(item))
    return list(terms)[:MAX_TERMS]


def _terms(item: str) -> Iterator[tuple[str, ...]]:
    words = tuple(_WORD.findall(item))
    if len(words) > 1 and any(character.isdigit() for character in item):
        yield words
    elif _APOSTROPHE.search(item):
        # "don't", "company's": the rest after the apostrophe means nothing by itself.
        yield from ((word,) for word in words[:1] if word not in STOP_WORDS)
    else:
        yield from ((word,) for word in words if word not in STOP_WORDS)
