"""Files of every format that tests read, made by the libraries that write them."""

import io
import zipfile
from collections.abc import AsyncIterator

import docx
import pptx

XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


async def stream(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


def pdf(*pages: str, extra: bytes = b"") -> bytes:
    """A PDF written by hand, one line of text a page. `extra` goes into its trailer."""
    fonts = b"<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
    kids = b" ".join(b"%d 0 R" % (3 + 2 * index) for index in range(len(pages)))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages), kids)]
    for index, text in enumerate(pages):
        stream = b"BT /F1 12 Tf 72 720 Td (%s) Tj ET" % text.encode("latin-1") if text else b""
        contents = b"%d 0 R" % (4 + 2 * index)
        objects.append(b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources%s/Contents %s>>" % (fonts, contents))
        objects.append(b"<</Length %d>>\nstream\n%s\nendstream" % (len(stream), stream))
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, extra, xref)
    return bytes(out)


def encrypted_pdf() -> bytes:
    """One whose password nobody knows: its keys are nonsense."""
    keys = b"/O<%s>/U<%s>" % (b"41" * 32, b"42" * 32)
    return pdf("Secret.", extra=b"/Encrypt<</Filter/Standard/V 1/R 2%s/P -4>>/ID[<00><00>]" % keys)


def word(*paragraphs: str, table: list[list[str]] | None = None) -> bytes:
    document = docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    if table:
        made = document.add_table(len(table), len(table[0]))
        for row, texts in zip(made.rows, table, strict=True):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text
    return _saved(document)


def slides(*texts: str, notes: str = "") -> bytes:
    presentation = pptx.Presentation()
    for text in texts:
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        assert slide.shapes.title is not None
        slide.shapes.title.text = text
        if notes and slide.notes_slide.notes_text_frame:
            slide.notes_slide.notes_text_frame.text = notes
    return _saved(presentation)


def word_with_body(body: str) -> bytes:
    """A Word document whose main part is `body`, whatever that is."""
    original = zipfile.ZipFile(io.BytesIO(word("x")))
    return archive({name: original.read(name) for name in original.namelist()} | {"word/document.xml": body.encode()})


def archive(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return out.getvalue()


def billion_laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    namespace = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return word_with_body(
        f'<!DOCTYPE w:document [<!ENTITY l0 "lol">{entities}]><w:document xmlns:w="{namespace}"><w:body><w:p><w:r>'
        "<w:t>&l9;</w:t></w:r></w:p></w:body></w:document>"
    )


def _saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]
    return out.getvalue()
