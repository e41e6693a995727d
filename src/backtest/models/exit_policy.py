"""When the protections of an entry begin to act."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from attrs import frozen

from backtest.models.bar import Bar

__all__ = [
    "ExitPolicy",
    "ExitsFromFill",
    "ExitsFromNextBar",
    "ExitsUnlessUnclear",
]


@runtime_checkable
class ExitPolicy(Protocol):
    """Whether a stop-loss and a take-profit may act on the very bar of their entry."""

    def same_bar(
        self,
        kind: str,
        buy: bool,
        stop_loss: Decimal | None,
        take_profit: Decimal | None,
        bar: Bar,
    ) -> bool:
        """``kind`` and ``buy`` are of the entry, the prices its protections."""


@frozen
class ExitsFromFill:
    """They act on what the path has left after the entry."""

    def same_bar(
        self,
        kind: str,
        buy: bool,
        stop_loss: Decimal | None,
        take_profit: Decimal | None,
        bar: Bar,
    ) -> bool:
        return True

    def plain(self) -> dict[str, Any]:
        return {"exits_from": "fill"}


@frozen
class ExitsFromNextBar:
    """They act from the next bar on: backtrader."""

    def same_bar(
        self,
        kind: str,
        buy: bool,
        stop_loss: Decimal | None,
        take_profit: Decimal | None,
        bar: Bar,
    ) -> bool:
        return False

    def plain(self) -> dict[str, Any]:
        return {"exits_from": "next_bar"}


@frozen
class ExitsUnlessUnclear:
    """They act on the bar of a market entry, and of a stop entry whose take-profit is reached and
    whose stop-loss is not; of others from the next bar on: backtesting.py."""

    def same_bar(
        self,
        kind: str,
        buy: bool,
        stop_loss: Decimal | None,
        take_profit: Decimal | None,
        bar: Bar,
    ) -> bool:
        if kind != "stop" or take_profit is None:
            return kind == "market"
        if buy:
            return take_profit <= bar.high and (stop_loss is None or stop_loss < bar.low)
        return take_profit >= bar.low and (stop_loss is None or stop_loss > bar.high)

    def plain(self) -> dict[str, Any]:
        return {"exits_from": "clear"}
