"""What all callers of OpenAI's API, and of servers that speak it, have in common: environment, waits, error codes."""

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

OPENAI_URL = "https://api.openai.com/v1"
URL_VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
KEY_VARIABLE = "OPENAI_API_KEY"
ORGANIZATION_VARIABLES = ("OPENAI_ORGANIZATION", "OPENAI_ORG_ID")
PROJECT_VARIABLE = "OPENAI_PROJECT_ID"
ORGANIZATION_HEADER = "openai-organization"

QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""As `code` or `type` of an error: a retry does not help."""
MAX_RETRY_AFTER = timedelta(minutes=10)


def base_url() -> str:
    """The URL that the environment gives, or OpenAI's."""
    return _first_set(URL_VARIABLES) or OPENAI_URL


def api_key() -> str | None:
    return os.environ.get(KEY_VARIABLE) or None


def account_headers(organization: str | None = None) -> dict[str, str]:
    """The organization, by default that of the environment, and the project to which calls are billed."""
    named = {
        ORGANIZATION_HEADER: organization or _first_set(ORGANIZATION_VARIABLES),
        "openai-project": os.environ.get(PROJECT_VARIABLE),
    }
    return {name: value for name, value in named.items() if value}


def retry_after(headers: Mapping[str, str], otherwise: timedelta | None = None) -> timedelta | None:
    """The wait that a response asks for, at most `MAX_RETRY_AFTER`. `headers` have lower-case names."""
    wait = otherwise
    if "retry-after" in headers:
        wait = _seconds(headers["retry-after"]) or _until(headers["retry-after"])
    if "retry-after-ms" in headers:
        milliseconds = _seconds(headers["retry-after-ms"])
        wait = milliseconds / 1000 if milliseconds is not None else wait
    return min(max(wait, timedelta()), MAX_RETRY_AFTER) if wait is not None else None


def _first_set(variables: tuple[str, ...]) -> str | None:
    return next((value for name in variables if (value := os.environ.get(name))), None)


def _seconds(value: str) -> timedelta | None:
    with suppress(ValueError, OverflowError):
        return timedelta(seconds=float(value))
    return None


def _until(date: str) -> timedelta | None:
    with suppress(ValueError, TypeError):
        moment = parsedate_to_datetime(date)
        return moment - datetime.now(UTC) if moment.tzinfo else None
    return None
