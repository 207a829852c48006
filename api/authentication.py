"""Authentication: the API key of a request, and the project or the operator that it names."""

import hashlib
import hmac
from base64 import b64decode
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from fastapi import Request
from fastapi.security.utils import get_authorization_scheme_param

from api.azure import AZURE_PROJECT
from infra.settings import Settings
from models.errors import Forbidden, Unauthenticated

AZURE_KEY = "api-key"
"""The header in which clients of Azure send their key."""

DEFAULT_PROJECT = "default"
"""The project of every request where no API keys are set."""


class Role(StrEnum):
    PROJECT = "project"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. `project` is None for an operator's key, which covers all projects."""

    project: str | None
    role: Role

    @property
    def name(self) -> str:
        """How records call the caller."""
        return "an operator" if self.project is None else f"project {self.project}"

    def require_project(self) -> str:
        """The project. Raises `Forbidden`."""
        if self.project is None:
            raise Forbidden.to_operators()
        return self.project

    def require_operator(self) -> None:
        """Raises `Forbidden`."""
        if self.role is not Role.OPERATOR:
            raise Forbidden.to_projects()


OPERATOR = Caller(None, Role.OPERATOR)


class Keyring:
    """The keys of the settings, and the callers that they name."""

    def __init__(self, callers: dict[str, Caller], without_key: Caller | None) -> None:
        # Digests have one length: the time of a comparison reveals nothing about a key.
        self._callers = [(_digest(key), caller) for key, caller in callers.items()]
        self._without_key = without_key

    @classmethod
    def of(cls, settings: Settings) -> Self:
        projects = {key: Caller(project, Role.PROJECT) for key, project in settings.api_keys.items()}
        operators = dict.fromkeys(settings.operator_keys, OPERATOR)
        # Without any keys, requests have the rights of an operator.
        role = Role.PROJECT if operators else Role.OPERATOR
        return cls(projects | operators, None if projects else Caller(DEFAULT_PROJECT, role))

    def caller(self, authorization: str | None) -> Caller:
        """The caller that a request's header names. Raises `Unauthenticated`."""
        given = _given(authorization)
        found = self._find(given) or self._without_key
        if found is not None:
            return found
        raise Unauthenticated.with_key(given) if given else Unauthenticated.without_key()

    def _find(self, given: str) -> Caller | None:
        digest, found = _digest(given), None
        # No early exit: the time of the search does not reveal which key matched.
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def caller_of(request: Request) -> Caller:
    """Raises `Unauthenticated`, and `Forbidden` if the path names the Azure project of another key."""
    keyring: Keyring = request.app.state.keyring
    headers = request.headers
    caller = keyring.caller(headers.get("authorization") or f"Bearer {headers.get(AZURE_KEY, '')}")
    in_path = getattr(request.state, AZURE_PROJECT, None)
    if in_path is not None and in_path != caller.project:
        raise Forbidden.to_project(in_path)
    return caller


def authenticated(request: Request) -> Caller:
    """As `caller_of`; the response says for which project it is."""
    caller = caller_of(request)
    request.state.project = caller.project
    return caller


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _given(authorization: str | None) -> str:
    scheme, credentials = get_authorization_scheme_param(authorization)
    match scheme.lower():
        case "bearer":
            return credentials
        case "basic":
            # OpenAI accepts the key as a password too; its guide's curl commands send it so: `-u :$OPENAI_API_KEY`.
            return _password(credentials)
    return ""


def _password(encoded: str) -> str:
    try:
        return b64decode(encoded).decode().partition(":")[2]
    except ValueError:
        return ""
