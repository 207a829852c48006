"""One form for each URL, so that a page has one name."""

from urllib.parse import urlsplit, urlunsplit

from models.web_hosts import MAX_URL_LENGTH


def canonical(url: str) -> str | None:
    """The URL in ASCII, without fragment and default port; None for what is no URL of the web."""
    # Late: it takes half a second, and few API processes ever need it.
    import httpx2

    try:
        parsed = httpx2.URL(url.strip()).copy_with(fragment=None)
    except (httpx2.InvalidURL, ValueError):
        return None
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        return None
    parts = urlsplit(str(parsed))
    text = urlunsplit(parts._replace(path=parts.path or "/"))
    return text if len(text) <= MAX_URL_LENGTH and text.isascii() else None
