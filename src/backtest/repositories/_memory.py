"""What the in-memory repositories share: storing, replacing, deleting, and groups by key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from datetime import datetime
from operator import attrgetter
from typing import Generic, TypeVar
from uuid import UUID

from backtest.models._validate import check_id
from backtest.repositories._time_index import Place, Record, TimeIndex, moment

__all__ = ["MemoryRepository"]

T = TypeVar("T")

_by_place = attrgetter("place")


class MemoryRepository(ABC, Generic[T]):
    """Items by id, and by every key that `_keys` gives for them. Saving costs the same at any size.

    Lists come sorted by time, equal times in the order first saved, and are new: changing one
    changes nothing here. Saving an item with a known id replaces the stored state and keeps its
    place among equal times. Naive times are compared as UTC. A question with a value of the wrong
    kind (a status for an id, say) is a `FieldTypeError` that names it: its answer would be empty,
    and look like one.
    """

    def __init__(self) -> None:
        self._records: dict[UUID, Record[T]] = {}
        self._groups: dict[Hashable, dict[UUID, Record[T]]] = {}
        self._series: dict[Hashable, TimeIndex[T]] = {}
        self._saved = 0

    @abstractmethod
    def _id(self, item: T) -> UUID:
        """The id under which ``item`` is stored."""

    @abstractmethod
    def _time(self, item: T) -> datetime:
        """The time by which lists are sorted."""

    @abstractmethod
    def _run(self, item: T) -> UUID:
        """The run that ``item`` belongs to."""

    @abstractmethod
    def _keys(self, item: T) -> tuple[Hashable, ...]:
        """The groups that ``item`` is in: small ones, sorted when asked for."""

    def _series_keys(self, item: T) -> tuple[Hashable, ...]:
        """The series that ``item`` is in: kept sorted, for questions about times."""
        return ()

    def save(self, item: T) -> T:
        """Store ``item``, replacing what has its id; returns ``item``."""
        id = self._id(item)
        time = moment(self._time(item))
        old = self._records.get(id)
        number = self._saved + 1 if old is None else old.place[1]
        record = Record(id, item, (time, number), (*self._keys(item), ("run", self._run(item))))
        lines = self._series_keys(item)
        # Nothing has changed so far: an item that cannot be stored leaves no trace.
        if old is None:
            self._saved = number
        else:
            self._leave(old)
        self._records[id] = record
        groups = self._groups
        for key in record.keys:
            group = groups.get(key)
            if group is None:
                groups[key] = {id: record}
            else:
                group[id] = record
        for key in lines:
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = TimeIndex()
            series.add(record)
        return item

    def get(self, id: UUID) -> T | None:
        """The item of ``id``, or ``None``."""
        check_id(id, "id")
        record = self._records.get(id)
        return None if record is None else record.item

    def get_all(self, backtest_run_id: UUID | None = None) -> list[T]:
        """Everything stored, or everything of one run."""
        if backtest_run_id is not None:
            return self.get_by_run_id(backtest_run_id)
        return _sorted(self._records.values())

    def get_by_run_id(self, backtest_run_id: UUID) -> list[T]:
        """Everything of one run."""
        check_id(backtest_run_id, "backtest_run_id")
        return self._group(("run", backtest_run_id))

    def delete(self, id: UUID) -> bool:
        """Remove the item of ``id``; whether there was one."""
        check_id(id, "id")
        record = self._records.pop(id, None)
        if record is None:
            return False
        self._leave(record)
        return True

    def count(self, backtest_run_id: UUID | None = None) -> int:
        """How many items are stored, in all or of one run."""
        check_id(backtest_run_id, "backtest_run_id", optional=True)
        if backtest_run_id is not None:
            return len(self._groups.get(("run", backtest_run_id), ()))
        return len(self._records)

    def exists(self, id: UUID) -> bool:
        """Whether an item of ``id`` is stored."""
        check_id(id, "id")
        return id in self._records

    def clear(self) -> None:
        """Remove everything."""
        self._records.clear()
        self._groups.clear()
        self._series.clear()

    def clear_run(self, backtest_run_id: UUID) -> int:
        """Remove everything of one run; how many items that were."""
        check_id(backtest_run_id, "backtest_run_id")
        doomed = list(self._groups.get(("run", backtest_run_id), {}).values())
        touched: dict[Hashable, set[Place]] = {}
        for record in doomed:
            del self._records[record.id]
            self._leave_groups(record)
            for key in self._series_keys(record.item):
                touched.setdefault(key, set()).add(record.place)
        # One pass a series: taking them out one by one would move the rest of it each time.
        for key, places in touched.items():
            self._series[key].discard(places)
            self._drop_if_empty(key)
        return len(doomed)

    def _leave(self, record: Record[T]) -> None:
        """Take ``record`` out of its groups and series; empty ones go too."""
        self._leave_groups(record)
        for key in self._series_keys(record.item):
            self._series[key].remove(record)
            self._drop_if_empty(key)

    def _leave_groups(self, record: Record[T]) -> None:
        for key in record.keys:
            group = self._groups[key]
            del group[record.id]
            if not group:
                del self._groups[key]

    def _drop_if_empty(self, key: Hashable) -> None:
        if not self._series[key]:
            del self._series[key]

    def _group(self, key: Hashable, backtest_run_id: UUID | None = None) -> list[T]:
        """The items of a group, sorted, of one run if asked."""
        check_id(backtest_run_id, "backtest_run_id", optional=True)
        items = self._joined((key,))
        if backtest_run_id is None:
            return items
        return [item for item in items if self._run(item) == backtest_run_id]

    def _joined(self, keys: Iterable[Hashable]) -> list[T]:
        """The items of several groups, of which none has two, sorted together."""
        groups = [self._groups.get(key) or {} for key in keys]
        return _sorted(record for group in groups for record in group.values())


def _sorted(records: Iterable[Record[T]]) -> list[T]:
    return [record.item for record in sorted(records, key=_by_place)]
