"""Fills: one execution of one order."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from attrs import frozen

from backtest.models._show import instant, shown
from backtest.models.lifecycle import OrderDirection
from backtest.money import plain
from backtest.times import from_ns

__all__ = ["Fill", "Otherwise"]


class Otherwise(NamedTuple):
    """What would have filled with the extremes of the bar the other way round."""

    kind: str
    """As a fill's: ``entry``, ``close``, ``stop_loss``, ``take_profit`` or ``liquidation``."""
    price: Decimal
    volume: Decimal


@frozen(slots=False)
class Fill:
    """One execution, as the venue made it and the ledger booked it. Frozen.

    Attributes:
        timestamp_ns: the event's time, the close of its bar (ns since 1970 UTC); of a fill
            at a quote that stood, that of the acceptance; ``timestamp`` is the same as a
            `datetime`.
        order_id, root_id, branch_id: the part that filled (or closed), its chain and its branch.
        account_id, agent_id: whose order it was.
        pair: the trading pair's code.
        direction: the side that traded here: a close of a long is ``SHORT``.
        kind: ``entry``, ``close``, ``stop_loss``, ``take_profit``, ``liquidation`` or ``netting``
            (closed by an order of the other side, whose branch id is ``closing_order_id``); the
            exit of a spot bracket fills as ``stop_loss`` or ``take_profit``.
        order_kind: ``spot`` or ``trading``.
        price, volume: quote per base, base (or contracts).
        notional: in quote. Of a spot fill what was exchanged: what its order has exchanged so far,
            rounded once (a buy's up, a sell's down), less what was posted before. Of a position's
            the product of the two and the contract size, half-even.
        fee, fee_asset: what the execution cost (a rebate is negative) and in what.
        maker: whether the order rested and was met.
        ambiguous: whether the outcome hangs on the guess about the bar's path.
        bar_open_ns, point: the bar, and where on its path (``open``, ``high``, ``low``, ``close``);
            or when the quote or trade was made, and which side of it (``bid``, ``ask``, ``trade``).
        entry_id: the ledger entry that booked it.
        closing_order_id: the closing order, when this closed a position.
        realised_pnl: gross PnL of a close, in the settlement asset.
        other_price, other_volume: of an ambiguous fill, what this order or exit would have come to
            with the bar's extremes the other way round, alone and without the volume cap; None:
            nothing.
        otherwise: all that the order and the exits of its position would have come to then.
        executed_ns: when it happened, where that is known: the bar's open time at its open, its
            close time at its close, the moment of a quote, a trade or a match; None inside a bar.
            ``executed_at`` is the same as a `datetime`.
        cost: of a close, what it takes of what its position has cost, in the settlement asset: by
            volume, to 24 places, the last the remainder.
    """

    timestamp_ns: int
    order_id: UUID
    root_id: UUID
    branch_id: UUID
    account_id: UUID
    agent_id: UUID
    pair: str
    direction: OrderDirection
    kind: str
    order_kind: str
    price: Decimal
    volume: Decimal
    notional: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    ambiguous: bool
    bar_open_ns: int
    point: str
    entry_id: UUID | None = None
    closing_order_id: UUID | None = None
    realised_pnl: Decimal | None = None
    other_price: Decimal | None = None
    other_volume: Decimal | None = None
    otherwise: tuple[Otherwise, ...] = ()
    executed_ns: int | None = None
    cost: Decimal | None = None

    def __repr__(self) -> str:
        fee = f"fee {plain(self.fee)} {self.fee_asset}" if self.fee else None
        told = self.kind, self.direction, self.volume, self.pair, ("at", self.price), self.point
        flags = "maker" if self.maker else None, "ambiguous" if self.ambiguous else None
        when = instant(self.timestamp_ns)
        return shown(self, *told, fee, *flags, ("pnl", self.realised_pnl), when)

    @property
    def timestamp(self) -> datetime:
        """``timestamp_ns`` as an aware UTC `datetime` (below a microsecond is cut off)."""
        return from_ns(self.timestamp_ns)

    @property
    def executed_at(self) -> datetime | None:
        """``executed_ns`` as an aware UTC `datetime`; None inside a bar."""
        return None if self.executed_ns is None else from_ns(self.executed_ns)
