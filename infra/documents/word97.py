"""Reads the binary `.doc` of Word 97 to 2003, where the extra `doc` is installed. In the child process only."""

import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from infra.documents.errors import InvalidFile, UnsupportedFile
from infra.documents.limits import Limits
from models.documents import Page

READER = "kreuzberg"
MIME_TYPE = "application/msword"
SECTOR_BYTES = 512
# Of [MS-DOC]'s FibBase: its mark, the versions since Word 97, and the flag of an encrypted document.
FIB_MARK = 0xA5EC
FIB_VERSIONS = range(0x00C0, 0x0113)
IS_ENCRYPTED = 0x0100


def read_word97(path: Path, _: Limits) -> Iterator[Page]:
    """Raises `UnsupportedFile` where the extra is not installed."""
    if find_spec(READER) is None:
        raise UnsupportedFile.without_extra(".doc", "doc")
    import kreuzberg
    from kreuzberg.exceptions import KreuzbergError

    content = path.read_bytes()
    if _is_encrypted(content):
        raise InvalidFile.encrypted()
    # Its cache would keep the text in the home folder.
    config = kreuzberg.ExtractionConfig(use_cache=False)
    try:
        text = kreuzberg.extract_bytes_sync(content, MIME_TYPE, config=config).content
    except KreuzbergError as error:
        raise InvalidFile.damaged() from error
    yield Page(None, text.replace("\r\n", "\n"))


def _is_encrypted(content: bytes) -> bool:
    """The reader does not look, and takes what is encrypted for text."""
    for sector in range(SECTOR_BYTES, len(content) - SECTOR_BYTES + 1, SECTOR_BYTES):
        mark, version, flags = struct.unpack_from("<HH6xH", content, sector)
        if mark == FIB_MARK and version in FIB_VERSIONS:
            return bool(flags & IS_ENCRYPTED)
    return False
