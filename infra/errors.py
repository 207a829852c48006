"""Why the program cannot start. `str()` of each is one line for the operator that ends with the next step."""


class StartFailed(Exception):
    """Something the settings name cannot be used."""


class ConnectionFailed(StartFailed):
    """A server the settings name does not answer."""
