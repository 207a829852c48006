"""The server that the operator's commands ask where none is named: what they need of its settings.

To import all settings takes longer than a command. tests/cli/test_own_server.py compares.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cli.api_url import url_of
from cli.data_folder import serving_address
from cli.dot_env import load_dot_env
from infra.comma_lists import key_projects, listed

DEFAULT_HOST, DEFAULT_PORT, DEFAULT_DATA_DIR = "127.0.0.1", 8000, ".holdfast"
PORTS = range(1, 65536)


@dataclass(frozen=True)
class OwnServer:
    """`port` is None where no setting names one."""

    host: str
    port: int | None
    data_dir: Path
    api_keys: Mapping[str, str]
    operator_keys: tuple[str, ...]

    @classmethod
    def of_environment(cls) -> Self:
        """By `HOLDFAST_*` and `.env`. Raises `InvalidSettings`."""
        load_dot_env()
        try:
            return cls._read({name.upper(): value for name, value in os.environ.items()})
        except ValueError:
            from cli.configuration import load_settings

            # Says what is wrong, or reads what is unusual.
            settings = load_settings()
            return cls(settings.host, settings.port, settings.data_dir, settings.api_keys, settings.operator_keys)

    @classmethod
    def _read(cls, environment: Mapping[str, str]) -> Self:
        port = int(environment["HOLDFAST_PORT"]) if "HOLDFAST_PORT" in environment else None
        if port is not None and port not in PORTS:
            raise ValueError(port)
        return cls(
            environment.get("HOLDFAST_HOST", DEFAULT_HOST),
            port,
            Path(environment.get("HOLDFAST_DATA_DIR", DEFAULT_DATA_DIR)),
            key_projects(environment.get("HOLDFAST_API_KEYS", "")),
            tuple(listed(environment.get("HOLDFAST_OPERATOR_KEYS", ""))),
        )

    @property
    def url(self) -> str:
        """Without a port, that of the `holdfast up` on the data folder, which may have been given any."""
        found = serving_address(self.data_dir) if self.port is None else None
        return found or url_of(self.host, self.port or DEFAULT_PORT)
