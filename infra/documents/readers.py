"""Reads each supported format, page by page. Runs in the confined child process only.

Every library is imported by its reader, so that a child loads no more than the one that it needs.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from infra.documents.archives import check_archive
from infra.documents.errors import InvalidFile, UnsupportedFile
from infra.documents.limits import Limits
from infra.documents.text import decode
from infra.documents.word97 import read_word97
from models.documents import Page

Reader = Callable[[Path, Limits], Iterator[Page]]

BINARY_EXTENSIONS = frozenset({".ppt", ".xls", ".xlsx", ".odt", ".odp", ".ods", ".rtf", ".epub", ".pages", ".key"})
HTML_EXTENSIONS = frozenset({".html", ".htm", ".xhtml"})
HIDDEN_TAGS = frozenset({"script", "style", "noscript", "template", "svg"})
INLINE_TAGS = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "del", "em", "font", "i", "ins", "kbd", "mark", "q", "s", "samp"}
    | {"small", "span", "strong", "sub", "sup", "time", "u", "var"}
)


def read(path: Path, filename: str, limits: Limits) -> Iterator[Page]:
    """The pages of a file, whose name says its format. Raises a `DocumentUnreadable`, and what its library raises."""
    return _reader(path, Path(filename).suffix.lower())(path, limits)


def _reader(path: Path, extension: str) -> Reader:
    match extension:
        case ".pdf":
            return _read_pdf
        case ".docx":
            return _read_docx
        case ".pptx":
            return _read_pptx
        case ".doc":
            return read_word97
        case _ if extension in HTML_EXTENSIONS:
            return _read_html
        case _ if extension in BINARY_EXTENSIONS:
            raise UnsupportedFile.with_extension(extension)
        case "" if _begins_with(path, b"%PDF-"):
            return _read_pdf
        case _:
            return _read_text


def _begins_with(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


def _read_text(path: Path, _: Limits) -> Iterator[Page]:
    yield Page(None, decode(path.read_bytes()))


def _read_html(path: Path, _: Limits) -> Iterator[Page]:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(decode(path.read_bytes()))
    tree.strip_tags(list(HIDDEN_TAGS))
    parts: list[str] = []
    for node in tree.root.traverse(include_text=True) if tree.root else ():
        if node.tag == "-text":
            parts.append(" ".join((node.text_content or "").split("\n")))
        elif node.tag not in INLINE_TAGS:
            parts.append("\n")
    lines = (" ".join(line.split()) for line in "".join(parts).split("\n"))
    yield Page(None, "\n".join(line for line in lines if line))


def _read_pdf(path: Path, _: Limits) -> Iterator[Page]:
    import pypdfium2
    from pypdfium2.raw import FPDF_ERR_PASSWORD

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise (InvalidFile.encrypted() if error.err_code == FPDF_ERR_PASSWORD else InvalidFile.damaged()) from error
    for number in range(len(document)):
        try:
            page = document[number]
            text_page = page.get_textpage()
            text = text_page.get_text_bounded()
        except pypdfium2.PdfiumError as error:
            raise InvalidFile.damaged() from error
        yield Page(number + 1, text.replace("\r\n", "\n").replace("\0", ""))
        text_page.close()
        page.close()


def _read_docx(path: Path, limits: Limits) -> Iterator[Page]:
    import docx

    _check_office(path, limits, "word/")
    document = _opened(docx.Document, path)
    yield Page(None, "\n".join(_blocks(document.iter_inner_content())))


def _blocks(content: Any) -> Iterator[str]:
    from docx.table import Table

    for block in content:
        if isinstance(block, Table):
            for row in block.rows:
                # A merged cell comes once for each that it spans.
                cells = {id(cell._tc): cell.text for cell in row.cells}
                yield "\t".join(cells.values())
        else:
            yield block.text


def _read_pptx(path: Path, limits: Limits) -> Iterator[Page]:
    import pptx

    _check_office(path, limits, "ppt/")
    presentation = _opened(pptx.Presentation, path)
    for number, slide in enumerate(presentation.slides, start=1):
        texts = list(_texts(slide.shapes))
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            texts.append(slide.notes_slide.notes_text_frame.text)
        # What python-pptx writes for a line break within a paragraph.
        yield Page(number, "\n".join(text for text in texts if text).replace("\v", "\n"))


def _texts(shapes: Any) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _texts(shape.shapes)
        elif shape.has_text_frame:
            yield shape.text_frame.text
        elif getattr(shape, "has_table", False):
            yield from ("\t".join(cell.text for cell in row.cells) for row in shape.table.rows)


def _check_office(path: Path, limits: Limits, folder: str) -> None:
    if not any(name.startswith(folder) for name in check_archive(path, limits)):
        raise InvalidFile.damaged()


def _opened(opening: Callable[[str], Any], path: Path) -> Any:
    """What is wrong with a package or its XML comes as the errors of four libraries."""
    from lxml.etree import LxmlError

    try:
        return opening(str(path))
    except (LxmlError, BadZipFile, KeyError, ValueError, AttributeError) as error:
        raise InvalidFile.damaged() from error
