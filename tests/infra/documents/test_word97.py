"""Binary Word documents: one that Word saved (from the tests of olefile, BSD licence), and what is made of it here."""

from pathlib import Path

import pytest

from infra.documents import word97
from infra.documents.errors import InvalidFile, UnsupportedFile
from infra.documents.limits import Limits
from infra.documents.parsing import parse
from models.documents import FileErrorCode
from tests.infra.documents.files import stream

SAVED = (Path(__file__).parent / "word97.doc").read_bytes()
SAVED_TEXT = "Test OLE file, saved as Word 97-2003 Document."
FIB = 512
WORD_STREAM_BYTES = 4096
# In the piece table: where the text is, and that a character is a byte there.
PIECE = bytes.fromhex("00100040")


async def text_of(content: bytes) -> str:
    [page] = (await parse(stream(content), "Handbook.DOC")).pages
    assert page.number is None
    return page.text


def _with_wide_text(text: str) -> bytes:
    """With its only piece in UTF-16, as Word saves what has more than Latin letters."""
    content = bytearray(SAVED)
    wide = text.ljust(len(SAVED_TEXT)).encode("utf-16-le") + "\r".encode("utf-16-le")
    place = WORD_STREAM_BYTES - len(wide) - 16
    content[FIB + place : FIB + place + len(wide)] = wide
    at = content.index(PIECE)
    content[at : at + 4] = place.to_bytes(4, "little")
    return bytes(content)


async def test_document_of_word_97_is_read() -> None:
    assert (await text_of(SAVED)).strip() == SAVED_TEXT


async def test_letters_of_any_script_are_read() -> None:
    text = "Grüße, Привет, 東京, 25 Tage Urlaub."

    assert (await text_of(_with_wide_text(text))).strip() == text


async def test_encrypted_document_is_refused() -> None:
    content = bytearray(SAVED)
    content[FIB + 11] |= 1

    with pytest.raises(InvalidFile, match="encrypted with a password"):
        await text_of(bytes(content))


@pytest.mark.parametrize(
    "content", [SAVED[:3000], b"\xd0\xcf\x11\xe0" + bytes(100), b"{\\rtf1 not a .doc}", b""], ids=str
)
async def test_damaged_document_is_invalid(content: bytes) -> None:
    with pytest.raises(InvalidFile, match="damaged, or not of the format"):
        await text_of(content)


async def test_nothing_of_a_document_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would keep its text in a cache of the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    document = tmp_path / "document.doc"
    document.write_bytes(SAVED)

    [page] = word97.read_word97(document, Limits())

    assert page.text.strip() == SAVED_TEXT
    assert list(tmp_path.rglob("*")) == [document]


def test_without_the_extra_it_is_said_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word97, "READER", "a_module_that_is_not_there")

    with pytest.raises(UnsupportedFile, match=r"or ask its operator to install holdfast\[doc\]") as refused:
        next(word97.read_word97(tmp_path / "a.doc", Limits()))

    assert refused.value.code is FileErrorCode.UNSUPPORTED_FILE
