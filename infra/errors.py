"""The reasons why the program cannot start. `str()` of each is one line that ends with the operator's next step."""


class StartFailed(Exception):
    """A setting has an unusable value."""


class ConnectionFailed(StartFailed):
    """A server that the settings name does not answer."""
