"""What a run's profit is, whatever the order of the extremes inside its bars.

A bar does not say whether its high or its low came first. A path policy decides, and where that
matters the run could have gone otherwise. This module says between what.

Why a run without forks is a point. Whatever the policy, every order and position sees one of two
paths: high first, or low first (`PathPolicy`). By induction over the bars, a run under another
policy is the same run: before a bar, both have the same orders, positions, money and strategies.
On it, each group alone comes to the same on both paths (else the bar is listed in `Records.forks`);
at most one condition in all is met between open and close (else it is listed), so whatever shares
volume or money, and whatever strategies hear of, comes in the same order: at the open, then that
one, then at the close. So after the bar both are the same again, and so is the final equity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from backtest.analysis.metrics import start_equity
from backtest.analysis.record import RunRecord
from backtest.analysis.text import grouped, moment, signed
from backtest.errors import ConfigError
from backtest.models import Fill
from backtest.money import plain, sub
from backtest.times import format_ns

__all__ = ["PATHS", "PathInterval", "PathRun", "path_interval", "path_lines"]

PATHS = ("pessimistic", "open_high_low_close", "open_low_high_close", "adaptive")
"""The policies over which the interval is taken."""
_TOLD = 10


@frozen(kw_only=True)
class PathRun:
    """What the run comes to under one path policy."""

    path: str
    final_equity: Decimal
    profit: Decimal
    ambiguous_fills: int
    only_here: tuple[Fill, ...]
    """Fills that the original run does not have, and"""
    missing: tuple[Fill, ...]
    """fills that only the original run has: compared by time, pair, strategy, side, kind, price and
    volume."""


@frozen(kw_only=True)
class PathInterval:
    """Between what the final equity lies, over the path policies, and which fills decide it."""

    cash_asset: str
    start_equity: Decimal
    runs: tuple[PathRun, ...]
    """The original run first. It alone, where no other path can differ."""
    forks: int
    """Bars on which the order of the extremes may have mattered."""
    responsible: tuple[Fill, ...]
    """The ambiguous fills of the original run, with what they would have been otherwise."""

    @property
    def low(self) -> Decimal:
        """The lowest final equity."""
        return min(run.final_equity for run in self.runs)

    @property
    def high(self) -> Decimal:
        """The highest final equity."""
        return max(run.final_equity for run in self.runs)

    @property
    def profit(self) -> tuple[Decimal, Decimal]:
        """The lowest and the highest profit."""
        return sub(self.low, self.start_equity), sub(self.high, self.start_equity)

    @property
    def is_point(self) -> bool:
        """Whether the final equity is the same under every path policy."""
        return self.low == self.high

    @property
    def orders(self) -> tuple[str, ...]:
        """Ids of the orders responsible: of the ambiguous fills, else of the fills that differ."""
        fills = self.responsible or tuple(fill for run in self.runs for fill in run.missing)
        return tuple(dict.fromkeys(str(fill.order_id) for fill in fills))

    def plain(self) -> dict[str, Any]:
        """As JSON takes it, amounts as text."""
        return {
            "cash_asset": self.cash_asset,
            "low": plain(self.low),
            "high": plain(self.high),
            "profit_low": plain(self.profit[0]),
            "profit_high": plain(self.profit[1]),
            "is_point": self.is_point,
            "forks": self.forks,
            "orders": list(self.orders),
            "paths": {
                run.path: {
                    "final_equity": plain(run.final_equity),
                    "ambiguous_fills": run.ambiguous_fills,
                    "fills_only_here": len(run.only_here),
                    "fills_missing": len(run.missing),
                }
                for run in self.runs
            },
        }

    def __str__(self) -> str:
        return "\n".join(path_lines(self))


def path_interval(record: RunRecord, again: Callable[[str], RunRecord] | None) -> PathInterval:
    """The interval of ``record``: repeats the run, by ``again``, under each path policy where one
    may differ.

    Same data, same seed, fresh strategies as they were given. Raises `ConfigError` for a result
    that cannot be repeated because no runner made it, `NotRepeatable` for data that cannot be read
    again.
    """
    start, original = start_equity(record), _path_of(record)
    runs = [_path_run(original, record, record, start)]
    forks = len(set(record.records.forks))
    if forks or (record.records.fills and _has_no_path(record)):
        if again is None:
            raise ConfigError("this result cannot be repeated: it was not made by a BacktestRunner")
        for path in PATHS:
            if path != original:
                runs.append(_path_run(path, again(path), record, start))
    return PathInterval(
        cash_asset=record.cash_asset,
        start_equity=start,
        runs=tuple(runs),
        forks=forks,
        responsible=tuple(fill for fill in record.records.fills if fill.ambiguous),
    )


def _path_of(record: RunRecord) -> str:
    """The path policy of the run; its pairs' policies, where they have several or their own."""
    names = []
    for rules in record.rules.values():
        own = None if rules.fills is None else rules.fills.path
        names.append(rules.path if own is None else type(own).__name__)
    return ", ".join(dict.fromkeys(names))


