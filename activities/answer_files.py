"""The files that an answer links to, stored as files of their own while the answer arrives."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from infra.database.sandbox_files import KeptFile
from infra.object_store.errors import ObjectMissing
from infra.ports import ObjectStore
from models.answers import Answer, AnswerDelta, MadeFile
from models.ids import new_file_id
from models.language_model import TextDelta
from models.linked_files import LinkedText
from models.messages import FilePath
from models.stored_objects import KeyPrefix, object_key


class AnswerFiles:
    """Separates the links of one answer, and stores the bytes of the files that they lead to before it returns them.

    The rows are those of `answer.files`, in the transaction that stores the answer.
    """

    def __init__(self, object_store: ObjectStore, made: Mapping[str, KeptFile], answer: Answer) -> None:
        self._object_store = object_store
        self._made = made
        self._answer = answer
        self._text = LinkedText(made, new_file_id)
        self._is_stored: dict[str, bool] = {}

    async def link(self, delta: AnswerDelta) -> list[AnswerDelta]:
        """The delta with its links separated; a link to a file whose bytes are gone is text.

        Raises `ObjectStoreUnavailable`.
        """
        linked: list[AnswerDelta] = []
        for each in self._text.link(delta):
            is_link = not isinstance(each, FilePath) or await self._store(each.file_path.file_id)
            linked.append(each if is_link else TextDelta(each.text))  # type: ignore[union-attr]
        return linked

    async def _store(self, file_id: str) -> bool:
        if file_id not in self._is_stored:
            name = next(name for name, given in self._text.file_ids.items() if given == file_id)
            self._is_stored[file_id] = await self._copy(self._made[name], file_id)
        return self._is_stored[file_id]

    async def _copy(self, kept: KeptFile, file_id: str) -> bool:
        try:
            size = await self._object_store.put(object_key(KeyPrefix.FILE, file_id), self._object_store.get(kept.key))
        except ObjectMissing:
            return False
        self._answer.files.append(MadeFile(file_id, PurePosixPath(kept.name).name, size))
        return True
