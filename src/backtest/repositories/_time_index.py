"""Records in the order of their time: found by bisection, appended in constant time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Set
from datetime import UTC, datetime
from typing import Generic, TypeVar
from uuid import UUID

__all__ = ["Place", "Record", "TimeIndex", "moment"]

T = TypeVar("T")

Place = tuple[datetime, int]
"""Where a record stands: its time, then the number of its first saving."""


def moment(time: datetime) -> datetime:
    """``time`` as something all times can be compared with: a naive one is taken as UTC."""
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


class Record(Generic[T]):
    """What a repository keeps of one id: the latest state saved, its place and its groups."""

    __slots__ = ("id", "item", "keys", "place")

    def __init__(self, id: UUID, item: T, place: Place, keys: tuple[object, ...]) -> None:
        self.id = id
        self.item = item
        self.place = place
        self.keys = keys


class TimeIndex(Generic[T]):
    """Records sorted by place. Adding the latest costs a comparison; any other, one insertion."""

    __slots__ = ("_places", "_records")

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._records: list[Record[T]] = []

    def __len__(self) -> int:
        return len(self._places)

    def add(self, record: Record[T]) -> None:
        """Put ``record`` at its place."""
        places = self._places
        if not places or record.place > places[-1]:
            places.append(record.place)
            self._records.append(record)
            return
        insort(places, record.place)
        # Places are unique: where the new one landed is where the record belongs.
        self._records.insert(bisect_left(places, record.place), record)

    def remove(self, record: Record[T]) -> None:
        """Take ``record`` out; it must be here."""
        index = bisect_left(self._places, record.place)
        del self._places[index]
        del self._records[index]

    def discard(self, places: Set[Place]) -> None:
        """Take out what stands at ``places``, in one pass."""
        self._records = [one for one in self._records if one.place not in places]
        self._places = [one.place for one in self._records]

    def all(self) -> list[T]:
        """All items, earliest first, as a new list."""
        return [record.item for record in self._records]

    def after(self, time: datetime) -> list[T]:
        """The items later than ``time``."""
        return [record.item for record in self._records[self._end(time) :]]

    def between(self, start: datetime, end: datetime | None) -> list[T]:
        """The items from ``start`` to ``end``, both included; without an end, to the last."""
        first = bisect_left(self._places, (moment(start), -1))
        last = len(self._places) if end is None else self._end(end)
        return [record.item for record in self._records[first:last]]

    def last(self) -> T | None:
        """The latest item."""
        return self._records[-1].item if self._records else None

    def last_at(self, time: datetime) -> T | None:
        """The latest item that is not later than ``time``."""
        end = self._end(time)
        return self._records[end - 1].item if end else None

    def _end(self, time: datetime) -> int:
        """How many places are not later than ``time``."""
        return bisect_right(self._places, (moment(time), _LAST))


_LAST = 1 << 63
"""Beyond any number of savings."""
