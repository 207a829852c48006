"""Cells of code that run in a sandbox, what they put out, and the files of the session that they run in."""

from dataclasses import dataclass
from enum import StrEnum

DATA_FOLDER = "/mnt/data"
"""Where the code of a session sees its files."""


MAX_FOLDERS, MAX_NAME_BYTES = 32, 255


def is_file_name(name: str) -> bool:
    """Whether a file of a session may have this name: a path below its folder, that can be shown as it is."""
    parts = name.split("/")
    return (
        name.isprintable()
        and len(parts) <= MAX_FOLDERS
        and all(part not in {"", ".", ".."} and len(part.encode()) <= MAX_NAME_BYTES for part in parts)
    )


@dataclass(frozen=True, slots=True)
class SandboxSession:
    """A Python that keeps its variables from cell to cell, with a folder of its own.

    `id` is the same for all sessions of one thread; `generation` is larger for each newer one. `place` is the address
    of the sandbox process that has it, as `CodeSandbox.place` returned it.
    """

    id: str
    generation: int
    place: str


@dataclass(frozen=True, slots=True)
class SandboxFile:
    """A regular file in the folder of a session. `name` is its path there, as in `out/plot.csv`; `size` is in bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """Something in the folder that is not collected: a link, a device, a name that is no UTF-8, a file too many."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """`is_new`: its Python has no variables now. `cells` are the calls that it knows, waiting, running or ended."""

    is_new: bool
    files: tuple[SandboxFile, ...] = ()
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CellText:
    """A piece of what the code wrote to stdout and stderr, in the order in which it came."""

    text: str


@dataclass(frozen=True, slots=True)
class CellImage:
    """A PNG that the code showed: a figure of matplotlib, or a last expression of Pillow.

    `number` counts the images of a cell from 0; `CodeSandbox.image` has the bytes.
    """

    number: int
    size: int


class CellEnding(StrEnum):
    COMPLETED = "completed"
    RAISED = "raised"
    """An exception ended the code; its traceback is in the output."""
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"
    """By `CodeSandbox.interrupt`."""
    KILLED = "killed"
    """The code went beyond a limit (`reason` says which), or its process ended itself."""


class SessionFate(StrEnum):
    """What the cell left of its session."""

    KEPT = "kept"
    RESTARTED = "restarted"
    """Variables are gone, files are kept. The session takes further cells."""
    ENDED = "ended"
    """Variables and files are gone: later calls raise `SessionGone`."""


@dataclass(frozen=True, slots=True)
class CellDone:
    """The last output of a cell.

    `reason` is a sentence for the model where the ending is `timed_out`, `interrupted` or `killed`, otherwise empty.
    `changed` are the files that are new or have another content than before the cell, `removed` those that are gone;
    those of earlier cells that were not acknowledged are among them.
    """

    ending: CellEnding
    fate: SessionFate
    seconds: float
    reason: str = ""
    changed: tuple[SandboxFile, ...] = ()
    removed: tuple[str, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()
    left_out_bytes: int = 0
    """Output beyond the bound. A `CellText` says so in its place."""


CellOutput = CellText | CellImage | CellDone


class PackageState(StrEnum):
    READY = "ready"
    PREPARING = "preparing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SandboxHealth:
    """`isolation` names what keeps the code in its box; None where none can be had, for the reason in `refusal`.

    `packages_note` says what the installation of packages does or why it failed. `sessions` are those that are open.
    """

    isolation: str | None
    refusal: str | None
    packages: PackageState
    packages_note: str = ""
    sessions: int = 0
    max_sessions: int = 0
