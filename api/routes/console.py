"""`/` and `/console/…`: the console, a page of static files that is an ordinary client of this API."""

import hashlib
import re
from base64 import b64encode
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parents[2] / "console"
PAGE = "index.html"
IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)

router = APIRouter(include_in_schema=False)
_files = StaticFiles(directory=FOLDER)


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    return await _answer(PAGE, request)


@router.api_route("/console/{path:path}", methods=["GET", "HEAD"])
async def file(path: str, request: Request) -> Response:
    return await _answer(path, request)


async def _answer(path: str, request: Request) -> Response:
    # Raises for a path that is no file, or that leads out of the folder.
    response = await _files.get_response(path, request.scope)
    response.headers.update(_headers())
    return response


@cache
def _headers() -> dict[str, str]:
    return {
        "content-security-policy": _content_security_policy((FOLDER / PAGE).read_text()),
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
