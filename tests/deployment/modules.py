"""The Temporal programs of docker-compose.yml, built from source: no package has a server that uses Postgres.

`python -m tests.deployment.modules` builds them, and Weaviate, before tests ask for them.
"""

from tests.deployment.composed import composed
from tests.go_modules import GoModule
from tests.weaviate_server import weaviate_module


def temporal_server() -> GoModule:
    """The server and the tool for its schema, of the images' version, with the image's entry point and the schema."""
    return GoModule(
        "go.temporal.io/server",
        _version("temporal"),
        {"temporal-server": "cmd/server", "temporal-sql-tool": "cmd/tools/sql"},
        ("docker/scripts/sh/entrypoint.sh", "schema/postgresql/v12"),
    )


def temporal_ui() -> GoModule:
    """The UI, with the image's entry point and configuration."""
    return GoModule(
        "github.com/temporalio/ui-server/v2",
        _version("temporal-ui"),
        {"ui-server": "cmd/server"},
        ("docker/start-ui-server.sh", "config/docker.yaml"),
    )


def _version(service: str) -> str:
    return "v" + str(composed()["services"][service]["image"]).rpartition(":")[2]


if __name__ == "__main__":
    for module in (temporal_server(), temporal_ui(), weaviate_module()):
        module.built()
