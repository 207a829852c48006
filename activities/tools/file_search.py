"""The tool `file_search`: searches the vector stores of the run's assistant and of its thread together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from activities.prompt import DEFAULT_CONTEXT_WINDOW_TOKENS
from activities.token_budget import TokenBudget, longest_beginning
from infra.database import searched_stores
from infra.database.engine import Database
from infra.database.searched_stores import SearchedStore, StoreOwner, StoreState
from infra.embeddings.errors import EmbeddingFailed
from infra.ports import LanguageModel, ToolScope
from infra.tools.errors import ToolFailed, ToolNotReady, ToolUnavailable
from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_store_search import FoundPassage, VectorStoreSearch
from models.runs import Run
from models.tool_calls import SearchHit, SearchHits, ToolCall
from models.tool_formats.file_search import INVALID_ARGUMENTS, queries_of
from models.tools import FileSearchOptions
from models.vector_store_search import RankingOptions, SearchRequest

INDEXING_WAIT = timedelta(seconds=60)
"""How long a search waits for files that are being added to the thread's store, as OpenAI's runs did, and for the first
files of an assistant's: one in use may be added to all the time."""

FIRST_LOOK_AFTER = timedelta(milliseconds=250)
LAST_LOOK_AFTER = timedelta(seconds=10)
"""The longer a search has waited, the later it looks again: each look is an attempt of its activity, 20 ms of CPU. For
the same reason the searches of one answer do not all look at once."""

SMALL_WINDOW_TOKENS = 32_000
MARKER_TOKENS = 40
"""For the marker and the page before a passage."""

AWAITS_FILES = "The files of the search are being indexed."
UNAVAILABLE = "The search does not answer."
REFUSED = "The search failed, and repeating it does not help."
NO_STORE = "There are no files to search."
CUT = "The best passage was cut: it is longer than what you can read of files at once."
NO_ROOM = "Passages were found, but none fits into what you can read of files at once."
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
        stores = await self._indexed_stores(scope, call.position)
        options = call.options if isinstance(call.options, FileSearchOptions) else FileSearchOptions()
        run = scope.run
        limits = _Limits.of(await self.language_model.context_window_tokens(run.model) or DEFAULT_CONTEXT_WINDOW_TOKENS)
        request = SearchRequest(
            query=list(queries),
            max_num_results=options.max_num_results or limits.results,
            ranking_options=RankingOptions(score_threshold=options.ranking_options.score_threshold),
        )
        found = await self._found(scope.project_id, stores, request)
        hits, notes = await self._that_fit(run, found, limits.tokens)
        return SearchHits(hits, (*_notes(stores), *notes))

    async def _indexed_stores(self, scope: ToolScope, position: int) -> Sequence[SearchedStore]:
        """The run's stores, once none is waited for, or after `indexing_wait`."""
        stores = await self.database.read(searched_stores.of_run, scope.project_id, scope.run)
        if _awaits_files(stores) and scope.waited < self.indexing_wait:
            later = min(max(FIRST_LOOK_AFTER * (position + 1), scope.waited / 2), LAST_LOOK_AFTER)
            raise ToolNotReady(AWAITS_FILES, min(later, self.indexing_wait - scope.waited))
        return stores

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

    async def _that_fit(
        self, run: Run, found: Sequence[FoundPassage], tokens: int
    ) -> tuple[tuple[SearchHit, ...], Sequence[str]]:
        """The best passages that the budget takes, and notes: what was found never looks as if nothing was."""

        async def count(text: str) -> int:
            return await self.language_model.count_tokens(run.model, text)

        budget = TokenBudget(tokens, count)
        fitting = [_hit(each, each.text) for each in found if await budget.takes(each.text, overhead=MARKER_TOKENS)]
        if fitting or not found:
            return tuple(fitting), ()
        beginning = await longest_beginning(found[0].text, tokens - MARKER_TOKENS, count)
        return ((_hit(found[0], beginning),), [CUT]) if beginning else ((), [NO_ROOM])


def _hit(found: FoundPassage, text: str) -> SearchHit:
    return SearchHit(found.file_id, found.filename, found.score, text, found.page, found.attributes)


def _awaits_files(stores: Sequence[SearchedStore]) -> bool:
    return any(store.is_new or (store.owner is StoreOwner.THREAD and store.is_indexing) for store in stores)


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
