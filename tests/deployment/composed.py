"""docker-compose.yml as Compose itself reads it, without a Docker engine."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMPOSE = Path(sys.executable).with_name("docker-compose")
SECRETS = {
    "POSTGRES_PASSWORD": "superuser0password",
    "HOLDFAST_DB_PASSWORD": "holdfast0password",
    "TEMPORAL_DB_PASSWORD": "temporal0password",
    "HOLDFAST_OBJECTS_SECRET": "objects0secret",
    "HOLDFAST_SANDBOX_TOKEN": "sandbox0token",
    "HOLDFAST_API_KEYS": "sk-deployed=default",
    "HOLDFAST_OPERATOR_KEYS": "sk-operator",
}


def compose(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `docker-compose` with nothing but `environment`; a `.env` of this checkout is not read."""
    return subprocess.run(
        [str(COMPOSE), "--env-file", os.devnull, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def composed(**environment: str) -> dict[str, Any]:
    """The whole file with its variables filled in."""
    done = compose({**SECRETS, **environment}, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    # A `$` that would be interpolated again is doubled.
    whole: dict[str, Any] = json.loads(done.stdout.replace("$$", "$"))
    return whole
