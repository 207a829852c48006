"""How an index fails."""


class VectorIndexUnavailable(Exception):
    """The index does not answer, takes no writes, or is damaged; a retry may help."""
