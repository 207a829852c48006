"""Models: list and read."""

from tests.conformance.python_program.scenarios import MODEL, Sdk, equal, has, operation


@operation("models.list")
def list_(sdk: Sdk) -> None:
    page = sdk.models.list()

    has(page, object="list")
    equal(MODEL in [model.id for model in page], True)


@operation("models.retrieve")
def retrieve(sdk: Sdk) -> None:
    [listed] = [model for model in sdk.models.list() if model.id == MODEL]

    model = sdk.models.retrieve(MODEL)

    equal(model, listed)
    has(model, id=MODEL, object="model")
