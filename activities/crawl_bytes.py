"""What one crawl may still fetch, pages that fail included."""

from infra.web.errors import EnoughFetched

TOO_MANY_BYTES = "It was not read: the crawl had fetched as much as it may."


class CrawlBytes:
    def __init__(self, left: int) -> None:
        self._left = left
        self.taken = 0

    def take(self, size: int) -> None:
        """Raises `EnoughFetched` for the piece that is too much, and for all that follow."""
        self.taken += size
        if self.taken > self._left:
            raise EnoughFetched(TOO_MANY_BYTES)
