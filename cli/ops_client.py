"""A client of the API's `/ops` routes, for `holdfast runs` and `holdfast files` on any machine."""

import os
from collections.abc import Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from cli.api_url import api_url
from infra.errors import StartFailed
from infra.settings import Settings
from models.errors import ErrorEnvelope
from models.ids import StoreFileName
from models.lists import MAX_LIMIT, Page
from models.ops_files import OpsFile
from models.ops_runs import OpsRun, OpsRunTimeline
from models.wire import WireObject

Answer = TypeVar("Answer", bound=WireObject)
Item = TypeVar("Item", OpsRun, OpsFile)

RUNS, FILES = "/ops/runs", "/ops/files"

TIMEOUT = timedelta(seconds=30)
NAME_IT = "Start it, or name it with --url or HOLDFAST_URL."


class ApiUnusable(StartFailed):
    """The API does not answer, refuses the key, or is another program."""


class Refused(StartFailed):
    """The API refuses the action for this run or file."""


class OpsClient:
    """Every method raises `ApiUnusable`, and `Refused` with the server's reason."""

    def __init__(self, url: str, api_key: str | None) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(headers=headers, timeout=TIMEOUT.total_seconds())

    @classmethod
    def of(cls, settings: Settings, url: str | None, api_key: str | None) -> Self:
        """The API at `url` or HOLDFAST_URL, otherwise that of these settings, whose key is sent to no other."""
        url = url or os.environ.get("HOLDFAST_URL")
        api_key = api_key or os.environ.get("HOLDFAST_API_KEY")
        if url is None and api_key is None:
            api_key = _key_of(settings)
        return cls(url or api_url(settings), api_key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def runs(self, filters: dict[str, Any], limit: int | None, order: str) -> Iterator[OpsRun]:
        """The matching runs, page by page; all of them without a `limit`."""
        return self._listed(Page[OpsRun], RUNS, filters, limit, order)

    def timeline(self, run_id: str) -> OpsRunTimeline:
        return self._ask(OpsRunTimeline, "GET", _path(RUNS, run_id))

    def retry(self, run_id: str, by: str) -> OpsRun:
        return self._ask(OpsRun, "POST", f"{_path(RUNS, run_id)}/retry", json={"by": by})

    def cancel(self, run_id: str) -> OpsRun:
        return self._ask(OpsRun, "POST", f"{_path(RUNS, run_id)}/cancel")

    def files(self, filters: dict[str, Any], limit: int | None, order: str) -> Iterator[OpsFile]:
        """The matching files of vector stores, page by page; all of them without a `limit`."""
        return self._listed(Page[OpsFile], FILES, filters, limit, order)

    def file(self, name: str) -> OpsFile:
        return self._ask(OpsFile, "GET", _file_path(name))

    def retry_file(self, name: str, by: str) -> OpsFile:
        return self._ask(OpsFile, "POST", f"{_file_path(name)}/retry", json={"by": by})

    def _listed(
        self, kind: type[Page[Item]], path: str, filters: dict[str, Any], limit: int | None, order: str
    ) -> Iterator[Item]:
        after, left = None, limit
        while left is None or left > 0:
            size = MAX_LIMIT if left is None else min(left, MAX_LIMIT)
            asked = {**filters, "limit": size, "order": order, "after": after}
            query = {name: value for name, value in asked.items() if value is not None}
            page = self._ask(kind, "GET", path, params=query)
            yield from page.data
            if not page.has_more:
                return
            after, left = page.last_id, None if left is None else left - len(page.data)

    def _ask(self, kind: type[Answer], method: str, path: str, **options: Any) -> Answer:
        try:
            response = self._http.request(method, f"{self._url}{path}", **options)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise ApiUnusable(f"Holdfast at {self._url} does not answer: {reason}. {NAME_IT}") from error
        try:
            if response.is_success:
                return kind.model_validate_json(response.content)
            reason = ErrorEnvelope.model_validate_json(response.content).error.message
        except ValidationError as error:
            raise ApiUnusable(f"What answers at {self._url} is no Holdfast. {NAME_IT}") from error
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise ApiUnusable(f"{reason} Name a key with --api-key or HOLDFAST_API_KEY.")
        raise Refused(reason)


def _key_of(settings: Settings) -> str | None:
    if settings.operator_keys:
        return settings.operator_keys[0]
    if len(settings.api_keys) > 1:
        raise ApiUnusable("HOLDFAST_API_KEYS has several keys: name one with --api-key or HOLDFAST_API_KEY.")
    return next(iter(settings.api_keys), None)


def _path(*parts: str) -> str:
    # Quoted: an invalid id must not lead to another route.
    first, *others = parts
    return "/".join([first, *(quote(part, safe="") for part in others)])


def _file_path(name: str) -> str:
    if "/" not in name:
        raise Refused(f"'{name}' names no file of a vector store, as STORE/FILE does.")
    file = StoreFileName.parse(name)
    return _path(FILES, file.store_id, file.file_id)
