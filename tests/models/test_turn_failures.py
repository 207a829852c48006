from collections.abc import Sequence
from typing import Any

import pytest

from models.runs import LastError, LastErrorCode
from models.turn_failures import as_details, failure_in


def test_failure_is_found_in_its_details() -> None:
    failure = LastError(code=LastErrorCode.RATE_LIMIT_EXCEEDED, message="Slow down.")

    assert failure_in(list(as_details(failure))) == failure
    assert failure_in(as_details(None)) is None


@pytest.mark.parametrize("details", [[], ["server_error"], ["other", "x"], ["server_error", 3], [{}, "x"], [1, 2, 3]])
def test_other_details_are_no_failure(details: Sequence[Any]) -> None:
    assert failure_in(details) is None
