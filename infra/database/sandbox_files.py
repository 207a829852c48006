"""The files that the code of a thread has made or changed. Their bytes are in the object store."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select

from infra.database import doomed_objects
from infra.database.sandbox_tables import SANDBOX_FILES
from models.stored_objects import KeyPrefix, object_key

_OF_THREAD = SANDBOX_FILES.c.thread_id == bindparam("thread")
_NAMED = (_OF_THREAD, SANDBOX_FILES.c.name.in_(bindparam("names", expanding=True)))
_LIST = select(SANDBOX_FILES).where(_OF_THREAD).order_by(SANDBOX_FILES.c.name)
_NAMES = select(SANDBOX_FILES.c.name).where(_OF_THREAD).order_by(SANDBOX_FILES.c.name)
_INSERT = insert(SANDBOX_FILES)
_REMOVE_NAMED = delete(SANDBOX_FILES).where(*_NAMED).returning(SANDBOX_FILES.c.object_id)
_REMOVE_ALL = delete(SANDBOX_FILES).where(_OF_THREAD).returning(SANDBOX_FILES.c.object_id)
_KNOWN = select(SANDBOX_FILES.c.object_id).where(SANDBOX_FILES.c.object_id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True)
class KeptFile:
    """`name` is the path in /mnt/data; the bytes are stored under the key of `object_id`."""

    name: str
    object_id: str
    bytes: int
    sha256: str

    @property
    def key(self) -> str:
        return object_key(KeyPrefix.SANDBOX_FILE, self.object_id)


def of_thread(connection: Connection, thread_id: str) -> Mapping[str, KeptFile]:
    """By name."""
    rows = connection.execute(_LIST, {"thread": thread_id})
    return {row.name: KeptFile(row.name, row.object_id, row.bytes, row.sha256) for row in rows}


def names(connection: Connection, thread_id: str) -> Sequence[str]:
    return connection.scalars(_NAMES, {"thread": thread_id}).all()


def replace(
    connection: Connection, project_id: str, thread_id: str, changed: Sequence[KeptFile], removed: Collection[str]
) -> None:
    """Keep `changed` files, whose bytes are stored already, and forget `removed` ones and what `changed` replaces."""
    gone = [*removed, *(file.name for file in changed)]
    if gone:
        replaced = connection.scalars(_REMOVE_NAMED, {"thread": thread_id, "names": gone}).all()
        _doom(connection, project_id, replaced)
    for file in changed:
        values = {"name": file.name, "object_id": file.object_id, "bytes": file.bytes, "sha256": file.sha256}
        connection.execute(_INSERT, {"thread_id": thread_id, "project_id": project_id, **values})


def remove_all(connection: Connection, project_id: str, thread_id: str) -> None:
    """Forget the files of a deleted thread, and let their bytes be deleted."""
    _doom(connection, project_id, connection.scalars(_REMOVE_ALL, {"thread": thread_id}).all())


def known(connection: Connection, object_ids: Collection[str]) -> set[str]:
    """Those of `object_ids` that a thread of any project has."""
    return set(connection.scalars(_KNOWN, {"ids": list(object_ids)})) if object_ids else set()


def _doom(connection: Connection, project_id: str, object_ids: Sequence[str]) -> None:
    doomed_objects.add(connection, project_id, [object_key(KeyPrefix.SANDBOX_FILE, each) for each in object_ids])
