"""What one document may take while it is read."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the child process, but for `wall_seconds` and `output_bytes`, which its parent watches as well."""

    memory_bytes: int = 1024 * MIB
    cpu_seconds: int = 60
    wall_seconds: float = 180
    output_bytes: int = 64 * MIB
    written_file_bytes: int = 16 * MIB
    open_files: int = 64
    unpacked_bytes: int = 100 * MIB
    unpacked_entries: int = 10_000
    # Of the whole archive. Documents that people write stay below 60.
    unpacked_ratio: int = 200
