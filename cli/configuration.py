"""The settings, read at start; errors in them are reported in one line."""

from collections.abc import Callable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cli.dot_env import load_dot_env
from infra.errors import StartFailed
from infra.settings import Settings


class InvalidSettings(StartFailed):
    """A setting is out of its range."""


def load_settings() -> Settings:
    """Read the settings. Raises `InvalidSettings`."""
    load_dot_env()
    return _checked(lambda: Settings())


def load_settings_of_environment() -> Settings:
    """Read the settings for a program that must not know what else is in `.env`. Raises `InvalidSettings`."""
    return _checked(lambda: Settings(_env_file=None))


def _checked(read: Callable[[], Settings]) -> Settings:
    try:
        return read()
    except ValidationError as error:
        problems = "; ".join(map(_described, error.errors(include_url=False)))
        raise InvalidSettings(f"{problems}. Correct it in the environment or in .env.") from error


def check_api_keys(settings: Settings) -> None:
    """For programs that serve the API. Raises `InvalidSettings`."""
    if not settings.api_keys and not settings.is_loopback:
        raise InvalidSettings(f"HOLDFAST_HOST={settings.host} is not loopback: set HOLDFAST_API_KEYS as well.")


def check_operator_keys(settings: Settings) -> None:
    """For workers, whose metrics include the models and tokens of all projects. Raises `InvalidSettings`."""
    if settings.metrics_port and not settings.operator_keys and not settings.is_loopback:
        raise InvalidSettings(
            f"HOLDFAST_METRICS_PORT={settings.metrics_port} on HOLDFAST_HOST={settings.host}, which is not "
            "loopback: set HOLDFAST_OPERATOR_KEYS as well."
        )


def _described(problem: ErrorDetails) -> str:
    reason = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return reason
    name = str(problem["loc"][0])
    is_secret = not Settings.model_fields[name].repr
    value = "" if is_secret else f"={problem['input']}"
    return f"HOLDFAST_{name.upper()}{value}: {reason[:1].lower()}{reason[1:]}"
