"""`/` and `/console/…`: the console, a page of static files that is an ordinary client of this API."""

import hashlib
import mimetypes
import re
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from models.errors import UnknownUrl

FOLDER = Path(__file__).parents[2] / "console"
PAGE = "index.html"
IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class _File:
    content: bytes
    headers: dict[str, str]


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    return _answer(PAGE, request)


@router.api_route("/console/{path:path}", methods=["GET", "HEAD"])
async def file(path: str, request: Request) -> Response:
    return _answer(path, request)


def _answer(path: str, request: Request) -> Response:
    found = _files().get(path)
    if found is None:
        raise UnknownUrl(request.method, request.url.path)
    if request.headers.get("if-none-match") == found.headers["etag"]:
        return Response(status_code=304, headers=found.headers)
    return Response(found.content, headers=found.headers)


@cache
def _files() -> dict[str, _File]:
    """By their paths. They are 300 kB, and fifty are asked for at once: from memory that takes no threads."""
    common = _headers((FOLDER / PAGE).read_text())
    return {
        path.relative_to(FOLDER).as_posix(): _File(path.read_bytes(), {**common, **_own_headers(path)})
        for path in FOLDER.rglob("*")
        if path.is_file()
    }


def _own_headers(path: Path) -> dict[str, str]:
    # Not as the machine's own table of types says: browsers run modules of this type alone.
    scripts = {".js": "text/javascript", ".mjs": "text/javascript"}
    kind = scripts.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    etag = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    return {"content-type": f"{kind}; charset=utf-8", "etag": f'"{etag}"'}


def _headers(page: str) -> dict[str, str]:
    return {
        "content-security-policy": _content_security_policy(page),
        # For browsers that do not know `frame-ancestors`.
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        # The files have no versions in their names: browsers ask each time, and are answered with a 304.
        "cache-control": "no-cache",
    }


def _content_security_policy(page: str) -> str:
    """Nothing from elsewhere, nothing inline but the import map, which must be, and no HTML that was not sanitised."""
    import_maps = [b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in IMPORT_MAP.findall(page)]
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(["script-src 'self'", *(f"'sha256-{each}'" for each in import_maps)]),
            "style-src 'self'",
            # Images of threads are fetched with the API key, and shown from memory.
            "img-src 'self' blob:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types dompurify",
        )
    )
