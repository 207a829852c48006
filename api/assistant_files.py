"""The files of assistants as v1 had them: those of the assistant's vector store, which is created for the first one."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection

from api.tool_resources import RequestedResources
from infra.database import assistant_files, assistants, vector_store_files, vector_stores
from infra.database.assistant_files import MAX_FILES
from models.beta_v1 import MADE_FOR_V1, AssistantFile, is_made_for_v1
from models.errors import InvalidRequest, NotFound
from models.lists import Page, PageRequest
from models.search_index import IndexedFile, IndexedStore
from models.tools import FileSearchResources, InlineVectorStore, ToolResources
from models.vector_store_errors import StoreFileNotFound
from models.vector_stores import VectorStoreFile

NOUN = "file"
MANY_FILES_OF_V2 = (
    f"The vector store of the assistant was not made for v1 and has more than {MAX_FILES} files. Remove the file from "
    "the vector store, or set the assistant's 'file_ids'."
)


@dataclass
class AssistantFiles:
    """The changes of one request. What they have to command is commanded by `start`, after the commit."""

    requested: RequestedResources
    removed: list[tuple[IndexedStore, IndexedFile]] = field(default_factory=list)

    @property
    def project_id(self) -> str:
        return self.requested.project_id

    def replace(self, connection: Connection, assistant_id: str, file_ids: Sequence[str]) -> None:
        """Let the assistant have these files alone. Raises `NotFound`, and as `RequestedResources.extend_store`.

        A store with more files than v1 gave an assistant is that of a v2 program: it keeps them, and is given up. So is
        one that was not made for v1, if files would leave it: other assistants and threads may use it.
        """
        store_id = self._lock(connection, assistant_id)
        before = self._files(connection, store_id)
        if store_id and not self._can_have(connection, store_id, leaves=not set(before) <= set(file_ids)):
            self._give_up_store(connection, assistant_id)
            store_id, before = None, ()
        # First, because it locks the files before the store.
        new = [file_id for file_id in dict.fromkeys(file_ids) if file_id not in before]
        self._put_in(connection, assistant_id, store_id, new)
        for file_id in before:
            if file_id not in file_ids:
                # Deleted meanwhile.
                with suppress(StoreFileNotFound):
                    self._take_out(connection, store_id or "", file_id)

    def add(self, connection: Connection, assistant_id: str, file_id: str) -> AssistantFile:
        """Raises as `replace`, and `InvalidRequest` for one file too many."""
        store_id = self._lock(connection, assistant_id)
        if store_id is None or not vector_store_files.named(connection, store_id, [file_id]):
            if len(self._files(connection, store_id)) >= MAX_FILES:
                raise InvalidRequest(f"An assistant has at most {MAX_FILES} files. Delete some.", "file_id")
            store_id = self._put_in(connection, assistant_id, store_id, [file_id])
        return load(connection, self.project_id, assistant_id, file_id)

    def remove(self, connection: Connection, assistant_id: str, file_id: str) -> None:
        """Raises `NotFound`, and `InvalidRequest` for a larger store of v2, which another one cannot replace."""
        store_id = self._lock(connection, assistant_id) or ""
        load(connection, self.project_id, assistant_id, file_id)
        store = vector_stores.load(connection, self.project_id, store_id)
        if is_made_for_v1(store.metadata):
            self._take_out(connection, store_id, file_id)
        elif store.file_counts.total > MAX_FILES:
            raise InvalidRequest(MANY_FILES_OF_V2)
        else:
            rest = [each for each in self._files(connection, store_id) if each != file_id]
            self._give_up_store(connection, assistant_id)
            self._put_in(connection, assistant_id, None, rest)

    async def start(self) -> None:
        await self.requested.start()
        for store, file in self.removed:
            await self.requested.commands.remove_from_index(store, file)

    def _lock(self, connection: Connection, assistant_id: str) -> str | None:
        return _store_of(connection, self.project_id, assistants.lock(connection, self.project_id, assistant_id))

    def _can_have(self, connection: Connection, store_id: str, leaves: bool) -> bool:
        """Whether the store can have the files of one assistant alone."""
        store = vector_stores.load(connection, self.project_id, store_id)
        return store.file_counts.total <= MAX_FILES and (not leaves or is_made_for_v1(store.metadata))

    def _files(self, connection: Connection, store_id: str | None) -> Sequence[str]:
        return assistant_files.of_store(connection, self.project_id, store_id) if store_id else ()

    def _put_in(
        self, connection: Connection, assistant_id: str, store_id: str | None, new: Sequence[str]
    ) -> str | None:
        if not new:
            return store_id
        if store_id is not None:
            self.requested.extend_store(connection, store_id, new)
            return store_id
        made = InlineVectorStore(file_ids=list(new), metadata=dict(MADE_FOR_V1))
        created = self.requested.create_store(connection, made, None)
        search = FileSearchResources(vector_store_ids=[created])
        assistants.set_file_search(connection, self.project_id, assistant_id, search)
        return created

    def _give_up_store(self, connection: Connection, assistant_id: str) -> None:
        assistants.set_file_search(connection, self.project_id, assistant_id, FileSearchResources())

    def _take_out(self, connection: Connection, store_id: str, file_id: str) -> None:
        self.removed.append(vector_store_files.remove(connection, self.project_id, store_id, file_id))


def load(connection: Connection, project_id: str, assistant_id: str, file_id: str) -> AssistantFile:
    """Raises `NotFound`."""
    store_id = _store_of_assistant(connection, project_id, assistant_id)
    if store_id is None:
        raise NotFound.of(NOUN, file_id)
    try:
        return _to_file(assistant_id, vector_store_files.load(connection, project_id, store_id, file_id))
    except NotFound:
        raise NotFound.of(NOUN, file_id) from None


def list_page(connection: Connection, project_id: str, assistant_id: str, page: PageRequest) -> Page[AssistantFile]:
    """Raises `NotFound`."""
    store_id = _store_of_assistant(connection, project_id, assistant_id)
    if store_id is None:
        return Page[AssistantFile].of([], has_more=False)
    found = vector_store_files.list_page(connection, project_id, store_id, page, None)
    return Page[AssistantFile].of([_to_file(assistant_id, file) for file in found.data], found.has_more)


def _store_of_assistant(connection: Connection, project_id: str, assistant_id: str) -> str | None:
    return _store_of(connection, project_id, assistants.load(connection, project_id, assistant_id).tool_resources)


def _store_of(connection: Connection, project_id: str, resources: ToolResources) -> str | None:
    """The assistant's store, None where it has none or it was deleted."""
    for store_id in resources.file_search.vector_store_ids if resources.file_search else ():
        if vector_stores.exists(connection, project_id, store_id):
            return store_id
    return None


def _to_file(assistant_id: str, file: VectorStoreFile) -> AssistantFile:
    return AssistantFile(id=file.id, created_at=file.created_at, assistant_id=assistant_id)
