"""The file `.env` of the working folder."""

from pathlib import Path

NAME = ".env"


def load_dot_env() -> None:
    """Into the environment, because the keys of model providers and Temporal's settings may be in the file as well."""
    if Path(NAME).exists():
        from dotenv import load_dotenv

        load_dotenv(NAME)
