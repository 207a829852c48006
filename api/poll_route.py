"""The route of `getRun`, which clients call every few milliseconds: it costs CPU more often than any other."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from pydantic import TypeAdapter, ValidationError

from api.authentication import authenticated
from api.beta import AssistantsRoute, BetaVersion, beta_version
from api.headers import POLL_AFTER
from infra.resources import Resources
from models.ids import RunId, ThreadId
from models.runs import Run

_PATH_IDS = {"thread_id": TypeAdapter(ThreadId), "run_id": TypeAdapter(RunId)}
_RUN = TypeAdapter(Run)


class PollRoute(AssistantsRoute):
    """Answers a valid request of v2 itself: FastAPI's resolution of dependencies costs more than to read the run.

    Any other request takes the way of other routes. Both ways have the same dependencies, and the same responses.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_poll(request: Request) -> Response:
            resources: Resources = request.app.state.resources
            # In the order of the dependencies, whose errors these are.
            project = authenticated(request).require_project()
            version = beta_version(request, resources.settings.require_beta_header)
            ids = _ids_of(request)
            if version is not BetaVersion.V2 or ids is None:
                return await handle(request)
            run = await self.endpoint(
                **ids,
                resources=resources,
                project=project,
                long_polls=request.app.state.long_polls,
                request=request,
            )
            response = Response(_RUN.dump_json(run, by_alias=True), media_type="application/json")
            response.headers[POLL_AFTER] = str(resources.settings.poll_after_ms)
            return response

        return handle_poll


def _ids_of(request: Request) -> dict[str, str] | None:
    try:
        return {name: kind.validate_python(request.path_params[name]) for name, kind in _PATH_IDS.items()}
    except ValidationError:
        return None
