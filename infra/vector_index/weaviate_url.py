"""`weaviate://KEY@host:8080?grpc_port=50051&secure=false`, the address of a Weaviate."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from infra.errors import ConnectionFailed

FORM = "weaviate://KEY@host:8080?grpc_port=50051&secure=false"
BOOLEANS = {"true": True, "false": False}
OPTIONS = {"grpc_port", "secure"}
PORT = 8080
GRPC_PORT = "50051"
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class WeaviateAddress:
    """`key` is empty where Weaviate takes requests without one. Queries go to `grpc_port`, the rest to `port`."""

    host: str
    port: int = PORT
    grpc_port: int = int(GRPC_PORT)
    key: str = field(default="", repr=False)
    secure: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_weaviate_url(url: str) -> WeaviateAddress:
    """Raises `ConnectionFailed`, which quotes nothing of a URL that may have a key in it."""
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    if unknown := sorted(options.keys() - OPTIONS):
        raise _malformed(f"it has the unknown option '{unknown[0]}'")
    if not parts.hostname or parts.path.strip("/"):
        raise _malformed("it names no host, or a path")
    if parts.password is not None:
        raise _malformed("it has a user and a password, where a key is expected")
    if (secure := BOOLEANS.get(options.get("secure", "false"))) is None:
        raise _malformed("`secure` is neither true nor false")
    try:
        port, grpc_port = parts.port or PORT, int(options.get("grpc_port", GRPC_PORT))
    except ValueError as error:
        raise _malformed("a port of it is no number") from error
    if port == grpc_port or not 0 < grpc_port <= MAX_PORT:
        raise _malformed("`grpc_port` is that of the rest, or no port")
    key = unquote(parts.username or "")
    # Errors of the clients quote a header that cannot be sent.
    if not (key.isascii() and key.isprintable()):
        raise _malformed("its key has a character that no header may have")
    return WeaviateAddress(parts.hostname, port, grpc_port, key, secure)


def _malformed(reason: str) -> ConnectionFailed:
    return ConnectionFailed(f"HOLDFAST_VECTOR_INDEX_URL cannot be used: {reason}. Expected {FORM}.")
