"""The shape of a HOLDFAST_MODELS file: the supported part of litellm's proxy config, and nothing else."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from infra.language_model.scripted import SCRIPTED_MODEL
from infra.language_model.wildcards import matches

Fallbacks = list[dict[str, list[str]]]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class DeploymentParams(_Section):
    """litellm's own arguments of a call, with any further ones of the provider."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(min_length=1)
    # Retries would multiply with Holdfast's retries of the turn.
    max_retries: Literal[0] | None = None
    num_retries: Literal[0] | None = None


class DeploymentInfo(_Section):
    """Facts that override litellm's price list; further keys are litellm's."""

    model_config = ConfigDict(extra="allow")

    max_input_tokens: int | None = Field(None, ge=1)
    supports_function_calling: bool | None = None
    base_model: str | None = None


class Deployment(_Section):
    model_name: str = Field(min_length=1)
    litellm_params: DeploymentParams
    model_info: DeploymentInfo = DeploymentInfo()

    @property
    def base_model(self) -> str:
        """The name in litellm's price list: the name of an Azure deployment is the operator's own."""
        return self.model_info.base_model or self.litellm_params.model

    @field_validator("model_name")
    @classmethod
    def _not_the_built_in(cls, name: str) -> str:
        if name == SCRIPTED_MODEL:
            raise ValueError("is the name of the built-in model; choose another")
        return name


class Alias(_Section):
    """An alias that is offered but, if `hidden`, not listed."""

    model: str
    hidden: bool = False


class FallbackSettings(_Section):
    fallbacks: Fallbacks | None = None
    context_window_fallbacks: Fallbacks | None = None
    content_policy_fallbacks: Fallbacks | None = None
    default_fallbacks: list[str] | None = None

    @field_validator("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
    @classmethod
    def _one_model_each(cls, fallbacks: Fallbacks | None) -> Fallbacks | None:
        if any(len(item) != 1 for item in fallbacks or ()):
            raise ValueError("each item names one model and its fallbacks, as in `- gpt-4o: [claude]`")
        return fallbacks

    def targets(self) -> Iterator[str]:
        """Every model named as a fallback."""
        for item in self.fallbacks or [], self.context_window_fallbacks or [], self.content_policy_fallbacks or []:
            yield from (target for fallback in item for targets in fallback.values() for target in targets)
        yield from self.default_fallbacks or ()


class LitellmSettings(FallbackSettings):
    drop_params: bool | None = None


class RouterSettings(FallbackSettings):
    model_group_alias: dict[str, str | Alias] = {}
    max_fallbacks: int | None = None
    routing_strategy: str | None = None
    routing_strategy_args: dict[str, Any] | None = None
    enable_pre_call_checks: bool | None = None
    allowed_fails: int | None = None
    allowed_fails_policy: dict[str, int] | None = None
    cooldown_time: float | None = None
    disable_cooldowns: bool | None = None
    timeout: float | None = Field(None, gt=0)
    stream_timeout: float | None = Field(None, gt=0)


class ModelsFile(_Section):
    model_list: list[Deployment] = Field(min_length=1)
    router_settings: RouterSettings = RouterSettings()
    litellm_settings: LitellmSettings = LitellmSettings()

    @model_validator(mode="after")
    def _every_target_exists(self) -> "ModelsFile":
        for target in self._targets():
            if not any(matches(name, target) for name in self._names()):
                raise ValueError(f"{target!r} is the target of a fallback or alias but not in model_list")
        return self

    def keyword_arguments(self) -> dict[str, Any]:
        """The arguments of litellm's Router besides the model list; `router_settings` override `litellm_settings`."""
        outer = self.litellm_settings.model_dump(exclude_none=True, exclude={"drop_params"})
        return {**outer, **self.router_settings.model_dump(exclude_none=True)}

    def _names(self) -> list[str]:
        return [*(item.model_name for item in self.model_list), *self.router_settings.model_group_alias]

    def _targets(self) -> Iterator[str]:
        for alias in self.router_settings.model_group_alias.values():
            yield alias if isinstance(alias, str) else alias.model
        yield from self.router_settings.targets()
        yield from self.litellm_settings.targets()
