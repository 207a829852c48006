from collections.abc import Sequence
from typing import Any

import pytest

from models.runs import LastError, LastErrorCode
from models.turn_failures import EarlierFailure, as_details, failure_in


@pytest.mark.parametrize("counts", [{}, {"AnswerAborted": 2, "TooManyCalls": 1}])
def test_failure_is_found_in_its_details(counts: dict[str, int]) -> None:
    failure = EarlierFailure(LastError(code=LastErrorCode.RATE_LIMIT_EXCEEDED, message="Slow down."), counts)

    assert failure_in(list(as_details(failure))) == failure


def test_failure_is_found_in_the_details_of_earlier_versions() -> None:
    failure = failure_in(["server_error", "Broken.", 1])

    assert failure == EarlierFailure(LastError(code=LastErrorCode.SERVER_ERROR, message="Broken."))


@pytest.mark.parametrize(
    "details", [[], ["server_error"], ["other", "x", 0], ["server_error", 3, 0], [{}, "x", 0], ["server_error", "x"]]
)
def test_other_details_are_no_failure(details: Sequence[Any]) -> None:
    assert failure_in(details) is None
