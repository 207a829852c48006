"""What the operator's commands know without the models is what the models say."""

from enum import StrEnum
from typing import get_args

import pytest

from cli import known_values
from models.documents import FileErrorCode
from models.lists import MAX_LIMIT
from models.ops_files import UnfinishedStatus
from models.ops_runs import MAX_NAME_LENGTH
from models.runs import LastErrorCode, RunStatus


@pytest.mark.parametrize(
    ("known", "values"),
    [
        (known_values.RunStatus, [*RunStatus]),
        (known_values.RunErrorCode, [*LastErrorCode]),
        (known_values.UnfinishedStatus, get_args(UnfinishedStatus)),
        (known_values.FileErrorCode, [*FileErrorCode]),
    ],
)
def test_known_values_are_those_of_the_models(known: type[StrEnum], values: list[str]) -> None:
    assert [*known] == [*values]


def test_known_limits_are_those_of_the_models() -> None:
    assert (known_values.PAGE_SIZE, known_values.MAX_NAME_LENGTH) == (MAX_LIMIT, MAX_NAME_LENGTH)
