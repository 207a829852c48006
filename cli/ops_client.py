"""A client of the API's `/ops` routes, for `holdfast runs` and `holdfast files` on any machine.

The objects of its answers are those of `models.ops_runs` and `models.ops_files`, as type checkers see them: to import
these models takes longer than a request.
"""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast
from urllib.parse import quote

from cli.json_http import JsonHttp, Unreachable, UnusableHeader
from cli.known_values import PAGE_SIZE
from cli.own_server import OwnServer
from infra.errors import StartFailed

if TYPE_CHECKING:
    from models.ops_files import OpsFile
    from models.ops_runs import OpsRun, OpsRunTimeline

RUNS, FILES = "/ops/runs", "/ops/files"

ERROR_FIELDS = {"message", "type", "param", "code"}
TIMEOUT = timedelta(seconds=30)
NAME_IT = "Start it, or name it with --url or HOLDFAST_URL."
NAME_KEY = "Name a key with --api-key or HOLDFAST_API_KEY."


class ApiUnusable(StartFailed):
    """The API does not answer, refuses the key, or is another program."""


class Refused(StartFailed):
    """The API refuses the action for this run or file."""


class Answer:
    """An object of an answer, with its fields as attributes."""

    def __init__(self, fields: dict[str, Any]) -> None:
        vars(self).update(fields)

    def __getattr__(self, name: str) -> NoReturn:
        raise ApiUnusable(f"What answers is no Holdfast of this version: its answer has no '{name}'. {NAME_IT}")


def json_of(answer: object) -> str:
    return json.dumps(answer, default=vars, ensure_ascii=False, separators=(",", ":"))


class OpsClient:
    """Every method raises `ApiUnusable`, and `Refused` with the server's reason."""

    def __init__(self, url: str, api_key: str | None) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")
        # Files of secrets end with a line end.
        key = (api_key or "").strip()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._http = JsonHttp(self._url, headers, TIMEOUT.total_seconds())
        except UnusableHeader:
            raise ApiUnusable(f"The API key has characters that no header can have. {NAME_KEY}") from None

    @classmethod
    def of(cls, url: str | None, api_key: str | None) -> Self:
        """The API at `url` or HOLDFAST_URL, otherwise that of the settings here, whose key is sent to no other."""
        own = OwnServer.of_environment()
        url = url or os.environ.get("HOLDFAST_URL")
        api_key = api_key or os.environ.get("HOLDFAST_API_KEY")
        if url is None and api_key is None:
            api_key = _key_of(own)
        return cls(url or own.url, api_key)

    def runs(self, filters: dict[str, Any], limit: int | None, order: str) -> "Iterator[OpsRun]":
        """The matching runs, page by page; all of them without a `limit`."""
        return cast("Iterator[OpsRun]", self._listed(RUNS, filters, limit, order))

    def timeline(self, run_id: str) -> "OpsRunTimeline":
        return cast("OpsRunTimeline", self._ask("GET", _path(RUNS, run_id)))

    def retry(self, run_id: str, by: str) -> "OpsRun":
        return cast("OpsRun", self._ask("POST", f"{_path(RUNS, run_id)}/retry", body={"by": by}))

    def cancel(self, run_id: str) -> "OpsRun":
        return cast("OpsRun", self._ask("POST", f"{_path(RUNS, run_id)}/cancel"))

    def files(self, filters: dict[str, Any], limit: int | None, order: str) -> "Iterator[OpsFile]":
        """The matching files of vector stores, page by page; all of them without a `limit`."""
        return cast("Iterator[OpsFile]", self._listed(FILES, filters, limit, order))

    def file(self, name: str) -> "OpsFile":
        return cast("OpsFile", self._ask("GET", _file_path(name)))

    def retry_file(self, name: str, by: str) -> "OpsFile":
        return cast("OpsFile", self._ask("POST", f"{_file_path(name)}/retry", body={"by": by}))

    def _listed(self, path: str, filters: dict[str, Any], limit: int | None, order: str) -> Iterator[Any]:
        after, left = None, limit
        while left is None or left > 0:
            size = PAGE_SIZE if left is None else min(left, PAGE_SIZE)
            asked = {**filters, "limit": size, "order": order, "after": after}
            query = {name: value for name, value in asked.items() if value is not None}
            page = self._ask("GET", path, query)
            yield from page.data
            if not page.has_more:
                return
            after, left = page.last_id, None if left is None else left - len(page.data)

    def _ask(
        self, method: str, path: str, query: dict[str, Any] | None = None, body: dict[str, Any] | None = None
    ) -> Any:
        try:
            status, content = self._http.ask(method, path, query or {}, body)
        except Unreachable as error:
            reason = str(error).rstrip(".")
            raise ApiUnusable(f"Holdfast at {self._url} does not answer: {reason}. {NAME_IT}") from error
        answer = _read(content)
        if status == HTTPStatus.OK and "object" in vars(answer):
            return answer
        refusal = vars(answer).get("error")
        if status == HTTPStatus.OK or not isinstance(refusal, Answer) or vars(refusal).keys() != ERROR_FIELDS:
            raise ApiUnusable(f"What answers at {self._url} is no Holdfast. {NAME_IT}")
        if status == HTTPStatus.UNAUTHORIZED:
            raise ApiUnusable(f"{refusal.message} {NAME_KEY}")
        raise Refused(refusal.message)


def _read(content: bytes) -> Answer:
    try:
        answer = json.loads(content, object_hook=Answer)
    except ValueError:
        answer = None
    return answer if isinstance(answer, Answer) else Answer({})


def _key_of(server: OwnServer) -> str | None:
    if server.operator_keys:
        return server.operator_keys[0]
    if len(server.api_keys) > 1:
        raise ApiUnusable("HOLDFAST_API_KEYS has several keys: name one with --api-key or HOLDFAST_API_KEY.")
    return next(iter(server.api_keys), None)


def _path(*parts: str) -> str:
    # Quoted: an invalid id must not lead to another route.
    first, *others = parts
    return "/".join([first, *(quote(part, safe="") for part in others)])


def _file_path(name: str) -> str:
    if "/" not in name:
        raise Refused(f"'{name}' names no file of a vector store, as STORE/FILE does.")
    store_id, _, file_id = name.partition("/")
    return _path(FILES, store_id, file_id)
