"""The wire between `HttpCodeSandbox` and the service, as docs/code-interpreter.md describes it."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from infra.sandbox.errors import (
    CellUnknown,
    SandboxError,
    SandboxFileMissing,
    SandboxFileRefused,
    SandboxRefused,
    SandboxUnavailable,
    SessionGone,
)
from models.code_cells import CellDone, CellImage, CellOutput, CellText, OpenedSession, SandboxHealth

KEEPALIVE_SECONDS = 5
MAX_CODE_LENGTH = 1 << 20


@dataclass(frozen=True, slots=True)
class TextLine:
    text: str
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class ImageLine:
    number: int
    size: int
    type: Literal["image"] = "image"


@dataclass(frozen=True, slots=True)
class DoneLine:
    done: CellDone
    type: Literal["done"] = "done"


Line = Annotated[TextLine | ImageLine | DoneLine, Field(discriminator="type")]


@dataclass(frozen=True, slots=True)
class CellRequest:
    code: Annotated[str, Field(max_length=MAX_CODE_LENGTH)]
    time_limit_seconds: Annotated[float, Field(gt=0)]


LINES: TypeAdapter[Any] = TypeAdapter(Line)
HEALTH: TypeAdapter[SandboxHealth] = TypeAdapter(SandboxHealth)
OPENED: TypeAdapter[OpenedSession] = TypeAdapter(OpenedSession)
REQUESTS: TypeAdapter[CellRequest] = TypeAdapter(CellRequest)

KINDS: dict[type[SandboxError], tuple[str, int]] = {
    SandboxUnavailable: ("unavailable", 503),
    SandboxRefused: ("refused", 409),
    SessionGone: ("session_gone", 410),
    CellUnknown: ("cell_unknown", 404),
    SandboxFileMissing: ("file_missing", 404),
    SandboxFileRefused: ("file_refused", 422),
}
ERRORS = {kind: error for error, (kind, _) in KINDS.items()}


def line_of(output: CellOutput) -> bytes:
    match output:
        case CellText(text):
            return LINES.dump_json(TextLine(text)) + b"\n"
        case CellImage(number, size):
            return LINES.dump_json(ImageLine(number, size)) + b"\n"
        case CellDone():
            return LINES.dump_json(DoneLine(output)) + b"\n"


def output_of(line: str) -> CellOutput:
    """Raises `pydantic.ValidationError`."""
    match LINES.validate_json(line):
        case TextLine(text):
            return CellText(text)
        case ImageLine(number, size):
            return CellImage(number, size)
        case DoneLine(done):
            return done
        case other:
            raise TypeError(other)
