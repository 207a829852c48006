"""The domains that a web retrieval is confined to."""

import re
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")


def _domain(value: str) -> str:
    lowered = value.lower().rstrip(".")
    if not _DOMAIN.fullmatch(lowered):
        raise PydanticCustomError("domain", "expected a domain such as 'example.com', without scheme, port or path")
    return lowered


Domain = Annotated[str, Field(max_length=254), AfterValidator(_domain)]


def is_in_domains(url: str, domains: Iterable[str]) -> bool:
    """Whether a URL's host is one of the domains, or under one."""
    host = host_of(url)
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def host_of(url: str) -> str:
    """In lower case, without a dot at its end; empty where the URL has none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
