"""Many sources of bars as one stream in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heapreplace

from backtest.errors import DataError
from backtest.models.bar import Bar
from backtest.times import format_ns

__all__ = ["merge"]


def merge(sources: Sequence[Iterable[Bar]]) -> Iterator[Bar]:
    """The bars of all ``sources`` by close time; at one time, in the order of the sources.

    Lazy: one bar of each source is held at a time. A single source is handed through as it is
    (sources check their own order); of several, each must strictly increase in close time, else a
    `DataError` names it.
    """
    if len(sources) == 1:
        return iter(sources[0])
    return _merged(sources)


def _merged(sources: Sequence[Iterable[Bar]]) -> Iterator[Bar]:
    # (close_ns, order, bar, source's iterator): order is unique, so bars are never compared.
    heap: list[tuple[int, int, Bar, Iterator[Bar]]] = []
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
        if following.close_ns <= close_ns:
            raise _disorder(sources[order], order, following, close_ns)
        heapreplace(heap, (following.close_ns, order, following, bars))
    if heap:
        yield from _rest(heap[0], sources)


def _rest(
    last: tuple[int, int, Bar, Iterator[Bar]], sources: Sequence[Iterable[Bar]]
) -> Iterator[Bar]:
    """What is left when all other sources are at their end."""
    close_ns, order, bar, bars = last
    yield bar
    for bar in bars:
        if bar.close_ns <= close_ns:
            raise _disorder(sources[order], order, bar, close_ns)
        close_ns = bar.close_ns
        yield bar


def _disorder(source: Iterable[Bar], order: int, bar: Bar, before: int) -> DataError:
    name = getattr(source, "name", None) or f"source {order + 1}"
    return DataError(
        f"the bars of {bar.pair} do not go forward in time: after one that closes at "
        f"{format_ns(before)} comes one that closes at {format_ns(bar.close_ns)}; sort them "
        "by time and remove duplicates",
        source=name,
    )
