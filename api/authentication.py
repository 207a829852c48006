"""Who calls: the API key, and the project that it names."""

import hmac
from base64 import b64decode
from collections.abc import Mapping

from fastapi import Request
from fastapi.security.utils import get_authorization_scheme_param

from models.errors import Unauthenticated

DEFAULT_PROJECT = "default"
"""Everybody's where no keys are set."""


def project_of(request: Request) -> str:
    """The project that the caller's key names. Raises `Unauthenticated`."""
    keys: Mapping[str, str] = request.app.state.resources.settings.api_keys
    if not keys:
        return DEFAULT_PROJECT
    given = _given(request)
    if not given:
        raise Unauthenticated.without_key()
    for key, project in keys.items():
        if hmac.compare_digest(key.encode(), given.encode()):
            return project
    raise Unauthenticated.with_key(given)


def _given(request: Request) -> str:
    scheme, credentials = get_authorization_scheme_param(request.headers.get("authorization"))
    match scheme.lower():
        case "bearer":
            return credentials
        case "basic":
            # OpenAI takes a key there too, and its guide's curl commands write it there: `-u :$OPENAI_API_KEY`.
            return _password(credentials)
    return ""


def _password(encoded: str) -> str:
    try:
        return b64decode(encoded).decode().partition(":")[2]
    except ValueError:
        return ""
