"""What a click on a trade shows: its story and the bars around it, within a bound of size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import define, field

from backtest.analysis.page.chains import Chains
from backtest.analysis.page.packing import packed
from backtest.analysis.page.series import Series
from backtest.analysis.trades.trade import Trade

__all__ = ["Stories", "stories_of"]

CHUNK = 40
"""Chains that are packed together: a click unpacks so many."""
_AROUND = 64
"""Bars drawn of a trade at most; a longer one has neighbours taken together."""
_LEAST = 12
"""Bars before the entry and after the exit."""
_LONGEST = 30_000
"""Letters of a story at most."""


@define
class Stories:
    """Packed chunks, where each chain is, and for how many trades there was no room."""

    chunks: list[str] = field(factory=list)
    items: dict[str, int] = field(factory=dict)
    """By chain: the chunk and the place in it, as one number: chunk x `CHUNK` + place."""
    left_out: int = 0
    """Trades without a story here."""


def stories_of(
    trades: Sequence[Trade],
    chains: Chains,
    series: Mapping[str, tuple[Series, int]],
    room: int,
) -> Stories:
    """Stories and bars of as many trades as ``room`` letters take: those that won or lost most
    first. ``series`` has the prices of each pair, and their digits after the point."""
    found = Stories()
    by_chain: dict[str, list[tuple[int, Trade]]] = {}
    for at, trade in enumerate(trades):
        by_chain.setdefault(trade.root_id, []).append((at, trade))
    order = sorted(by_chain, key=lambda root: _most(by_chain[root]), reverse=True)
    used = 0
    for roots, chunk in _chunks(order, by_chain, chains, series):
        used += len(chunk) + 1
        if used > room:
            break
        for place, root in enumerate(roots):
            found.items[root] = len(found.chunks) * CHUNK + place
        found.chunks.append(chunk)
    found.left_out = sum(one.root_id not in found.items for one in trades)
    return found


def _chunks(
    order: Sequence[str],
    by_chain: Mapping[str, Sequence[tuple[int, Trade]]],
    chains: Chains,
    series: Mapping[str, tuple[Series, int]],
) -> Iterator[tuple[list[str], str]]:
    roots: list[str] = []
    items: list[Any] = []
    for root in order:
        story = chains.story(root)
        if story is None or len(story) > _LONGEST:
            continue
        around = {str(at): _bars(trade, series) for at, trade in by_chain[root]}
        roots.append(root)
        items.append([story, around])
        if len(items) == CHUNK:
            yield roots, packed(items)
            roots, items = [], []
    if items:
        yield roots, packed(items)


def _bars(trade: Trade, series: Mapping[str, tuple[Series, int]]) -> Any:
    """The bars around a trade; None where there are none."""
    if trade.pair not in series:
        return None
    prices, places = series[trade.pair]
    begin, end = prices.at(trade.entry_ns), prices.at(trade.exit_ns) + 1
    more = max(_LEAST, (end - begin) // 4)
    begin, end = max(0, begin - more), min(len(prices), end + more)
    return prices.buckets(_AROUND, begin, end).plain(places) if end > begin else None


def _most(trades: Sequence[tuple[int, Trade]]) -> Decimal:
    return max(one.pnl.copy_abs() for _, one in trades)
