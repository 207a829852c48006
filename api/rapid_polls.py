"""What plain polls were answered a moment ago: a poll that follows rapidly and would have the same answer is held.

See docs/decisions/0011.
"""

import time
from collections import OrderedDict
from datetime import timedelta

from models.runs import Run

RAPID = timedelta(milliseconds=100)
"""A poll is rapid if it follows so soon on an answer. No person and no patient program asks again so soon."""


class RecentAnswers:
    """Runs as plain polls were answered, by project and run, for as long as a further poll would be rapid."""

    def __init__(self) -> None:
        # In the order of the answers, so that the outdated ones come first.
        self._answers: OrderedDict[tuple[str, str], tuple[float, Run]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, project_id: str, run_id: str) -> Run | None:
        """The run as it was last answered, if that was a moment ago."""
        answered, run = self._answers.get((project_id, run_id), (0.0, None))
        return run if answered > _rapid_since() else None

    def add(self, project_id: str, run: Run) -> None:
        key = (project_id, run.id)
        self._answers[key] = (time.monotonic(), run)
        self._answers.move_to_end(key)
        outdated = _rapid_since()
        while self._answers and next(iter(self._answers.values()))[0] <= outdated:
            self._answers.popitem(last=False)

    def forget(self, project_id: str, run_id: str) -> None:
        self._answers.pop((project_id, run_id), None)


def _rapid_since() -> float:
    return time.monotonic() - RAPID.total_seconds()
