"""What goes wrong with the object store.

ObjectStoreError
├── ObjectStoreUnavailable   it does not answer, or refuses to work
└── ObjectMissing            it has nothing under the key
"""


class ObjectStoreError(Exception):
    pass


class ObjectStoreUnavailable(ObjectStoreError):
    """Later it may work. `reason` is for the log; `str()` names no host, path or key."""

    def __init__(self, reason: str) -> None:
        super().__init__("The object store does not answer.")
        self.reason = reason


class ObjectMissing(ObjectStoreError):
    def __init__(self, key: str) -> None:
        super().__init__(f"The object store has nothing under {key}.")
        self.key = key
