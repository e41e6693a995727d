"""What trades were like: of a plain sequence of PnL, return and duration."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from attrs import frozen

from backtest.analysis.statistics.arithmetic import STATISTICS, rounded
from backtest.money import ZERO, add

__all__ = ["OneTrade", "TradeStatistics", "figures_of_trades", "trade_statistics"]

_SECOND = Decimal(1_000_000_000)


class OneTrade(NamedTuple):
    """A trade that is over."""

    pnl: Decimal
    """Net of fees, in one asset for all trades."""
    share: Decimal | None
    """The same as a share of what was put in; None where that is not known."""
    duration_ns: int | None
    """From entry to exit; None where that is not known."""


@frozen(kw_only=True)
class TradeStatistics:
    """Figures of trades. Amounts are in the asset of their PnL; None is not defined."""

    trades: int
    wins: int
    losses: int
    won: Decimal
    """What the winners won in all, exactly, and"""
    lost: Decimal
    """what the losers lost, as a positive amount."""
    average: Decimal | None
    """Mean PnL of a trade: its expectancy in money."""
    average_return: Decimal | None
    """Mean return of the trades whose return is known."""
    average_win: Decimal | None
    average_loss: Decimal | None
    """The mean of losses, as a positive amount."""
    payoff: Decimal | None
    """Average win over average loss."""
    expectancy: Decimal | None
    """Average PnL over the average loss: what is expected for each unit at risk. Source: V. K.
    Tharp, Trade Your Way to Financial Freedom, 1998."""
    profit_factor: Decimal | None
    """What was won over what was lost."""
    best: Decimal | None
    worst: Decimal | None
    longest_winning_streak: int
    """Trades above zero one after the other; a trade of zero ends any streak."""
    longest_losing_streak: int
    average_duration_ns: int | None
    longest_duration_ns: int | None


def trade_statistics(trades: Iterable[OneTrade]) -> TradeStatistics:
    """The figures of ``trades``, which are in the order in which they ended. Source of each but
    `TradeStatistics.expectancy`: the definition."""
    known = list(trades)
    wins = [one.pnl for one in known if one.pnl > ZERO]
    losses = [one.pnl.copy_abs() for one in known if one.pnl < ZERO]
    won, lost = _sum(wins), _sum(losses)
    average = _mean([one.pnl for one in known])
    average_win, average_loss = _mean(wins), _mean(losses)
    durations = [one.duration_ns for one in known if one.duration_ns is not None]
    pnls = [one.pnl for one in known]
    return TradeStatistics(
        trades=len(known),
        wins=len(wins),
        losses=len(losses),
        won=won,
        lost=lost,
        average=average,
        average_return=_mean([one.share for one in known if one.share is not None]),
        average_win=average_win,
        average_loss=average_loss,
        payoff=_quotient(average_win, average_loss),
        expectancy=_quotient(average, average_loss),
        profit_factor=_quotient(won, lost),
        best=max(pnls, default=None),
        worst=min(pnls, default=None),
        longest_winning_streak=_streak([one > ZERO for one in pnls]),
        longest_losing_streak=_streak([one < ZERO for one in pnls]),
        average_duration_ns=sum(durations) // len(durations) if durations else None,
        longest_duration_ns=max(durations, default=None),
    )


def figures_of_trades(found: TradeStatistics) -> dict[str, Any]:
    """What stands in ``run.json`` of them: rounded half-even to six digits, durations in seconds.

    How many there are, and what they won and lost in all, stands beside that in the summary.
    """
    share = found.average_return
    percent = None if share is None else STATISTICS.scaleb(share, Decimal(2))
    return {
        "average": rounded(found.average),
        "average_return_percent": rounded(percent),
        "average_win": rounded(found.average_win),
        "average_loss": rounded(found.average_loss),
        "payoff": rounded(found.payoff),
        "expectancy": rounded(found.expectancy),
        "best": found.best,
        "worst": found.worst,
        "longest_winning_streak": found.longest_winning_streak,
        "longest_losing_streak": found.longest_losing_streak,
        "average_duration_seconds": _seconds(found.average_duration_ns),
        "longest_duration_seconds": _seconds(found.longest_duration_ns),
    }


def _seconds(duration_ns: int | None) -> Decimal | None:
    if duration_ns is None:
        return None
    return rounded(STATISTICS.divide(Decimal(duration_ns), _SECOND))


def _sum(values: Iterable[Decimal]) -> Decimal:
    found = ZERO
    for value in values:
        found = add(found, value)
    return found


def _mean(values: list[Decimal]) -> Decimal | None:
    return STATISTICS.divide(_sum(values), Decimal(len(values))) if values else None


def _quotient(above: Decimal | None, below: Decimal | None) -> Decimal | None:
    return STATISTICS.divide(above, below) if above is not None and below else None


def _streak(flags: Iterable[bool]) -> int:
    longest = now = 0
    for flag in flags:
        now = now + 1 if flag else 0
        longest = max(longest, now)
    return longest
