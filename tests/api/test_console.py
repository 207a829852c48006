"""The console's files: served at `/` with a strict policy, vendored unmodified, and known by their hashes."""

import json
import re

import httpx
import pytest

from api.routes.console import FOLDER
from tests.api.test_openapi import ONE_DOCUMENT
from tests.console.vendor import HASHES, PACKAGES, VENDOR, sha256_of

pytestmark = pytest.mark.any_database

MODULES = [file for file in FOLDER.rglob("*.js") if VENDOR not in file.parents]
PAGE = (FOLDER / "index.html").read_text()


async def test_the_page_is_served_with_a_strict_policy(http: httpx.AsyncClient) -> None:
    answer = await http.get("/")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert re.fullmatch(r"'self' 'sha256-[A-Za-z0-9+/]{43}='", policy["script-src"])
    assert policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_each_module_and_style_is_served_with_its_type(http: httpx.AsyncClient) -> None:
    for name in ("main.js", "vendor/preact/dist/preact.mjs", "styles/page.css", "icon.svg"):
        answer = await http.get(f"/console/{name}")

        assert answer.status_code == 200
        assert answer.content == (FOLDER / name).read_bytes()
        expected = {".css": "text/css", ".svg": "image/svg+xml"}.get("." + name.rpartition(".")[2], "javascript")
        assert expected in answer.headers["content-type"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_file_that_did_not_change_is_not_sent_again(http: httpx.AsyncClient) -> None:
    etag = (await http.get("/console/main.js")).headers["etag"]

    again = await http.get("/console/main.js", headers={"If-None-Match": etag})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["nothing.js", "vendor", "", "..%2fpyproject.toml", "..%2f..%2fetc%2fpasswd", "%2fetc"]
)
async def test_other_paths_are_unknown(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(f"/console/{path}")

    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"


@ONE_DOCUMENT
async def test_the_page_is_no_operation_of_the_api(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]

    assert not [path for path in paths if path == "/" or path.startswith("/console")]


def test_vendored_files_are_those_of_the_packages() -> None:
    described = json.loads(HASHES.read_text())
    hashes = {VENDOR / name / path: found for name, each in described.items() for path, found in each["sha256"].items()}

    assert {path: sha256_of(path) for path in VENDOR.rglob("*") if path.is_file() and path != HASHES} == hashes
    assert {name: (each["version"], each["licence"], each["integrity"]) for name, each in described.items()} == {
        each.name: (each.version, each.licence, each.integrity) for each in PACKAGES
    }
    assert all((VENDOR / each.name / "LICENSE").is_file() for each in PACKAGES)


def test_modules_import_files_that_are_there() -> None:
    [found] = re.findall(r'<script type="importmap">(.*?)</script>', PAGE, re.DOTALL)
    named = {name: (FOLDER.parent / path).resolve() for name, path in json.loads(found)["imports"].items()}
    everything = [*MODULES, *VENDOR.rglob("*.js"), *VENDOR.rglob("*.mjs")]

    for module in everything:
        for target in re.findall(r"""(?:from|import)\s*["']([^"']+)["']""", module.read_text()):
            place = named[target] if target in named else (module.parent / target).resolve()
            assert place.is_file(), f"{module.name} imports {target}"


def test_all_modules_are_fetched_at_once() -> None:
    modules = {file for file in FOLDER.rglob("*") if file.suffix in {".js", ".mjs"}}

    preloaded = re.findall(r'<link rel="modulepreload" href="./(\S+)">', PAGE)

    assert sorted(preloaded) == sorted(str(file.relative_to(FOLDER.parent)) for file in modules)


def test_the_page_and_its_modules_name_no_other_place() -> None:
    for file in [FOLDER / "index.html", *MODULES, *FOLDER.rglob("styles/*.css")]:
        assert re.findall(r"""["'(](?:https?:)?//[\w.-]+""", file.read_text()) == [], file


def test_modules_stay_small_and_have_no_inline_style_or_handler() -> None:
    for module in MODULES:
        text = module.read_text()
        assert len(text.splitlines()) <= 130, module
        assert not re.search(r"\bstyle=|dangerouslySetInnerHTML|innerHTML|\beval\(|new Function", text), module
