"""The open positions of an order shared out to several branches."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from backtest.actors.protocol import EventKind, Facts
from backtest.errors import RejectReason
from backtest.models import TradingOrder
from backtest.money import ZERO, add, plain, sub
from backtest.services.fills.walk import Working
from backtest.services.orders.operations import modify, split
from backtest.services.orders.revision import Revision

from .branch import Branch
from .checks import check_protection, refuse
from .position import Closing, Lot, Opened, Position
from .positions import drop_lot, new_lot, protect, restate, revalue
from .venue import Venue

__all__ = ["PositionSplitting"]

Piece = tuple[int, Decimal]
"""To which of the new branches, and how much."""


class PositionSplitting:
    """Splits what an order has open, in however many parts it filled.

    The new branches take their volumes from its orders in turn, the oldest first; an order at the
    border of two goes to both. On a netting account they stay lots of one position, whose margin is
    not divided; else each is a position of its own.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def split(
        self,
        lot: Lot,
        volumes: Sequence[Decimal],
        take_profits: Sequence[Decimal | None] | None,
        command: int,
    ) -> None:
        """Make a branch for each of ``volumes``, each with its own take-profit if there are any."""
        self._check(lot, volumes, take_profits)
        venue, branch, opened = self._venue, lot.branch, list(lot.opened)
        positions = self._positions(lot, volumes)
        closings = list(lot.exits)
        waits = {working: at for at, working in branch.book.waiting}
        made: dict[int, Lot] = {}
        drop_lot(venue, lot)
        shares = _shares([one.order.volume for one in opened], volumes)
        told: list[tuple[Revision, list[tuple[int, Revision]]]] = []
        for one, pieces in zip(opened, shares, strict=True):
            parts = self._pieces(branch, one.order, pieces, take_profits)
            children = []
            for (place, _), part in zip(pieces, parts, strict=True):
                own = made.get(place)
                if own is None:
                    own = made[place] = self._new_lot(branch, part, positions[place])
                self._add(own, one, part, closings, waits)
                children.append((own.branch.number, own.opened[-1].order))
            told.append((one.order, children))
        if lot.position.account not in venue.netting:
            for position in positions:
                restate(venue, position)
        for number, (order, children) in enumerate(told, 1):
            # Restated: the parts of what filled at several prices have those of the whole.
            now = [(owner, self._now(part)) for owner, part in children]
            venue.publisher.tell(
                EventKind.SPLIT,
                branch,
                self._now(order),
                command=command if number == len(told) else 0,
                facts=Facts(parts=tuple(part.volume for _, part in now)),
                children=tuple(now),
                positions=((order.id, None), *((part.id, part) for _, part in now)),
            )

    def _now(self, order: Revision) -> Revision:
        """An order in its last state."""
        return self._venue.records.orders.revisions[order.number - 1]

    def _check(
        self,
        lot: Lot,
        volumes: Sequence[Decimal],
        take_profits: Sequence[Decimal | None] | None,
    ) -> None:
        if any(one.role == "close" for one in lot.exits):
            refuse(RejectReason.STALE, "a close of this position is pending: cancel it first")
        if len(volumes) < 2:
            refuse(RejectReason.INVALID_VOLUME, "a split needs two or more positive volumes")
        total, there = ZERO, lot.volume
        for volume in volumes:
            total = add(total, volume)
        if total != there:
            refuse(
                RejectReason.STALE,
                f"the parts sum to {plain(total)}, but {plain(there)} is there to split",
            )
        price = lot.branch.book.last
        for target in take_profits or ():
            if target is not None and price is not None:
                check_protection(lot.long, price, None, target)

    def _positions(self, lot: Lot, volumes: Sequence[Decimal]) -> list[Position]:
        """The position of each of the new lots."""
        position, book = lot.position, lot.branch.book
        if position.account in self._venue.netting:
            return [position] * len(volumes)
        pools = position.pool.divided(volumes, book.pair.contract_size, book.step)
        positions = [Position(book, position.account, position.long) for _ in pools]
        for own, pool in zip(positions, pools, strict=True):
            own.pool = pool
        return positions

    def _new_lot(self, branch: Branch, part: TradingOrder, position: Position) -> Lot:
        own = Branch(
            part.id,
            branch.client,
            branch.account,
            branch.book,
            False,
            branch.leverage,
            branch.kind,
            branch.buy,
        )
        own.number = self._venue.next_branch()
        own.asset, own.taker = branch.asset, branch.taker
        own.reservation_price, own.root_id = branch.reservation_price, branch.root_id
        lot = new_lot(own, position)
        if position not in branch.book.positions:
            branch.book.list_position(position)
        branch.book.groups = None
        return lot

    def _add(
        self,
        lot: Lot,
        opened: Opened,
        part: TradingOrder,
        closings: Sequence[Closing],
        waits: dict[Working, int],
    ) -> None:
        """``part`` of what was ``opened`` is the lot's from now on."""
        venue, branch = self._venue, lot.branch
        # A copy that is ours alone still.
        part.__dict__.update(branch_id=branch.id, order_number=venue.next_number())
        branch.total_filled = add(branch.total_filled, part.volume)
        is_new = not lot.opened
        order, price = Revision.of(part), part.fill_price
        assert price is not None
        lot.opened.append(opened._replace(order=order, price=price, margin=part.margin_reserved))
        lot.volume = add(lot.volume, part.volume)
        if is_new and part.stop_loss is not None:
            protect(venue, lot, "stop_loss", part.stop_loss)
        revalue(venue, lot.position)
        if is_new and part.take_profit is not None:
            protect(venue, lot, "take_profit", part.take_profit)
        for closing in lot.exits:
            closing.volume = lot.volume
        if is_new:
            self._inherit(lot, closings, waits)
        venue.take_on(order, branch)

    def _pieces(
        self,
        branch: Branch,
        order: Revision,
        pieces: Sequence[Piece],
        take_profits: Sequence[Decimal | None] | None,
    ) -> tuple[TradingOrder, ...]:
        """The orders that one goes on as."""
        venue = self._venue
        ids = [venue.ids.draw() for _ in pieces]
        parts: tuple[TradingOrder, ...]
        if len(pieces) == 1:  # all of it goes to one of the branches
            replaced, child = modify(order.frozen(), at=venue.at, new_id=ids[0], changes={})
            parts = (child,)
        else:
            replaced, parts = split(
                order.frozen(),
                at=venue.at,
                volumes=[volume for _, volume in pieces],
                ids=ids,
                step=branch.book.step,
            )
        venue.records.orders.keep(Revision.of(replaced))
        for (owner, _), part in zip(pieces, parts, strict=True):
            target = None if take_profits is None else take_profits[owner]
            if target is not None:
                part.__dict__["take_profit"] = target  # copies that are ours alone still
        return parts

    def _inherit(self, lot: Lot, closings: Sequence[Closing], waits: dict[Working, int]) -> None:
        """Protection that is as it was keeps its place; another take-profit is accepted now."""
        venue, waiting = self._venue, lot.branch.book.waiting
        before = {one.role: one for one in closings}
        for closing in lot.exits:
            old = before.get(closing.role)
            if closing.role == "liquidation" and old is None:
                continue
            if old is None or (closing.role != "liquidation" and old.price != closing.price):
                closing.fresh = True
                waiting.append((venue.now, closing))
                continue
            closing.triggered, closing.sequence = old.triggered, old.sequence
            closing.fresh = old.fresh
            if old in waits:
                waiting.append((waits[old], closing))


def _shares(held: Sequence[Decimal], wanted: Sequence[Decimal]) -> list[list[Piece]]:
    """Of each position, the pieces that go to the branches, in order; both sum to the same."""
    shares: list[list[Piece]] = []
    place, left = 0, wanted[0]
    for volume in held:
        pieces: list[Piece] = []
        while volume > ZERO:
            if left <= ZERO:
                place += 1
                left = wanted[place]
            taken = min(left, volume)
            pieces.append((place, taken))
            left, volume = sub(left, taken), sub(volume, taken)
        shares.append(pieces)
    return shares
