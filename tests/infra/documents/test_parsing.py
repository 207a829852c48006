import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from infra.documents import confined_child, parsing, readers
from infra.documents.errors import DocumentTooLarge, DocumentUnreadable, InvalidFile, NoTextFound, UnsupportedFile
from infra.documents.limits import MIB, Limits
from infra.documents.parsing import parse
from models.documents import FileErrorCode, Page
from tests.infra.documents import files
from tests.infra.documents.files import stream

JAPANESE = "これは日本語で書かれた文書です。休暇は年に二十五日あります。申請は上司に提出してください。\n" * 20
CZECH = "Dovolená činí dvacet pět dní. Žádost se podává nadřízenému, který ji schválí nejpozději do týdne.\n"
RUSSIAN = "Отпуск составляет двадцать пять дней в году и оформляется заявлением на имя начальника.\n" * 3
FRENCH = "Le congé annuel est de vingt-cinq journées; l'été dernier, la fenêtre était fermée.\n"


async def read(content: bytes, filename: str, limits: Limits = parsing.DEFAULT_LIMITS) -> list[Page]:
    return list((await parse(stream(content), filename, limits)).pages)


async def text_of(content: bytes, filename: str) -> str:
    return "".join(page.text for page in await read(content, filename))


def read_here(folder: Path, content: bytes, filename: str) -> str:
    """The text, read without the child process, whose start takes longer than most files."""
    path = folder / "document"
    path.write_bytes(content)
    return "".join(page.text for page in readers.read(path, filename, parsing.DEFAULT_LIMITS))


async def test_pages_of_a_pdf_are_numbered() -> None:
    pages = await read(files.pdf("First page.", "Second page."), "report.pdf")

    assert [(page.number, page.text.strip()) for page in pages] == [(1, "First page."), (2, "Second page.")]


async def test_pdf_without_an_extension_is_known_by_its_beginning() -> None:
    assert "First page." in await text_of(files.pdf("First page."), "upload")


async def test_slides_are_pages_with_their_notes() -> None:
    pages = await read(files.slides("Goals", "Numbers", notes="Say it slowly."), "talk.pptx")

    assert pages == [Page(1, "Goals\nSay it slowly."), Page(2, "Numbers\nSay it slowly.")]


async def test_word_document_has_its_paragraphs_and_tables_in_order() -> None:
    content = files.word("Leave", "25 days.", table=[["Part", "Price"], ["AX-7", "12"]])

    assert await read(content, "Handbook.DOCX") == [Page(None, "Leave\n25 days.\nPart\tPrice\nAX-7\t12")]


async def test_html_is_read_without_scripts_and_with_its_lines() -> None:
    html = b"<title>Leave</title><script>alert(1)</script><p>25 <b>days</b>\n a year.</p><style>p{}</style><p>Ask.</p>"

    assert await text_of(html, "page.html") == "Leave\n25 days a year.\nAsk."


@pytest.mark.parametrize("filename", ["a.md", "a.txt", "a.csv", "a.json", "a.php", "a.ts", "a.tex", "LICENSE", "a.log"])
def test_text_of_any_name_is_read_as_it_is(tmp_path: Path, filename: str) -> None:
    content = '<?php echo "Größe"; // {"a": [1]},\r\n'

    assert read_here(tmp_path, content.encode(), filename) == '<?php echo "Größe"; // {"a": [1]},\n'


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8-sig", "Größe"),
        ("utf-16", "Größe"),
        ("utf-16-le", "Größe of it"),
        ("utf-16-be", "Größe of it"),
        ("utf-16-le", "Отпуск составляет двадцать пять дней в году.\n"),
        ("utf-32", "Größe"),
        ("cp1252", FRENCH),
        ("cp1250", CZECH),
        ("koi8-r", RUSSIAN),
        ("shift_jis", JAPANESE),
    ],
)
def test_text_of_any_encoding_is_decoded(tmp_path: Path, encoding: str, text: str) -> None:
    assert read_here(tmp_path, text.encode(encoding), "a.txt") == text


