"""Routes that call a model, which clients of Azure name in the path."""

from typing import Any

from fastapi import Request

from api.azure import AZURE_DEPLOYMENT
from api.json_bodies import JsonRoute


class DeploymentRoute(JsonRoute):
    """A route whose body has a `model`. As in Azure, a deployment in the path counts in place of it."""

    def body_of(self, request: Request, body: Any) -> Any:
        deployment = getattr(request.state, AZURE_DEPLOYMENT, None)
        return {**body, "model": deployment} if deployment and isinstance(body, dict) else body
