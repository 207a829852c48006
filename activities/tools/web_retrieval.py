"""The tool `web_retrieval`: opens a page, or searches the web and the project's collected pages."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from activities.prompt import DEFAULT_CONTEXT_WINDOW_TOKENS
from infra.documents.chunking import chunks
from infra.documents.errors import DocumentUnreadable
from infra.embeddings.errors import EmbeddingFailed
from infra.ports import LanguageModel, ToolScope
from infra.tools.errors import ToolFailed, ToolUnavailable
from infra.vector_index.errors import VectorIndexUnavailable
from infra.web.access import WebAccess
from infra.web.collection import WebCollectionSearch
from infra.web.errors import PageNotRead, PageRefused, SearchFailed
from models.answers import storable
from models.documents import Document, Page
from models.tool_calls import ToolCall, WebPassage, WebPassages, WebSource
from models.tool_formats.web_retrieval import INVALID_ARGUMENTS, WebRequest, request_of
from models.tools import WebRetrievalOptions
from models.web_domains import is_in_domains
from models.web_pages import WebLink

DEFAULT_RESULTS = 8
PASSAGE_TOKENS = 800
MAX_PASSAGES_OF_PAGE = 16
MAX_LINK_TEXT = 1_000
MAX_TITLE = 300

UNAVAILABLE = "The search of the collected pages does not answer."
REFUSED = "The search of the collected pages failed."
NOT_ALLOWED = "Only pages of these domains are read: {domains}."
NOT_READ = "The page was not read. {reason}"
NO_SEARCH = "This server does not search the web. Only collected pages were searched; pages can be opened by their url."
SEARCH_FAILED = "The web was not searched. {reason}"
NO_SUCH_PART = "The page has {count} parts."
GOES_ON = 'The page goes on: part {part} of {count} was read. For the next one, give the same url and "part": {next}.'


@dataclass(frozen=True)
class WebRetrieval:
    web: WebAccess
    collection: WebCollectionSearch
    language_model: LanguageModel

    async def run(self, call: ToolCall, scope: ToolScope) -> WebPassages:
        asked = request_of(call.arguments)
        if asked is None:
            raise ToolFailed(INVALID_ARGUMENTS)
        options = call.options if isinstance(call.options, WebRetrievalOptions) else WebRetrievalOptions()
        if asked.url:
            return await self._open(asked, options, scope)
        return await self._search(asked.query, options, scope)

    async def _open(self, asked: WebRequest, options: WebRetrievalOptions, scope: ToolScope) -> WebPassages:
        async def check(url: str) -> None:
            if options.allowed_domains and not is_in_domains(url, options.allowed_domains):
                raise PageRefused(NOT_ALLOWED.format(domains=", ".join(options.allowed_domains)))

        try:
            page = await self.web.fetcher.fetch(asked.url, check)
            read = await self.web.reader.read_page(page)
            document = Document([Page(None, storable(read.text))])
            cut = await asyncio.to_thread(chunks, document, PASSAGE_TOKENS, 0)
        except (PageNotRead, DocumentUnreadable) as error:
            raise ToolFailed(NOT_READ.format(reason=error)) from error
        title = storable(read.title)[:MAX_TITLE] or page.url
        found = [WebPassage(page.url, title, each.text, WebSource.PAGE) for each in cut]
        return _part(found, asked.part, await self._passages_of_part(options, scope))

    async def _passages_of_part(self, options: WebRetrievalOptions, scope: ToolScope) -> int:
        """As many as a quarter of the model's window takes."""
        window = await self.language_model.context_window_tokens(scope.run.model) or DEFAULT_CONTEXT_WINDOW_TOKENS
        most = min(options.max_num_results or MAX_PASSAGES_OF_PAGE, MAX_PASSAGES_OF_PAGE)
        return max(1, min(most, window // 4 // PASSAGE_TOKENS))

    async def _search(self, query: str, options: WebRetrievalOptions, scope: ToolScope) -> WebPassages:
        limit = options.max_num_results or DEFAULT_RESULTS
        collected, (links, notes) = await asyncio.gather(
            self._collected(query, limit, options, scope), self._links(query, limit, options)
        )
        # Half of the results each; what one of both lacks goes to the other.
        of_collection = max(limit - len(links), (limit + 1) // 2)
        kept = list(collected[:of_collection])
        return WebPassages((*kept, *map(_link, links[: limit - len(kept)])), notes)

    async def _collected(
        self, query: str, limit: int, options: WebRetrievalOptions, scope: ToolScope
    ) -> Sequence[WebPassage]:
        try:
            return await self.collection.search(scope.project_id, query, limit, options.allowed_domains)
        except EmbeddingFailed as error:
            if error.is_retryable:
                raise ToolUnavailable(UNAVAILABLE, error.retry_after) from error
            raise ToolFailed(REFUSED) from error
        except VectorIndexUnavailable as error:
            raise ToolUnavailable(UNAVAILABLE) from error

    async def _links(
        self, query: str, limit: int, options: WebRetrievalOptions
    ) -> tuple[Sequence[WebLink], tuple[str, ...]]:
        if self.web.search is None:
            return (), (NO_SEARCH,)
        domains = options.allowed_domains or ()
        try:
            found = await self.web.search.search(query, limit, domains)
        except SearchFailed as error:
            return (), (SEARCH_FAILED.format(reason=error),)
        return [each for each in found if not domains or is_in_domains(each.url, domains)][:limit], ()


def _part(found: Sequence[WebPassage], part: int, size: int) -> WebPassages:
    count = -(-len(found) // size)
    if part > count:
        return WebPassages((), (NO_SUCH_PART.format(count=count),))
    passages = tuple(found[(part - 1) * size : part * size])
    return WebPassages(passages, () if part == count else (GOES_ON.format(part=part, count=count, next=part + 1),))


def _link(link: WebLink) -> WebPassage:
    title, text = storable(link.title)[:MAX_TITLE], storable(link.text)[:MAX_LINK_TEXT]
    return WebPassage(storable(link.url), title or link.url, text, WebSource.LINK)
