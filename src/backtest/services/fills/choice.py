"""Which order of a bar's extremes a group goes by, and what would differ on the other path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from backtest.models.bar import Bar
from backtest.services.fills.events import Event, Points, event_of
from backtest.services.fills.outcome import Fills, joint_outcome, outcome
from backtest.services.fills.path import Group, Working
from backtest.services.fills.rules import PathRules

__all__ = ["Choice", "Paths", "choose", "choose_jointly", "mark", "mark_partners", "opens_contest"]

Paths = tuple[Points, Points]
"""The two paths along a bar, indexed by "the high comes first"."""


class Choice(NamedTuple):
    """The path that a group takes, and what it would come to on each."""

    points: Points
    high: Fills
    """What fills where the high comes first."""
    low: Fills
    forks: bool
    """Whether the entry is where the two differ: what is closed here would be flagged itself."""


def opens_contest(group: Group, entry: Working, points: Points, bar: Bar, rules: PathRules) -> bool:
    """Whether a part opened by ``entry`` might meet an exit on this very bar."""
    below, above = group.stop_loss, group.take_profit
    later = rules.delays_exits
    if later is not None and not later.same_bar(entry.kind, entry.buy, below, above, bar):
        below = above = None
    if not entry.buy:
        below, above = above, below
    if (below is not None and bar.low <= below) or (above is not None and bar.high >= above):
        return True
    if group.liquidation is None:
        return False
    event = event_of(entry, entry.start, points[entry.start], points, bar, rules)
    price = None if event is None else group.liquidation(event.price, entry.volume)
    return price is not None and (bar.low <= price if entry.buy else bar.high >= price)


def choose(
    group: Group, paths: Paths, high_first: bool, worse: bool, bar: Bar, rules: PathRules
) -> Choice:
    """The path of ``group``: the one worth less if it is to be the ``worse``, and ``high_first``
    says which where both are worth the same; else what that says."""
    high, high_fills = outcome(group, paths[True], bar, rules)
    low, low_fills = outcome(group, paths[False], bar, rules)
    if worse and high != low:
        high_first = high < low
    taken, other = (high_fills, low_fills) if high_first else (low_fills, high_fills)
    forks = taken.get(group.entry) != other.get(group.entry) or (
        _closes_own(other) and not _closes_own(taken)
    )
    return Choice(paths[high_first], high_fills, low_fills, forks)


def _closes_own(fills: Fills) -> bool:
    """Whether an exit of what the entry itself opens is among ``fills``."""
    return any(type(key) is str for key in fills)


def choose_jointly(
    partners: Sequence[Group],
    paths: Paths,
    high_first: bool,
    worse: bool,
    bar: Bar,
    rules: PathRules,
) -> tuple[Points, Mapping[Group, Fills], Mapping[Group, Fills]]:
    """The same for one-cancels-other orders, with the fills of each of them."""
    high, high_fills = joint_outcome(partners, paths[True], bar, rules)
    low, low_fills = joint_outcome(partners, paths[False], bar, rules)
    if worse and high != low:
        high_first = high < low
    return paths[high_first], high_fills, low_fills


def mark(events: Sequence[Event], keys: Sequence[object], both: tuple[Fills, Fills]) -> None:
    """Flag what does not happen identically on both paths.

    What happens on neither (a liquidation after a stop-loss that found no volume, say) is as
    ambiguous as what surrounds it.
    """
    high, low = both
    differs = [high.get(key) != low.get(key) for key in keys]
    for event, key, different in zip(events, keys, differs, strict=True):
        event.ambiguous = different if key in high or key in low else any(differs)


def mark_partners(
    events: Sequence[Event],
    high_fills: Mapping[Group, Fills],
    low_fills: Mapping[Group, Fills],
    high_first: bool,
) -> bool:
    """The same for one-cancels-other orders; whether anything differs."""
    high, low = _together(high_fills), _together(low_fills)
    if high == low:
        return False
    mark(events, [event.working for event in events], (high, low))
    taken = high if high_first else low
    if not _closes_own(taken):
        # What the one that fills opens is closed on the other path only.
        for event in events:
            event.ambiguous = event.ambiguous or event.working in taken
    return True


def _together(fills: Mapping[Group, Fills]) -> Fills:
    return {key: what for one in fills.values() for key, what in one.items()}
