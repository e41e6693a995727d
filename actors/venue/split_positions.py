"""The open positions of an order shared out to several branches."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from backtest.actors.protocol import EventKind, Facts
from backtest.errors import RejectReason
from backtest.models import TradingOrder
from backtest.money import ZERO, add, plain, sub
from backtest.services.orders.operations import modify, split

from .branch import Branch, Holding
from .checks import check_protection, refuse
from .positions import drop_holding, open_holding
from .venue import Venue

__all__ = ["PositionSplitting"]

Piece = tuple[int, Decimal]
"""To which of the new branches, and how much."""


class PositionSplitting:
    """Splits what an order has open, in however many parts it filled.

    The new branches take their volumes from the positions in turn, the oldest first; a position
    at the border of two goes to both.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def split(
        self,
        branch: Branch,
        volumes: Sequence[Decimal],
        take_profits: Sequence[Decimal | None] | None,
        command: int,
    ) -> None:
        """Make a branch for each of ``volumes``, each with its own take-profit if there are any."""
        self._check(branch, volumes, take_profits)
        owners: list[Branch | None] = [None] * len(volumes)
        shares = _shares([one.part.volume for one in branch.holdings], volumes)
        last = len(shares) - 1
        for place, (holding, pieces) in enumerate(zip(list(branch.holdings), shares, strict=True)):
            parts = self._pieces(holding, pieces, take_profits)
            self._share_out(branch, holding, pieces, parts, owners, command if place == last else 0)

    def _check(
        self,
        branch: Branch,
        volumes: Sequence[Decimal],
        take_profits: Sequence[Decimal | None] | None,
    ) -> None:
        if any(one.kind == "close" for holding in branch.holdings for one in holding.closings):
            refuse(RejectReason.STALE, "a close of this position is pending: cancel it first")
        if len(volumes) < 2:
            refuse(RejectReason.INVALID_VOLUME, "a split needs two or more positive volumes")
        total = there = ZERO
        for volume in volumes:
            total = add(total, volume)
        for holding in branch.holdings:
            there = add(there, holding.part.volume)
        if total != there:
            refuse(
                RejectReason.STALE,
                f"the parts sum to {plain(total)}, but {plain(there)} is there to split",
            )
        price = branch.book.last
        for target in take_profits or ():
            if target is not None and price is not None:
                check_protection(branch.holdings[0].part.long, price, None, target)

    def _pieces(
        self,
        holding: Holding,
        pieces: Sequence[Piece],
        take_profits: Sequence[Decimal | None] | None,
    ) -> tuple[TradingOrder, ...]:
        """The orders that a position goes on as."""
        venue, order = self._venue, holding.order
        ids = [venue.ids.draw() for _ in pieces]
        parts: tuple[TradingOrder, ...]
        if len(pieces) == 1:  # all of it goes to one of the branches
            replaced, child = modify(order, at=venue.at, new_id=ids[0], changes={})
            parts = (child,)
        else:
            replaced, parts = split(
                order,
                at=venue.at,
                volumes=[volume for _, volume in pieces],
                ids=ids,
                step=holding.branch.book.step,
            )
        venue.records.keep(replaced)
        for (owner, _), part in zip(pieces, parts, strict=True):
            target = None if take_profits is None else take_profits[owner]
            if target is not None:
                part.__dict__["take_profit"] = target  # copies that are ours alone still
        return parts

    def _share_out(
        self,
        branch: Branch,
        holding: Holding,
        pieces: Sequence[Piece],
        parts: Sequence[TradingOrder],
        owners: list[Branch | None],
        command: int,
    ) -> None:
        venue = self._venue
        replaced = holding.order
        closings = list(holding.closings)
        waits = {working: at for at, working in branch.book.waiting}
        drop_holding(venue, holding)
        children = []
        positions: list[tuple[UUID, TradingOrder | None]] = [(replaced.id, None)]
        for (place, _), part in zip(pieces, parts, strict=True):
            own = owners[place]
            if own is None:
                own = owners[place] = self._new_branch(branch, part)
            part.__dict__["branch_id"] = own.id
            own.total_filled = add(own.total_filled, part.volume)
            piece = open_holding(venue, own, part)
            piece.since = holding.since
            self._inherit(piece, closings, waits)
            venue.take_on(part, own)
            children.append((own.number, part))
            positions.append((part.id, part))
        venue.publisher.tell(
            EventKind.SPLIT,
            branch,
            venue.records.orders[replaced.order_number - 1],
            command=command,
            facts=Facts(parts=tuple(part.volume for part in parts)),
            children=tuple(children),
            positions=tuple(positions),
        )

    def _new_branch(self, branch: Branch, part: TradingOrder) -> Branch:
        own = Branch(part.id, branch.client, branch.account, branch.book, False, branch.leverage)
        own.number = self._venue.next_branch()
        own.asset, own.taker = branch.asset, branch.taker
        own.worst, own.working = branch.worst, branch.working
        return own

    def _inherit(self, piece: Holding, closings: Sequence[Any], waits: dict[Any, int]) -> None:
        """Protection that is as it was keeps its place; another take-profit is accepted now."""
        venue, waiting = self._venue, piece.branch.book.waiting
        before = {one.kind: one for one in closings}
        for closing in piece.closings:
            old, working = before.get(closing.kind), closing.working
            if closing.kind == "liquidation" and old is None:
                continue
            if old is None or (
                closing.kind != "liquidation" and old.working.price != working.price
            ):
                working.fresh = True
                waiting.append((venue.now, working))
                continue
            working.triggered, working.sequence = old.working.triggered, old.working.sequence
            working.fresh = old.working.fresh
            if old.working in waits:
                waiting.append((waits[old.working], working))


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
