"""`s3://key:secret@host:port/bucket?secure=false&region=…`, the address of a bucket."""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from infra.errors import ConnectionFailed

FORM = "s3://KEY:SECRET@host:port/bucket?secure=true&region=us-east-1"
BOOLEANS = {"true": True, "false": False}
OPTIONS = {"secure", "region"}


@dataclass(frozen=True, slots=True)
class S3Address:
    """`key` is empty where the URL has none: then it and the secret are AWS's variables of the environment."""

    endpoint: str
    bucket: str
    key: str = ""
    secret: str = field(default="", repr=False)
    secure: bool = True
    region: str | None = None


def parse_s3_url(url: str) -> S3Address:
    """Raises `ConnectionFailed`, which quotes nothing of a URL that may have a secret in it."""
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    bucket = parts.path.strip("/")
    if unknown := sorted(options.keys() - OPTIONS):
        raise _malformed(f"it has the unknown option '{unknown[0]}'")
    if not parts.hostname or not bucket or "/" in bucket:
        raise _malformed("it names no host or no bucket")
    if (parts.username is None) != (parts.password is None):
        raise _malformed("it has a key without a secret")
    if (secure := BOOLEANS.get(options.get("secure", "true"))) is None:
        raise _malformed("`secure` is neither true nor false")
    return S3Address(
        endpoint=_endpoint(parts),
        bucket=bucket,
        key=unquote(parts.username or ""),
        secret=unquote(parts.password or ""),
        secure=secure,
        region=options.get("region") or None,
    )


def _endpoint(parts: SplitResult) -> str:
    try:
        port = parts.port
    except ValueError as error:
        raise _malformed("its port is no number") from error
    return f"{parts.hostname}:{port}" if port else str(parts.hostname)


def _malformed(reason: str) -> ConnectionFailed:
    return ConnectionFailed(f"HOLDFAST_OBJECT_STORE_URL cannot be used: {reason}. Expected {FORM}.")
