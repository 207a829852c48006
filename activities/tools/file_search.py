"""The tool `file_search`: searches the vector stores of the run's assistant and of its thread together."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from activities.prompt import DEFAULT_CONTEXT_WINDOW_TOKENS
from activities.token_budget import TokenBudget
from infra.database import searched_stores
from infra.database.engine import Database
from infra.database.searched_stores import SearchedStore, StoreOwner, StoreState
from infra.embeddings.errors import EmbeddingFailed
from infra.ports import LanguageModel, ToolScope
from infra.tools.errors import ToolFailed, ToolUnavailable
from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_store_search import FoundPassage, VectorStoreSearch
from models.runs import Run
from models.tool_calls import SearchHit, SearchHits, ToolCall
from models.tool_formats.file_search import INVALID_ARGUMENTS, queries_of
from models.tools import FileSearchOptions
from models.vector_store_search import RankingOptions, SearchRequest

INDEXING_WAIT = timedelta(seconds=60)
"""How long a search waits for files that are being added to the thread's store, as OpenAI's runs did."""

INDEXING_POLL_INTERVAL = timedelta(milliseconds=250)

SMALL_WINDOW_TOKENS = 32_000
MARKER_TOKENS = 40
"""For the marker and the page before a passage."""

UNAVAILABLE = "The search does not answer."
REFUSED = "The search failed, and repeating it does not help."
NO_STORE = "There are no files to search."
STILL_INDEXING = {
    StoreOwner.ASSISTANT: "Files of the assistant are still being prepared, and were not searched completely.",
    StoreOwner.THREAD: "Files of this conversation are still being prepared, and were not searched completely.",
}


@dataclass(frozen=True)
class _Limits:
    """OpenAI's defaults: 20 results of 16,000 tokens together, or 5 of 4,000 for a model with a small window."""

    results: int
    tokens: int

    @classmethod
    def of(cls, window: int) -> "_Limits":
        return cls(5, min(4_000, window // 4)) if window < SMALL_WINDOW_TOKENS else cls(20, 16_000)


@dataclass(frozen=True)
class FileSearch:
    database: Database
    searching: VectorStoreSearch
    language_model: LanguageModel
    indexing_wait: timedelta = INDEXING_WAIT

    async def run(self, call: ToolCall, scope: ToolScope) -> SearchHits:
        queries = queries_of(call.arguments)
        if queries is None:
            raise ToolFailed(INVALID_ARGUMENTS)
        stores = await self._indexed_stores(scope)
        options = call.options if isinstance(call.options, FileSearchOptions) else FileSearchOptions()
        run = scope.run
        limits = _Limits.of(await self.language_model.context_window_tokens(run.model) or DEFAULT_CONTEXT_WINDOW_TOKENS)
        request = SearchRequest(
            query=list(queries),
            max_num_results=options.max_num_results or limits.results,
            ranking_options=RankingOptions(score_threshold=options.ranking_options.score_threshold),
        )
        found = await self._found(scope.project_id, stores, request)
        return SearchHits(await self._that_fit(run, found, limits.tokens), tuple(_notes(stores)))

    async def _indexed_stores(self, scope: ToolScope) -> Sequence[SearchedStore]:
        """The run's stores, once all files of the thread's are indexed, or after `indexing_wait`."""
        until = time.monotonic() + self.indexing_wait.total_seconds()
        while True:
            stores = await self.database.read(searched_stores.of_run, scope.project_id, scope.run)
            if not _awaits_files(stores) or time.monotonic() >= until:
                return stores
            await asyncio.sleep(INDEXING_POLL_INTERVAL.total_seconds())

    async def _found(
        self, project_id: str, stores: Sequence[SearchedStore], request: SearchRequest
    ) -> Sequence[FoundPassage]:
        open_ids = [store.id for store in stores if store.state is StoreState.OPEN]
        try:
            return await self.searching.search_together(project_id, open_ids, request)
        except EmbeddingFailed as error:
            if error.is_retryable:
                raise ToolUnavailable(UNAVAILABLE, error.retry_after) from error
            raise ToolFailed(REFUSED) from error
        except VectorIndexUnavailable as error:
            raise ToolUnavailable(UNAVAILABLE) from error

    async def _that_fit(self, run: Run, found: Sequence[FoundPassage], tokens: int) -> tuple[SearchHit, ...]:
        """The best passages, as many as the budget takes."""

        async def count(text: str) -> int:
            return await self.language_model.count_tokens(run.model, text)

        budget, hits = TokenBudget(tokens, count), list[SearchHit]()
        for each in found:
            if not await budget.takes(each.text, overhead=MARKER_TOKENS):
                break
            hits.append(SearchHit(each.file_id, each.filename, each.score, each.text, each.page, each.attributes))
        return tuple(hits)


def _awaits_files(stores: Sequence[SearchedStore]) -> bool:
    return any(store.owner is StoreOwner.THREAD and store.is_indexing for store in stores)


def _notes(stores: Sequence[SearchedStore]) -> Sequence[str]:
    if not stores:
        return [NO_STORE]
    gone = [
        f"The {store.owner}'s vector store has {'expired' if store.state is StoreState.EXPIRED else 'been deleted'}: "
        "it was not searched."
        for store in stores
        if store.state is not StoreState.OPEN
    ]
    return [*gone, *(STILL_INDEXING[store.owner] for store in stores if store.is_indexing)]
