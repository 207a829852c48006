"""Pages of lists that are in memory as a whole, because they are short."""

from collections.abc import Sequence
from typing import TypeVar

from models.errors import NotFound
from models.lists import Order, Page, PageRequest
from models.wire import IdentifiedObject

Item = TypeVar("Item", bound=IdentifiedObject)


def page_of(items: Sequence[Item], page: PageRequest, noun: str) -> Page[Item]:
    """A page of `items`, which are oldest first. Raises `NotFound` for an unknown cursor."""
    ordered = list(items) if page.order is Order.ASC else list(reversed(items))
    first = _place(ordered, page.after, noun) + 1 if page.after else 0
    end = _place(ordered, page.before, noun) if page.before else len(ordered)
    found = ordered[first:end]
    # Only `before`: the page is the one nearest to it.
    nearest = found[-page.limit :] if page.before and not page.after else found[: page.limit]
    return Page[Item].of(nearest, has_more=len(found) > page.limit)


def _place(items: Sequence[Item], cursor: str, noun: str) -> int:
    for place, item in enumerate(items):
        if item.id == cursor:
            return place
    raise NotFound.of(noun, cursor)
