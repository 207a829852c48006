"""The query for an engine that knows domains only as words of the query."""

from collections.abc import Collection

MAX_DOMAINS = 8
"""A longer query is refused by some engines. What they find elsewhere is left out afterwards."""


def with_domains(query: str, domains: Collection[str]) -> str:
    if not domains or len(domains) > MAX_DOMAINS:
        return query
    sites = " OR ".join(f"site:{domain}" for domain in domains)
    return f"{query} ({sites})" if len(domains) > 1 else f"{query} {sites}"
