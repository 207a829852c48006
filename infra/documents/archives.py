"""Looks at a zip archive before it is opened: what it would unpack to."""

import zipfile
from pathlib import Path

from infra.documents.errors import DocumentTooLarge, InvalidFile
from infra.documents.limits import MIB, Limits

RATIO_COUNTS_FROM_BYTES = 10 * MIB
ENCRYPTED = 0x1


def check_archive(path: Path, limits: Limits) -> list[str]:
    """The names in the archive. Raises `DocumentTooLarge`, `InvalidFile`.

    The sizes are those that the archive states; Python's zipfile reads no more of an entry than it states.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise InvalidFile.damaged() from error
    if len(entries) > limits.unpacked_entries:
        raise DocumentTooLarge.because(f"it has more than {limits.unpacked_entries} parts")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.unpacked_bytes:
        raise DocumentTooLarge.because(f"it unpacks to more than {limits.unpacked_bytes // MIB} MiB")
    if unpacked > RATIO_COUNTS_FROM_BYTES and unpacked > path.stat().st_size * limits.unpacked_ratio:
        raise DocumentTooLarge.because(f"it unpacks to more than {limits.unpacked_ratio} times its size")
    if any(entry.flag_bits & ENCRYPTED for entry in entries):
        raise InvalidFile.encrypted()
    return [entry.filename for entry in entries]
