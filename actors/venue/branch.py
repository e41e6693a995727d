"""An order as the venue keeps it while it lives: what is pending, has filled and was charged."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from backtest.models import PLAIN, Instructions
from backtest.money import ZERO
from backtest.services.fills.walk import Group, OpenPart, Working, WorkingKind
from backtest.services.orders.revision import Revision
from backtest.services.settlement.amounts import NOTHING, Sums, Tally

from .client import Client
from .oco import OcoGroup

if TYPE_CHECKING:
    from .pair_book import PairBook
    from .position import Lot

__all__ = ["Branch", "Leg", "Owned"]


class Branch(Working):
    """One order of a user through all its versions, under the id that its owner knows.

    A fill, a modify or a partial cancel makes a new row in the table of orders; the branch goes on
    with it. All branches that came of one order by splits are a chain (`root_id`). The branch is
    itself the `Working` that walks a bar or stands in a book; for an exit of spot its two legs are.
    """

    __slots__ = (
        "accepted",
        "account",
        "asset",
        "book",
        "charged",
        "client",
        "entry_order_id",
        "expires",
        "group",
        "id",
        "instructions",
        "is_underfunded",
        "leverage",
        "limit_price",
        "lot",
        "number",
        "oco",
        "oco_member",
        "offset",
        "order",
        "part",
        "protection",
        "reservation_price",
        "root_id",
        "stop_loss",
        "stop_price",
        "take_profit",
        "taker",
        "tally",
        "total_filled",
    )

    limit_price: Decimal | None
    stop_price: Decimal | None
    stop_loss: Decimal | None
    take_profit: Decimal | None

    def __init__(
        self,
        branch_id: UUID,
        client: Client,
        account: str,
        book: PairBook,
        spot: bool,
        leverage: Decimal,
        kind: WorkingKind,
        buy: bool,
    ) -> None:
        super().__init__(kind, buy, None, ZERO)
        self.spot = spot
        self.number = 0
        """Its number at the venue, from 1; 0 until it is accepted."""
        self.id = branch_id
        self.client = client
        self.account = account
        self.book = book
        self.leverage = leverage
        self.order: Revision | None = None
        """What is pending, as it is now; None when nothing is."""
        self.root_id = branch_id
        """The id of the first order of its chain."""
        self.entry_order_id: UUID | None = None
        """Of an exit of spot: the order that bought what it sells, or its own id."""
        self.limit_price = self.stop_price = self.stop_loss = self.take_profit = None
        self.instructions: Instructions = PLAIN
        self.accepted = 0
        """When the venue accepted it, in nanoseconds."""
        self.charged = 0
        """The last rollover for which it paid what it costs to keep it pending."""
        self.asset: str
        """The asset in which its reserve is held."""
        self.reservation_price: Decimal
        """The price for which it reserves."""
        self.taker = True
        """Whether the fill fee in its reserve is a taker's."""
        self.tally: Tally | None = None
        """What its fills have exchanged and were charged; None while there were none."""
        self.protection: Tally | None = None
        """The same of what protects its positions, or sells again what it bought: together that
        counts as one order."""
        self.expires: int | None = None
        """When it expires, in nanoseconds; None for never."""
        self.total_filled = ZERO
        self.oco: OcoGroup | None = None
        """Its one-cancels-other group, which it has left when nothing of it is pending."""
        self.oco_member = 0
        self.offset = ZERO
        """How much of its order reserves nothing, since it is to close what is open already."""
        self.is_underfunded = False
        """Whether its reserve is not fully there, since what it closes of the other side is to
        bring the rest: what is missing at the fill is cancelled then."""
        self.group: Group
        self.part: OpenPart | None = None
        """What an exit sells: its legs are the exits of this part. None for all other orders."""
        self.lot: Lot | None = None
        """What it has open."""

    @property
    def is_live(self) -> bool:
        return self.order is not None

    @property
    def sums(self) -> Sums:
        """What its fills have exchanged and were charged so far."""
        tally = self.tally
        return NOTHING if tally is None else tally.sums

    def own_tally(self) -> Tally:
        """The tally of its own fills; made if there is none yet."""
        if self.tally is None:
            self.tally = Tally()
        return self.tally

    def protecting_tally(self) -> Tally:
        """The tally of what protects its positions, or sells again what it bought; likewise."""
        if self.protection is None:
            self.protection = Tally()
        return self.protection

    @property
    def is_bracket(self) -> bool:
        """Whether what it buys goes to an exit: a spot order with a stop-loss or take-profit."""
        return self.spot and (self.stop_loss is not None or self.take_profit is not None)

    @property
    def is_of_bracket(self) -> bool:
        """Whether it is the exit of a spot bracket, which belongs to its entry."""
        return self.part is not None and self.entry_order_id != self.root_id

    def resize(self, volume: Decimal) -> None:
        """``volume`` is what is left of its order now."""
        self.volume = volume
        if self.part is not None:
            self.part.volume = volume
            for leg in self.part.exits:
                leg.volume = volume


class Leg(Working):
    """One of the two prices of an exit of spot: its stop-loss or its take-profit."""

    __slots__ = ("branch",)

    def __init__(
        self, branch: Branch, kind: WorkingKind, price: Decimal, volume: Decimal, sequence: int
    ) -> None:
        super().__init__(kind, False, price, volume, sequence=sequence)
        self.branch = branch
        """The exit."""

    @property
    def is_live(self) -> bool:
        branch = self.branch
        return branch.order is not None and branch.part is not None and self in branch.part.exits


class Owned(OpenPart):
    """What an exit of spot sells."""

    __slots__ = ("branch",)

    def __init__(self, branch: Branch, volume: Decimal, price: Decimal) -> None:
        super().__init__(True, volume, price, ZERO, [])
        self.branch = branch
        """The exit."""