async def test_text_of_the_child_is_decoded() -> None:
    assert await text_of(JAPANESE.encode("shift_jis"), "a.txt") == JAPANESE


@pytest.mark.parametrize("filename", ["slides.ppt", "sheet.xlsx", "book.epub"])
async def test_formats_that_are_not_read_are_unsupported(filename: str) -> None:
    with pytest.raises(UnsupportedFile, match=r"extension \.\w+ are not supported") as raised:
        await read(b"\xd0\xcf\x11\xe0" + bytes(100), filename)

    assert raised.value.code is FileErrorCode.UNSUPPORTED_FILE


@pytest.mark.parametrize("content", [bytes(range(256)) * 10, b"\x7fELF\1\0\0\0" + bytes(100), b"\1\2\3\4\5\6" * 50])
def test_binary_files_are_unsupported(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnsupportedFile, match="neither text nor a document"):
        read_here(tmp_path, content, "a.bin")


@pytest.mark.parametrize(
    ("content", "filename"),
    [(b"", "a.txt"), (b" \n\t", "a.md"), (files.pdf("", ""), "scan.pdf"), (files.word(""), "a.docx")],
    ids=["empty", "blank", "pdf", "docx"],
)
async def test_files_without_a_character_have_no_text(content: bytes, filename: str) -> None:
    with pytest.raises(NoTextFound, match="no text found") as raised:
        await read(content, filename)

    assert raised.value.code is FileErrorCode.INVALID_FILE


@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (b"not a pdf", "a.pdf"),
        (files.pdf("First page.")[:60], "truncated.pdf"),
        (b"not a zip", "a.docx"),
        (files.word("Leave")[:-100], "truncated.docx"),
        (files.archive({"readme.txt": b"hello"}), "other.docx"),
        (files.slides("Goals"), "slides.docx"),
        (files.word_with_body("<w:document"), "broken.docx"),
        (files.billion_laughs(), "laughs.docx"),
    ],
    # The contents have the time in them, and are no names that two processes agree on.
    ids=["no-pdf", "cut-pdf", "no-docx", "cut-docx", "other-zip", "slides", "broken-xml", "billion-laughs"],
)
async def test_damaged_files_are_invalid(content: bytes, filename: str) -> None:
    with pytest.raises(InvalidFile, match="damaged"):
        await read(content, filename)


async def test_encrypted_pdf_is_invalid_and_says_why() -> None:
    with pytest.raises(InvalidFile, match="encrypted with a password"):
        await read(files.encrypted_pdf(), "secret.pdf")


async def test_an_external_entity_reads_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the-secret")
    namespace = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = (
        f'<!DOCTYPE w:document [<!ENTITY x SYSTEM "file://{secret}">]><w:document xmlns:w="{namespace}"><w:body>'
        "<w:p><w:r><w:t>Before &x; after</w:t></w:r></w:p></w:body></w:document>"
    )

    text = await text_of(files.word_with_body(body), "a.docx")

    assert "Before" in text
    assert "the-secret" not in text


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"word/document.xml": bytes(101 * MIB)}, "unpacks to more than 100 MiB"),
        ({"word/document.xml": bytes(20 * MIB)}, "unpacks to more than 200 times its size"),
        ({f"word/{number}": b"" for number in range(10_001)}, "more than 10000 parts"),
    ],
)
async def test_zip_bombs_are_refused_before_they_are_opened(parts: dict[str, bytes], reason: str) -> None:
    with pytest.raises(DocumentTooLarge, match=reason) as raised:
        await read(files.archive(parts), "bomb.docx")

    assert raised.value.code is FileErrorCode.INVALID_FILE


async def test_too_much_memory_is_too_large() -> None:
    limits = replace(parsing.DEFAULT_LIMITS, memory_bytes=256 * MIB)

    with pytest.raises(DocumentTooLarge, match="too much memory"):
        await read(b"word " * (40 * MIB), "a.txt", limits)


