"""Azure's addresses of the same API: projects of Azure AI Foundry, and resources of Azure OpenAI.

`azure-ai-agents` calls `/api/projects/{project}/threads/…`, the `AzureOpenAI` clients of OpenAI's SDKs call
`/openai/threads/…` or `/openai/v1/threads/…`; both add an `api-version`, of which any is accepted. For a call of a
model the path names it, as a deployment.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_PREFIXES = ("/api/projects/", "/openai/")
_DEPLOYMENT = r"(?:/deployments/(?P<deployment>.+)(?=/(?:chat/completions|embeddings)$))?"
_AZURE_PATH = re.compile(rf"(?:/api/projects/(?P<project>[^/]+)|/openai(?:/v1)?{_DEPLOYMENT})(?P<path>/.*)")

IS_AZURE = "is_azure"
AZURE_PROJECT = "azure_project"
AZURE_DEPLOYMENT = "azure_deployment"
"""In a request's state: the project and the deployment that its path names."""


class AzurePaths:
    """Serves requests to Azure's addresses as those to ours, and marks them: their errors always have a code.

    Plain ASGI, because it runs on every request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_azures = scope["type"] == "http" and scope["path"].startswith(_PREFIXES)
        if is_azures and (found := _AZURE_PATH.fullmatch(scope["path"])):
            scope["path"] = found["path"]
            named = {AZURE_PROJECT: found["project"], AZURE_DEPLOYMENT: found["deployment"]}
            scope["state"].update({IS_AZURE: True, **named})
        await self._app(scope, receive, send)
