"""Many sources of market data as one stream in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Any

from backtest.errors import DataError
from backtest.models.bar import Bar
from backtest.models.market_event import MarketEvent
from backtest.times import format_ns

__all__ = ["merge"]


def merge(sources: Sequence[Iterable[Any]]) -> Iterator[Any]:
    """The events of all ``sources`` by close time; at one time, in the order of the sources.

    Lazy: one event of each source is held at a time. A single source is handed through as it is
    (sources check their own order); of several, none may go back in time, and of bars each must
    close after the one before it, else a `DataError` names the source.
    """
    if len(sources) == 1:
        return iter(sources[0])
    return _merged(sources)


def _merged(sources: Sequence[Iterable[Any]]) -> Iterator[Any]:
    # (close_ns, order, bar, source's iterator): order is unique, so bars are never compared.
    heap: list[tuple[int, int, Any, Iterator[Any]]] = []
    for order, source in enumerate(sources):
        bars = iter(source)
        for bar in bars:
            heap.append((bar.close_ns, order, bar, bars))
            break
    heapify(heap)
    while len(heap) > 1:
        close_ns, order, bar, bars = heap[0]
        yield bar
        try:
            following = next(bars)
        except StopIteration:
            heappop(heap)
            continue
        if following.close_ns <= close_ns and _is_late(following, close_ns):
            raise _disorder(sources[order], order, following, close_ns)
        heapreplace(heap, (following.close_ns, order, following, bars))
    if heap:
        yield from _rest(heap[0], sources)


def _rest(
    last: tuple[int, int, Any, Iterator[Any]], sources: Sequence[Iterable[Any]]
) -> Iterator[Any]:
    """What is left when all other sources are at their end."""
    close_ns, order, bar, bars = last
    yield bar
    for bar in bars:
        if bar.close_ns <= close_ns and _is_late(bar, close_ns):
            raise _disorder(sources[order], order, bar, close_ns)
        close_ns = bar.close_ns
        yield bar


def _is_late(event: MarketEvent, before: int) -> bool:
    """Whether an event at or before the one before it is one too many: ticks may be at one time."""
    return event.close_ns < before or type(event) is Bar


def _disorder(source: Iterable[Any], order: int, bar: MarketEvent, before: int) -> DataError:
    name = getattr(source, "name", None) or f"source {order + 1}"
    return DataError(
        f"the {_plural(bar)} of {bar.pair} do not go forward in time: after one that closes at "
        f"{format_ns(before)} comes one that closes at {format_ns(bar.close_ns)}; sort them "
        "by time and remove duplicates",
        source=name,
    )


def _plural(event: MarketEvent) -> str:
    return f"{type(event).__name__.lower()}s"