def _has_no_path(record: RunRecord) -> bool:
    return any(rules.path == "queue_order" for rules in record.rules.values())


def _path_run(path: str, run: RunRecord, original: RunRecord, start: Decimal) -> PathRun:
    here, there = _counted(run), _counted(original)
    return PathRun(
        path=path,
        final_equity=run.final_equity,
        profit=sub(run.final_equity, start),
        ambiguous_fills=sum(fill.ambiguous for fill in run.records.fills),
        only_here=_beyond(run, here - there),
        missing=_beyond(original, there - here),
    )


def _key(fill: Fill, agents: Mapping[Any, str]) -> tuple[Any, ...]:
    return (
        fill.timestamp_ns,
        fill.pair,
        agents.get(fill.agent_id, ""),
        fill.direction,
        fill.kind,
        fill.price,
        fill.volume,
    )


def _counted(run: RunRecord) -> Counter[tuple[Any, ...]]:
    return Counter(_key(fill, run.agents) for fill in run.records.fills)


def _beyond(run: RunRecord, left: Counter[tuple[Any, ...]]) -> tuple[Fill, ...]:
    """The fills of ``run`` that ``left`` counts, in order."""
    found = []
    for fill in run.records.fills:
        key = _key(fill, run.agents)
        if left[key] > 0:
            left[key] -= 1
            found.append(fill)
    return tuple(found)


def path_lines(interval: PathInterval) -> list[str]:
    """The interval as lines of text."""
    cash = interval.cash_asset
    if interval.is_point:
        why = (
            "no bar's order of extremes matters"
            if not interval.forks
            else f"the same under every path, though {interval.forks:,} bars could have mattered"
        )
        return [f"final equity {grouped(interval.low)} {cash} on every path: {why}"]
    low, high = interval.profit
    both = f"{grouped(interval.low)} to {grouped(interval.high)} {cash}"
    lines = [f"final equity {both}, profit {signed(low)} to {signed(high)}"]
    for run in interval.runs:
        differs = len(run.only_here) + len(run.missing)
        lines.append(
            f"  {run.path:<22} {grouped(run.final_equity)}"
            + (f", {differs:,} fills differ" if differs else "")
        )
    named = interval.responsible
    if named:
        lines.append(f"  responsible: {len(named):,} ambiguous fills")
    for fill in named[:_TOLD]:
        lines.append(f"    {_told(fill)}; otherwise {_otherwise(fill)}")
    if len(named) > _TOLD:
        lines.append(f"    and {len(named) - _TOLD:,} more: see fills, other_price, other_volume")
    return lines


def _told(fill: Fill) -> str:
    side = "bought" if fill.direction.sign > 0 else "sold"
    when = moment(format_ns(fill.timestamp_ns))
    return (
        f"{when} {str(fill.order_id)[:8]} {fill.kind.replace('_', '-')}: {side} "
        f"{grouped(fill.volume, 0)} {fill.pair} at {grouped(fill.price)}"
    )


def _otherwise(fill: Fill) -> str:
    others = [
        f"{one.kind.replace('_', '-')} at {grouped(one.price)}"
        for one in fill.otherwise
        if one.kind != "entry" or fill.kind == "entry"
    ]
    return ", ".join(others) or "nothing"
