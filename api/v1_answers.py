"""Answers for programs of the first beta, with the files that v1 showed and v2 keeps in vector stores."""

import json
from dataclasses import dataclass
from typing import Any

from fastapi import Response

from api.beta_v1_answers import store_ids, to_v1
from infra.database import assistant_files
from infra.database.engine import Database
from models.events import Event
from models.runs import RunStatus


@dataclass(frozen=True)
class V1Answers:
    database: Database
    project_id: str

    async def rewrite(self, response: Response) -> Response:
        """The same response with v1's body."""
        response.body = (await self._translated(bytes(response.body))).encode()
        response.headers["content-length"] = str(len(response.body))
        return response

    async def event(self, event: Event) -> Event:
        # v1 had no such status, and so no such event.
        incomplete, completed = f"thread.run.{RunStatus.INCOMPLETE}", f"thread.run.{RunStatus.COMPLETED}"
        name = completed if event.name == incomplete else event.name
        return Event(name, await self._translated(event.data))

    async def _translated(self, text: str | bytes) -> str:
        answer: dict[str, Any] = json.loads(text)
        stores = store_ids(answer)
        files = await self.database.read(assistant_files.of_stores, self.project_id, stores) if stores else {}
        return json.dumps(to_v1(answer, files), ensure_ascii=False)
