"""The numbers and markers by which an answer of a run cites the results of its file searches.

A result is numbered `turn:result`: by the turn that called the search, and by its place among the results of that turn.
The numbers follow from the stored calls alone: parallel calls need not know of each other, and a later turn, a retry or
a replay finds the same ones.
"""

import re

RESULTS_PER_CALL = 50
"""The largest `max_num_results`."""

_UNUSABLE = re.compile(r"[\s【】†]+")


def result_number(position: int, index: int) -> int:
    """The number, within its turn, of a result. `position` is the call's place in its answer, `index` from 0."""
    return position * RESULTS_PER_CALL + index


def marker(turn: int, result: int, filename: str) -> str:
    """The form of OpenAI's markers, on one line and with no other bracket in it."""
    return f"【{turn}:{result}†{_UNUSABLE.sub(' ', filename).strip()}】"
