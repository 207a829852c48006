"""The addresses of Azure OpenAI's deployments."""

import os
import re
from urllib.parse import quote, urlsplit

VERSION_VARIABLE = "AZURE_API_VERSION"
DEFAULT_VERSION = "2025-02-01-preview"
"""litellm's."""

_DATED = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
_OTHER_MAKERS = re.compile(r"claude|mistral|command|cohere")
"""Deployments with another wire behind the same prefix."""


def version(given: str | None) -> str:
    return given or os.environ.get(VERSION_VARIABLE) or DEFAULT_VERSION


def serves_deployments(url: str, api_version: str, deployment: str) -> bool:
    """Whether `deployment` is called as OpenAI's models are; litellm knows the other forms of address."""
    is_root = urlsplit(url).path.strip("/") == ""
    return is_root and bool(_DATED.fullmatch(api_version)) and not _OTHER_MAKERS.search(deployment.lower())


def deployment_url(url: str, api_version: str, deployment: str) -> str:
    path = f"openai/deployments/{quote(deployment, safe='')}/chat/completions"
    return f"{url.rstrip('/')}/{path}?api-version={api_version}"
