"""An open position: its lots, what each order has of it, and what may close them.

A `Position` has a `Lot` for each order that has something open, and a lot an `Opened` for each of
its fills. A `Closing` is an order that closes a lot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from backtest.money import ZERO, sub
from backtest.services.fills.walk import Group, OpenPart, Working, WorkingKind
from backtest.services.orders.revision import Revision
from backtest.services.settlement.amounts import Tally
from backtest.services.settlement.pool import EMPTY, Pool

from .branch import Branch, Leg

if TYPE_CHECKING:
    from .pair_book import PairBook

__all__ = ["Closing", "Lot", "Opened", "Piece", "Position", "branch_of"]


class Opened(NamedTuple):
    """A fill of which something is open: its order as it is now."""

    order: Revision
    price: Decimal
    """Its own price; after a partial close the average of the position."""
    margin: Decimal
    """Its share of the margin of the position, as its order shows it."""
    since: int
    """The earliest moment at which it can have been opened, in nanoseconds; later where it has paid
    ahead what fell due before."""
    age: int = 0
    """Its place among the fills of the position, oldest first."""


class Position:
    """What an account has open on one side of a pair: on a netting account all of it, else what one
    order has opened. Cost and margin are one for all its lots, and so is its liquidation price."""

    __slots__ = (
        "account",
        "book",
        "fills",
        "group",
        "liquidation",
        "long",
        "lots",
        "number",
        "pool",
        "tally",
    )

    def __init__(self, book: PairBook, account: str, long: bool) -> None:
        self.book = book
        self.account = account
        self.long = long
        self.pool: Pool = EMPTY
        self.lots: list[Lot] = []
        """Oldest first."""
        self.number = 0
        """Its place among all that there ever were on the pair."""
        self.fills = 0
        """How many have opened something of it."""
        self.liquidation: Decimal | None = None
        """The price at which it is liquidated; None for never, or where the account is called."""
        self.tally = Tally()
        """What its liquidation was charged: of all lots that counts as one order."""
        self.group = Group(entry=None)

    def closing(self, price: Decimal, volume: Decimal, liquidates: bool = False) -> Pool:
        """Its numbers for a fill at ``price`` that closes up to ``volume`` of it. What one that
        ``liquidates`` a part has lost is paid of the margin first, and the rest of the margin is
        what may still be lost."""
        book, pool = self.book, self.pool
        return pool.closing(
            self.long,
            price,
            min(volume, pool.volume),
            book.pair.contract_size,
            book.step,
            isolated=self.account not in book.crossed,
            liquidates=liquidates,
        )

    def standing(self, due: int) -> Decimal:
        """How much of it can have been open by ``due``."""
        total = self.pool.volume
        for lot in self.lots:
            for one in lot.opened:
                if one.since > due:
                    total = sub(total, one.order.volume)
        return total

    def pieces(self, volume: Decimal) -> Iterator[Piece]:
        """What a close of ``volume`` takes, whosever it is: the oldest fills first."""
        fills = [
            (one.age, place, lot, one.order)
            for place, lot in enumerate(self.lots)
            for one in lot.opened
        ]
        fills.sort(key=itemgetter(0, 1))
        return _taken(((lot, order) for _, _, lot, order in fills), volume)


class Lot(OpenPart):
    """What one order has of a position, by the orders that filled; its protections and closes act
    on it alone."""

    __slots__ = ("branch", "opened")

    exits: list[Closing]
    position: Position

    def __init__(self, branch: Branch, position: Position) -> None:
        super().__init__(position.long, ZERO, ZERO, ZERO, [], position)
        self.branch = branch
        self.opened: list[Opened] = []
        """Its fills, oldest first."""

    @property
    def order(self) -> Revision:
        """The oldest of its orders: a close takes from it first."""
        return self.opened[0].order

    def renew(self, place: int, order: Revision) -> None:
        """Let ``order`` be the state of the fill at ``place``."""
        self.opened[place] = self.opened[place]._replace(order=order)

    def pieces(self, volume: Decimal) -> Iterator[Piece]:
        """What a close of ``volume`` takes of it, the oldest fills first."""
        return _taken(((self, one.order) for one in self.opened), volume)

    def closing(self, role: str) -> Closing | None:
        """Its stop-loss, take-profit or liquidation, if it has one."""
        for closing in self.exits:
            if closing.role == role:
                return closing
        return None

    def put(self, closing: Closing) -> None:
        """Let ``closing`` act on it."""
        closing.level = closing.price
        self.exits.append(closing)


Piece = tuple[Lot, Revision, Decimal]
"""What a close takes of an open order, and of which lot that is."""


def _taken(fills: Iterable[tuple[Lot, Revision]], volume: Decimal) -> Iterator[Piece]:
    """What a close of ``volume`` takes of ``fills``, one after the other."""
    for lot, order in fills:
        if volume <= ZERO:
            return
        own = min(volume, order.volume)
        yield lot, order, own
        volume = sub(volume, own)


class Closing(Working):
    """An order to close a lot: explicit, stop-loss, take-profit or liquidation."""

    __slots__ = ("_tally", "command", "id", "level", "lot", "role")

    def __init__(
        self,
        closing_id: UUID,
        role: str,
        lot: Lot,
        kind: WorkingKind,
        price: Decimal | None = None,
        sequence: int = 0,
        *,
        command: int = 0,
        tally: Tally | None = None,
    ) -> None:
        super().__init__(kind, not lot.long, price, lot.volume, sequence=sequence)
        self.id = closing_id
        self.role = role
        """``close``, ``stop_loss``, ``take_profit`` or ``liquidation``; ``netting`` for an order
        of the other side."""
        self.lot = lot
        self._tally = tally
        self.command = command
        """The owner's command that asked for it; 0 for none."""
        self.level: Decimal | None = None
        """The price at which its owner was last told that it stands."""

    @property
    def is_live(self) -> bool:
        return self in self.lot.exits

    @property
    def branch(self) -> Branch:
        """Whose it is."""
        return self.lot.branch

    @property
    def tally(self) -> Tally:
        """What it was charged, with all that counts as one order with it: what protects the lots
        of a branch does, and what liquidates a position."""
        if self._tally is None:
            if self.role in ("stop_loss", "take_profit"):
                self._tally = self.lot.branch.protecting_tally()
            elif self.role == "liquidation":
                self._tally = self.lot.position.tally
            else:
                self._tally = Tally()
        return self._tally


def branch_of(working: Working) -> Branch:
    """Whose it is: an order itself, the exit of a leg, the order that opened what it closes."""
    if type(working) is Branch:
        return working
    assert isinstance(working, Leg | Closing)
    return working.branch
