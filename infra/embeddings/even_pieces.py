"""Cuts a text evenly, at the beginnings of words where there are some, so that no piece is long or left over."""

import itertools
from collections.abc import Sequence


def even_pieces(text: str, starts: Sequence[int], begins_word: Sequence[bool], max_tokens: int) -> Sequence[str]:
    """Pieces of at most `max_tokens` tokens; token N begins at character `starts[N]`, -1 where that is no border."""
    if len(starts) <= max_tokens:
        return [text]
    slack = max_tokens // 16
    count = -(-len(starts) // (max_tokens - slack))
    cuts = [_cut(len(starts) * number // count, slack, starts, begins_word) for number in range(1, count)]
    borders = [0, *(starts[cut] for cut in cuts), len(text)]
    return [text[first:last] for first, last in itertools.pairwise(borders) if first < last]


def _cut(wanted: int, slack: int, starts: Sequence[int], begins_word: Sequence[bool]) -> int:
    near = range(wanted, wanted - slack, -1)
    at_word = next((index for index in near if begins_word[index] and starts[index] >= 0), None)
    if at_word is not None:
        return at_word
    return next(index for index in range(wanted, -1, -1) if starts[index] >= 0)
