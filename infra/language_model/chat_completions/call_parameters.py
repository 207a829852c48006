"""What a models file says of the calls of one deployment."""

from collections.abc import Mapping
from typing import Any

from infra.language_model.environment_references import resolved
from infra.language_model.models_file import DeploymentParams


class CallParameters:
    """The parameters of a deployment, with the defaults of the environment and the router's settings."""

    def __init__(self, params: DeploymentParams, router_settings: Mapping[str, Any]) -> None:
        self._given = params.model_dump(exclude_none=True)
        self._router_settings = router_settings

    def text(self, name: str) -> str | None:
        value = self._given.get(name)
        return resolved(value) if value is not None else None

    def seconds(self, is_streamed: bool) -> float | None:
        """The time limit, in the order of litellm's Router."""
        for name in ("stream_timeout", "timeout") if is_streamed else ("timeout",):
            for settings in (self._given, self._router_settings):
                if settings.get(name):
                    return float(settings[name])
        return None

    @property
    def extra_headers(self) -> Mapping[str, str]:
        extra: Mapping[str, str] = self._given.get("extra_headers") or {}
        return extra
