"""Files: upload, list, read, download, delete."""

from tests.conformance.python_program.scenarios import Sdk, equal, has, has_file_id, operation


@operation("files.create")
def create(sdk: Sdk) -> None:
    file = sdk.files.create(file=("leave.md", b"# Leave\n"), purpose="assistants")

    has_file_id(file)
    has(file, object="file", purpose="assistants", filename="leave.md", bytes=8, status="processed")


@operation("files.retrieve")
def retrieve(sdk: Sdk) -> None:
    created = sdk.file()

    equal(sdk.files.retrieve(created.id), created)


@operation("files.list")
def list_(sdk: Sdk) -> None:
    tuning = sdk.files.create(file=("a.jsonl", b"{}\n"), purpose="fine-tune")
    first, second = sdk.file(), sdk.file()

    found = sdk.files.list(purpose="assistants")

    equal(found.data[:2], [second, first])
    equal(tuning in sdk.files.list(purpose="fine-tune").data, True)
    equal(tuning in found.data, False)


@operation("files.list_every_page")
def list_every_page(sdk: Sdk) -> None:
    first, *others = (sdk.file() for _ in range(6))

    found = [file.id for file in sdk.files.list(limit=2, order="asc", after=first.id)]

    equal(found, [file.id for file in others])


@operation("files.content")
def content(sdk: Sdk) -> None:
    sent = bytes(range(256))
    created = sdk.files.create(file=("a.jsonl", sent), purpose="fine-tune")

    equal(sdk.files.content(created.id).read(), sent)


@operation("files.delete")
def delete(sdk: Sdk) -> None:
    created = sdk.file()

    has(sdk.files.delete(created.id), id=created.id, object="file", deleted=True)

    equal(created.id in [file.id for file in sdk.files.list()], False)
