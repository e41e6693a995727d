"""What one order comes to at the venue: its branch, and the positions that it has opened."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from backtest.models import SpotOrder, TradingOrder
from backtest.money import ZERO
from backtest.services.fills.walk import Group, OpenPart, Terms, Working
from backtest.services.settlement.amounts import NO_GAINS, NOTHING, Sums, Tally

from .client import Client
from .oco import OcoGroup

if TYPE_CHECKING:
    from .pair_book import PairBook

__all__ = ["Branch", "Closing", "Holding", "is_live"]


class Branch:
    """A live line of orders under one id: an order, leaves of its fills, modified children."""

    __slots__ = (
        "accepted",
        "account",
        "asset",
        "book",
        "charged",
        "client",
        "closing",
        "expires",
        "group",
        "holdings",
        "id",
        "leverage",
        "nets",
        "number",
        "oco",
        "oco_member",
        "offset",
        "order",
        "part",
        "protection",
        "reduces",
        "spot",
        "taker",
        "tally",
        "terms",
        "total_filled",
        "working",
        "worst",
    )

    def __init__(
        self,
        branch_id: UUID,
        client: Client,
        account: str,
        book: PairBook,
        spot: bool,
        leverage: Decimal,
    ) -> None:
        self.number = 0
        """Its number at the venue, from 1; 0 until it is accepted."""
        self.id = branch_id
        self.client = client
        self.account = account
        self.book = book
        self.spot = spot
        self.leverage = leverage
        self.order: SpotOrder | TradingOrder | None = None
        """What is pending; None when nothing is."""
        self.accepted = 0
        """When the venue accepted it, in nanoseconds."""
        self.charged = 0
        """The last rollover for which it paid what it costs to keep it pending."""
        self.asset: str
        """The asset in which its reserve is held."""
        self.worst: Decimal
        """The price for which it reserves."""
        self.taker = True
        """Whether the fill fee in its reserve is a taker's."""
        self.tally: Tally | None = None
        """What its fills have exchanged and were charged; None while there were none."""
        self.protection: Tally | None = None
        """The same of what protects its positions, or sells again what it bought: together that
        counts as one order."""
        self.terms: Terms | None = None
        """What it asks of the walk beside kind, price and volume; None for nothing."""
        self.expires: int | None = None
        """When it expires, in nanoseconds; None for never."""
        self.total_filled = ZERO
        self.oco: OcoGroup | None = None
        """Its one-cancels-other group, which it has left when nothing of it is pending."""
        self.oco_member = 0
        self.nets = False
        """Whether it closes what is open on the other side before it opens anything."""
        self.reduces = False
        """Whether it opens nothing at all (reduce-only)."""
        self.offset = ZERO
        """How much of its order reserves nothing, since it is to close what is open already."""
        self.closing: Closing | None = None
        """As what it closes the other side, once it has."""
        self.working: Working
        self.group: Group
        self.part: OpenPart | None = None
        """What an exit sells: its legs are the exits of this part, and its ``working`` is one of
        them. None for all other orders."""
        self.holdings: list[Holding] = []
        """Its open positions, oldest first."""

    @property
    def sums(self) -> Sums:
        """What its fills have exchanged and were charged so far."""
        tally = self.tally
        return NOTHING if tally is None else tally.sums

    def own_tally(self) -> Tally:
        """Where that is kept."""
        if self.tally is None:
            self.tally = Tally()
        return self.tally

    def protecting_tally(self) -> Tally:
        """Where it is kept for what protects its positions, or sells again what it bought."""
        if self.protection is None:
            self.protection = Tally()
        return self.protection

    @property
    def is_bracket(self) -> bool:
        """Whether what it buys goes to an exit: a spot order with a stop-loss or take-profit."""
        order = self.order
        return (
            self.spot
            and order is not None
            and (order.stop_loss is not None or order.take_profit is not None)
        )

    @property
    def is_of_bracket(self) -> bool:
        """Whether it is the exit of a spot bracket, which belongs to its entry."""
        order = self.order
        return (
            self.part is not None
            and isinstance(order, SpotOrder)
            and order.entry_order_id != order.root_id
        )

    def resize(self, volume: Decimal) -> None:
        """``volume`` is what is left of its order now."""
        self.working.volume = volume
        if self.part is not None:
            self.part.volume = volume
            for leg in self.part.exits:
                leg.volume = volume


class Closing:
    """An order to close a position: explicit, stop-loss, take-profit or liquidation."""

    __slots__ = ("_tally", "command", "holding", "id", "kind", "level", "working")

    def __init__(self, closing_id: UUID, kind: str, holding: Holding) -> None:
        self.id = closing_id
        self.kind = kind
        """``close``, ``stop_loss``, ``take_profit`` or ``liquidation``; ``netting`` for an order
        of the other side."""
        self.holding = holding
        self._tally: Tally | None = None
        self.command = 0
        """The owner's command that asked for it; 0 for none."""
        self.level: Decimal | None = None
        """Where its owner was last told that it stands."""
        self.working: Working = None  # type: ignore[assignment]

    @property
    def tally(self) -> Tally:
        """What it was charged, with all that counts as one order with it: what protects the
        positions of a branch does, and what one command closes."""
        if self._tally is None:
            protects = self.kind in ("stop_loss", "take_profit")
            self._tally = self.holding.branch.protecting_tally() if protects else Tally()
        return self._tally

    @tally.setter
    def tally(self, tally: Tally) -> None:
        self._tally = tally


class Holding:
    """One open position (hedging: every filled part is one), with what may close it."""

    __slots__ = ("branch", "closings", "gains", "group", "order", "part", "since")

    def __init__(self, branch: Branch, order: TradingOrder, part: OpenPart) -> None:
        self.branch = branch
        self.order = order
        self.part = part
        self.closings: list[Closing] = []
        self.gains = NO_GAINS
        """What its closes came to so far."""
        self.since = 0
        """The earliest moment at which it can have been opened, in nanoseconds; later where it has
        paid ahead what fell due before."""
        self.group = Group(entry=None, parts=[part])

    def closing(self, kind: str) -> Closing | None:
        """Its stop-loss, take-profit or liquidation, if it has one."""
        for closing in self.closings:
            if closing.kind == kind:
                return closing
        return None

    def put(self, closing: Closing, working: Working) -> None:
        """Let ``working`` act on the position."""
        closing.working = working
        closing.level = working.price
        self.closings.append(closing)
        self.part.exits.append(working)

    def take(self, closing: Closing) -> None:
        """Let it act no more."""
        self.closings.remove(closing)
        self.part.exits.remove(closing.working)


def is_live(working: Working) -> bool:
    """Whether what it stands for is pending still."""
    key = working.key
    if type(key) is Branch:
        if key.part is not None:
            return key.order is not None and working in key.part.exits
        return key.order is not None and key.working is working
    return key in key.holding.closings
