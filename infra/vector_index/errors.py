"""How an index fails."""


class VectorIndexUnavailable(Exception):
    """The index does not answer, takes no writes, or is damaged; a retry may help.

    `reason` and `repr()` are for the log; `str()` names no host, path or store.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("The search index does not answer.")
        self.reason = reason

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r})"
