"""Lists by cursor: the requested page and the returned page."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Literal, Self, TypeVar

from models.wire import IdentifiedObject, WireObject

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


class Order(StrEnum):
    ASC = "asc"
    DESC = "desc"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """`after` and `before` are object ids; the page is the one nearest to the cursor, always in `order`."""

    limit: int = DEFAULT_LIMIT
    order: Order = Order.DESC
    after: str | None = None
    before: str | None = None


T = TypeVar("T", bound=IdentifiedObject)


class Page(WireObject, Generic[T]):
    object: Literal["list"] = "list"
    data: list[T]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, data: list[T], has_more: bool) -> Self:
        return cls(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=has_more,
        )
