"""Falls of equity from a peak: how deep, how long, and when they were made good."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from attrs import frozen

from backtest.analysis.statistics.arithmetic import STATISTICS
from backtest.money import sub

__all__ = ["Drawdown", "deepest_share", "drawdowns"]


@frozen(kw_only=True)
class Drawdown:
    """One fall, from the last moment of its peak to the first at which that is reached again."""

    peak_ns: int
    trough_ns: int
    recovered_ns: int | None
    """When equity was at its peak again; None: not until the end."""
    end_ns: int
    """The last moment that was looked at, or that of the recovery."""
    peak: Decimal
    """Equity at the peak, in the cash asset, and"""
    trough: Decimal
    """at the deepest point after it."""

    @property
    def fall(self) -> Decimal:
        """How much was lost from the peak, in the cash asset."""
        return sub(self.peak, self.trough)

    @property
    def share(self) -> Decimal | None:
        """The same as a share of the peak; None where that is not above zero."""
        return STATISTICS.divide(self.fall, self.peak) if self.peak > 0 else None

    @property
    def length_ns(self) -> int:
        """From the peak until that was reached again, or the end."""
        return self.end_ns - self.peak_ns

    @property
    def recovery_ns(self) -> int | None:
        """From the deepest point until the peak was reached again; None: not until the end."""
        return None if self.recovered_ns is None else self.recovered_ns - self.trough_ns


def drawdowns(curve: Iterable[tuple[int, Decimal]]) -> list[Drawdown]:
    """All falls of a curve of ``(nanoseconds, equity)`` in the order of time, the one that the
    curve ends in too. Source: the definition; a fall ends where its peak is reached again."""
    found: list[Drawdown] = []
    peak: tuple[int, Decimal] | None = None
    trough: tuple[int, Decimal] | None = None
    time = 0

    def fallen(recovered: int | None) -> None:
        if peak is not None and trough is not None:
            found.append(
                Drawdown(
                    peak_ns=peak[0],
                    trough_ns=trough[0],
                    recovered_ns=recovered,
                    end_ns=time,
                    peak=peak[1],
                    trough=trough[1],
                )
            )

    for time, equity in curve:
        if peak is None or equity >= peak[1]:
            fallen(time)
            peak, trough = (time, equity), None
        elif trough is None or equity < trough[1]:
            trough = (time, equity)
    fallen(None)
    return found


def deepest_share(equities: Iterable[Decimal]) -> Decimal:
    """The deepest fall from a peak before it, as a share of that; 0 where there is none."""
    deepest = peak = Decimal(0)
    for equity in equities:
        peak = max(peak, equity)
        if peak > 0:
            fall = STATISTICS.divide(STATISTICS.subtract(peak, equity), peak)
            deepest = max(deepest, fall)
    return deepest
