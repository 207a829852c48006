"""Search without a key: the library `ddgs` asks several engines as a browser would, and reads their pages.

The engines' terms of use may forbid that, and they refuse those who ask often: docs/web-retrieval.md.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from infra.web.errors import SearchFailed
from infra.web.search.query import with_domains
from models.web_pages import WebLink

TIMEOUT_SECONDS = 8
TOTAL_SECONDS = 25
NO_ANSWER = "No search engine answered: they found nothing, or refuse this server for now."
TOO_SLOW = "The search engines took too long."


class DdgsSearch:
    async def search(self, query: str, limit: int, domains: Collection[str] = ()) -> Sequence[WebLink]:
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                found = await asyncio.to_thread(_ask, with_domains(query, domains), limit)
        except TimeoutError:
            raise SearchFailed(TOO_SLOW) from None
        return [
            WebLink(each["href"], each.get("title", ""), each.get("body", "")) for each in found if each.get("href")
        ]


def _ask(query: str, limit: int) -> Sequence[dict[str, Any]]:
    from ddgs import DDGS
    from ddgs.exceptions import DDGSException, TimeoutException

    try:
        return DDGS(timeout=TIMEOUT_SECONDS).text(query, max_results=limit)
    except TimeoutException as error:
        raise SearchFailed(TOO_SLOW) from error
    except DDGSException as error:
        raise SearchFailed(NO_ANSWER) from error