async def test_too_much_processor_time_is_too_large() -> None:
    content = files.word(*(f"Paragraph {number}" for number in range(3000)))
    limits = replace(parsing.DEFAULT_LIMITS, cpu_seconds=0)

    with pytest.raises(DocumentTooLarge, match="too large"):
        await read(content, "a.docx", limits)


async def test_too_much_time_is_too_large_and_leaves_no_process() -> None:
    limits = replace(parsing.DEFAULT_LIMITS, wall_seconds=0.01)

    with pytest.raises(DocumentTooLarge, match="too long to read"):
        await read(b"hello", "a.txt", limits)

    assert _readers() == []


async def test_too_much_text_is_too_large() -> None:
    limits = replace(parsing.DEFAULT_LIMITS, output_bytes=MIB)

    with pytest.raises(DocumentTooLarge, match="more than 1 MiB of text"):
        await read(b"word " * MIB, "a.txt", limits)


async def test_cancelling_kills_the_reader() -> None:
    content = files.word(*(f"Paragraph {number}" for number in range(5000)))
    reading = asyncio.create_task(read(content, "a.docx"))
    while not _readers():
        await asyncio.sleep(0.005)

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert _readers() == []


@pytest.mark.parametrize("death", [signal.SIGSEGV, signal.SIGABRT])
async def test_a_reader_that_crashes_leaves_an_invalid_file(
    death: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined_child, "BOOT", f"import os; os.kill(os.getpid(), {int(death)})")

    with pytest.raises(InvalidFile, match="damaged"):
        await read(b"hello", "a.txt")


@pytest.mark.parametrize("answer", ["", "[", '{"pages": 7}', '{"pages": [["x", 1]]}', '{"error": ["SystemExit", "a"]}'])
async def test_a_reader_that_was_taken_over_can_say_nothing_else(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined_child, "BOOT", f"print({answer!r})")

    with pytest.raises(InvalidFile):
        await read(b"hello", "a.txt")


async def test_the_reader_has_no_environment_and_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    # What the reader itself would see, once it has confined itself.
    monkeypatch.setattr(
        confined_child,
        "BOOT",
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import json, os, resource\n"
        "from infra.documents import confinement, limits\n"
        "confinement.confine(limits.Limits(**json.loads(sys.argv[4])))\n"
        "facts = [dict(os.environ), os.getcwd(), [resource.getrlimit(kind)[0] for kind in "
        "(resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)]]\n"
        'print(json.dumps({"pages": [[None, json.dumps(facts)]]}))',
    )

    (page,) = await read(b"hello", "a.txt")

    assert "sk-secret" not in page.text
    assert "OPENAI" not in page.text
    assert "holdfast-document-" in page.text
    assert "[1073741824, 60, 0, 64]" in page.text


async def test_nothing_is_read_of_a_source_that_fails() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"hello"
        raise ConnectionError("the store is gone")

    with pytest.raises(ConnectionError):
        await parse(broken(), "a.txt")


def test_every_error_has_a_code_of_the_contract() -> None:
    def all_of(kind: type[DocumentUnreadable]) -> list[type[DocumentUnreadable]]:
        return [kind, *(each for child in kind.__subclasses__() for each in all_of(child))]

    assert {kind.code for kind in all_of(DocumentUnreadable)} <= set(FileErrorCode)


def _readers() -> list[int]:
    mine = psutil.Process(os.getpid())
    return [child.pid for child in mine.children(recursive=True) if "confined_reader" in " ".join(child.cmdline())]


def test_child_of_a_text_file_starts_without_large_libraries() -> None:
    """Each file has a child of its own: with pydantic its start would cost twice as much."""
    program = f"import sys, {parsing.CHILD}; print({{'pydantic', 'pypdfium2', 'asyncio'}} & {{*sys.modules}})"

    started = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert started.stdout == "set()\n"
