"""The values of settings that are lists. Imports nothing: the operator's commands read some of them as well."""


def listed(value: str) -> list[str]:
    return [each.strip() for each in value.split(",") if each.strip()]


def key_projects(value: str) -> dict[str, str]:
    """The project of each key in `key=project` pairs. Raises `ValueError`."""
    pairs = [pair.rpartition("=") for pair in listed(value)]
    if any(not key or not project for key, _, project in pairs):
        raise ValueError("expected comma-separated key=project pairs")
    return {key: project for key, _, project in pairs}
