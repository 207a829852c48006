"""The models that a server offers, as `GET /models` lists them."""

from typing import Literal

from models.wire import IdentifiedObject, WireObject


class Model(IdentifiedObject):
    """`created` is seconds since the epoch; it is the one object whose time is not called `created_at`."""

    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(WireObject):
    object: Literal["list"] = "list"
    data: list[Model]
