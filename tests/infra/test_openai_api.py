"""What all callers of OpenAI's API read of the environment and of responses."""

from datetime import timedelta

import pytest

from infra.openai_api import (
    KEY_VARIABLE,
    ORGANIZATION_VARIABLES,
    PROJECT_VARIABLE,
    URL_VARIABLES,
    account_headers,
    api_key,
    base_url,
    retry_after,
)


@pytest.fixture(autouse=True)
def _no_variables_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (KEY_VARIABLE, *URL_VARIABLES, *ORGANIZATION_VARIABLES, PROJECT_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_defaults_are_openais() -> None:
    assert (base_url(), api_key(), account_headers()) == ("https://api.openai.com/v1", None, {})


def test_empty_variables_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (KEY_VARIABLE, "OPENAI_BASE_URL", "OPENAI_ORGANIZATION", PROJECT_VARIABLE):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("OPENAI_API_BASE", "http://own.test/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-2")

    assert (base_url(), api_key()) == ("http://own.test/v1", None)
    assert account_headers() == {"openai-organization": "org-2"}


def test_given_organization_precedes_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORGANIZATION", "org-1")
    monkeypatch.setenv(PROJECT_VARIABLE, "proj-1")

    assert account_headers() == {"openai-organization": "org-1", "openai-project": "proj-1"}
    assert account_headers("org-given")["openai-organization"] == "org-given"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "7", "retry-after-ms": "soon"}, 7),
        ({"retry-after": "100000"}, 600),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "Fri, 27 Nov 2020 10:00:00 GMT"}, 0),
        # Without a time zone a date is no moment.
        ({"retry-after": "Fri, 27 Nov 2020 10:00:00"}, None),
    ],
)
def test_wait_that_a_response_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == (None if seconds is None else timedelta(seconds=seconds))


def test_own_wait_applies_where_the_response_asks_for_none() -> None:
    assert retry_after({}, otherwise=timedelta(seconds=3)) == timedelta(seconds=3)
    assert retry_after({"retry-after": "7"}, otherwise=timedelta(seconds=3)) == timedelta(seconds=7)
