"""Exceptions that no provider can be made to cause at will."""

import pytest

from infra.language_model.errors import ModelCallFailed, ModelStreamBroken, ProviderRefused, ProviderUnavailable
from infra.language_model.litellm_errors import translated


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (KeyError("choices"), ProviderRefused, "The call of 'm' failed: KeyError: 'choices'"),
        (ValueError(), ProviderRefused, "The call of 'm' failed: ValueError: "),
        (TimeoutError(), ProviderUnavailable, "The call of 'm' failed: TimeoutError"),
        (ConnectionResetError(104, "Connection reset by peer"), ProviderUnavailable, "Connection reset by peer"),
    ],
)
def test_an_unknown_exception_is_told_with_its_name(error: Exception, kind: type[ModelCallFailed], told: str) -> None:
    failure = translated(error, "m", has_begun=False)

    assert type(failure) is kind
    assert told.strip() in str(failure)
    assert type(translated(error, "m", has_begun=True)) is ModelStreamBroken


def test_what_the_caller_is_handling_is_not_taken_for_the_cause() -> None:
    caught: Exception | None = None
    try:
        try:
            raise ConnectionRefusedError(111, "Of another call")
        except OSError:
            raise KeyError("choices")  # noqa: B904 - that is the case
    except KeyError as error:
        caught = error

    assert caught is not None
    assert type(translated(caught, "m", has_begun=False)) is ProviderRefused


def test_a_failure_that_is_translated_stays_as_it_is() -> None:
    failure = ModelStreamBroken("The model called a function without naming it.")

    assert translated(failure, "m", has_begun=True) is failure
