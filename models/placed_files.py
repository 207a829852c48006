"""The names under which the code of a thread finds attached files."""

from collections.abc import Collection, Mapping, Sequence

from models.files import File, bare_filename


def names_of(files: Sequence[File], placed: Mapping[str, str], taken: Collection[str]) -> dict[str, str]:
    """The names of files in /mnt/data, by their ids. Those that were `placed` keep their names.

    A file has its own name, unless another file or one that code has made (`taken`) has it.
    """
    names: dict[str, str] = {}
    used = {*taken, *placed.values()}
    for file in files:
        own = bare_filename(file.filename)
        name = placed.get(file.id) or (own if own not in used else f"{file.id}-{own}")
        used.add(name)
        names[file.id] = name
    return names
