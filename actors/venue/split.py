"""One order or position made into several, each a branch of its own."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from backtest.actors.protocol import Amend, Balances, EventKind, Facts
from backtest.errors import InsufficientFunds, RejectReason
from backtest.money import ZERO, add, plain, sub
from backtest.services.ledger.entries import change_reserve
from backtest.services.orders.expiry import terms_of
from backtest.services.orders.operations import apportion, split
from backtest.services.orders.revision import Revision, View
from backtest.services.settlement.amounts import NOTHING

from .branch import Branch
from .checks import (
    check_cross,
    check_dust,
    check_grid,
    check_least,
    check_post_only,
    check_protection,
    check_room,
    check_sale,
    has_expired,
    refuse,
    refuse_expired,
    sold_at,
    takes,
)
from .fill_plans import owed
from .split_positions import PositionSplitting
from .spot_exits import SpotExits
from .venue import Venue

__all__ = ["Splitting"]


class Splitting:
    """Carries out split commands; raises `OrderRejected` with nothing changed."""

    def __init__(self, venue: Venue, exits: SpotExits) -> None:
        self._venue = venue
        self._exits = exits
        self._positions = PositionSplitting(venue)

    async def split(self, branch: Branch, action: Amend) -> None:
        """Make two or more branches of a pending order, or of what is open of one."""
        volumes = action.volumes
        prices = action.limit_prices
        for volume in volumes:
            check_grid(branch.book.pair, volume)
        targets = action.take_profits
        if prices is not None:
            check_grid(branch.book.pair, None, *prices)
        if targets is not None:
            check_grid(branch.book.pair, None, *targets)
            if len(targets) != len(volumes):
                refuse(RejectReason.INVALID_PRICE, "give one take-profit per part")
        if branch.order is not None:
            check_room(branch.book, branch.account, len(volumes) - 1)
        if branch.part is not None:
            if prices is not None and targets is not None:
                refuse(RejectReason.INVALID_ACTION, "an exit's limit price is its take-profit")
            self._exits.split(branch, volumes, prices or targets, action.command)
        elif branch.order is not None:
            await self._split_order(branch, volumes, prices, targets, action.command)
        elif branch.lot is not None:
            if prices is not None:
                refuse(RejectReason.INVALID_ACTION, "a position has no limit prices")
            self._positions.split(branch.lot, volumes, targets, action.command)
        else:
            refuse(RejectReason.ALREADY_DONE, "this order is done")

    async def _split_order(
        self,
        branch: Branch,
        volumes: Sequence[Decimal],
        prices: Sequence[Decimal] | None,
        targets: Sequence[Decimal | None] | None,
        command: int,
    ) -> None:
        venue, book = self._venue, branch.book
        order = branch.order
        assert order is not None
        self._check_splits(branch, order, prices, targets)
        ids = [venue.ids.draw() for _ in volumes]
        parts = split(
            order.frozen(),
            at=venue.at,
            volumes=volumes,
            ids=ids,
            limit_prices=prices,
            step=book.step,
        )
        for target, made in zip(targets or (), parts.parts, strict=False):
            if target is not None:
                made.__dict__["take_profit"] = target  # a copy that is ours alone still
        branches = [
            self._part_branch(branch, part, prices is None or prices[place] == branch.limit_price)
            for place, part in enumerate(parts.parts)
        ]
        if branch.nets:
            _share_offset(branch, branches)
        balances = await self._reserve(
            branch, order, parts.parts, branches, prices is not None or targets is not None
        )
        replaced = Revision.of(parts.replaced)
        venue.records.orders.keep(replaced)
        children = self._list_parts(branch, parts.parts, branches)
        venue.unlist(branch)
        venue.publisher.tell(
            EventKind.SPLIT,
            branch,
            replaced,
            command=command,
            facts=Facts(parts=tuple(volumes)),
            children=children,
            balances=balances,
        )

    def _check_splits(
        self,
        branch: Branch,
        order: Revision,
        prices: Sequence[Decimal] | None,
        targets: Sequence[Decimal | None] | None,
    ) -> None:
        """Refuse to split an order that is over, owes fees, or has no such prices."""
        if has_expired(branch, self._venue.now):
            refuse_expired(branch)
        if owed(branch):
            refuse(
                RejectReason.INSUFFICIENT_FUNDS,
                f"its fills cost {plain(owed(branch))} {branch.book.quote} more than "
                "could be paid: that is due "
                "from what it brings next, or when it ends",
            )
        if targets is not None and branch.spot and not branch.buy:
            refuse(RejectReason.NOT_SUPPORTED, "a spot sell has no take_profit")
        if prices is not None and branch.limit_price is None:
            refuse(RejectReason.INVALID_ACTION, "only a limit order can be split to other prices")

    async def _reserve(
        self,
        branch: Branch,
        order: Revision,
        parts: Sequence[View],
        branches: Sequence[Branch],
        moved: bool,
    ) -> Balances:
        """Let the parts reserve what the order did; ``moved``: their prices may be others."""
        venue = self._venue
        total, left = ZERO, order.volume
        for own, part in zip(branches, parts, strict=True):
            # Each part is an order of its own: nothing of it has filled or was charged, and it
            # reserves for all of itself.
            self._check_part(own, part, moved)
            reserve = venue.reserve(own, part.volume)
            if branch.is_underfunded and not moved:
                # It was accepted on what it frees: the parts reserve what the whole did.
                reserve, _ = apportion(sub(order.reserved, total), part.volume, left, own.book.step)
                left = sub(left, part.volume)
            part.__dict__["reserved"] = reserve
            total = add(total, reserve)
        if venue.cross and total > order.reserved:
            check_cross(venue, branch, sub(total, order.reserved))
        legs = change_reserve(branch.account, branch.asset, order.reserved, total)
        if not legs:
            return {}
        try:
            return await venue.post(legs, branch.id, "order split")
        except InsufficientFunds as short:
            refuse(
                RejectReason.INSUFFICIENT_FUNDS,
                f"the parts need {short.needed:f} {short.asset}, {short.available:f} available",
            )

    def _list_parts(
        self, branch: Branch, parts: Sequence[View], branches: Sequence[Branch]
    ) -> tuple[tuple[int, Revision], ...]:
        """Make the parts known, and give them with their numbers; what keeps its place waits since
        the whole was accepted."""
        venue, book = self._venue, branch.book
        waiting = [at for at, working in book.waiting if working is branch]
        book.waiting = [item for item in book.waiting if item[1] is not branch]
        children: list[tuple[int, Revision]] = []
        for own, part in zip(branches, parts, strict=True):
            venue.list_branch(own)
            venue.ocos.inherit(own, branch)
            accepted = book.waiting.pop()
            if own.sequence != branch.sequence:
                book.waiting.append(accepted)
            elif waiting:
                book.waiting.append((waiting[0], own))
            part.__dict__["order_number"] = venue.next_number()  # a copy that is ours alone still
            order = Revision.of(part)
            venue.live_on(own, order)
            children.append((own.number, order))
        return tuple(children)

    def _check_part(self, own: Branch, part: View, moved: bool) -> None:
        """Refuse a part that would be refused as an order; ``moved``: its prices may be others."""
        venue, book, buy = self._venue, own.book, own.buy
        price = part.limit_price or part.stop_price or book.last
        check_least(book, part.volume, price)
        if moved and price is not None:
            check_protection(buy, price, part.stop_loss, part.take_profit)
        if own.spot:
            asked = part.limit_price or part.stop_price
            price = own.reservation_price if buy else sold_at(book, asked, own.reservation_price)
            check_dust(book, buy, NOTHING, part.volume, price)
            if not buy and book.fees.may_exceed:
                check_sale(venue, own, part.volume, price)

    def _part_branch(self, parent: Branch, part: View, keeps_place: bool) -> Branch:
        venue = self._venue
        own = Branch(
            part.id,
            parent.client,
            parent.account,
            parent.book,
            parent.spot,
            parent.leverage,
            parent.kind,
            parent.buy,
        )
        own.asset, own.taker = parent.asset, parent.taker
        own.terms, own.expires = parent.terms, parent.expires
        own.reservation_price, own.accepted, own.charged = (
            parent.reservation_price,
            parent.accepted,
            parent.charged,
        )
        own.nets, own.reduces, own.is_underfunded = (
            parent.nets,
            parent.reduces,
            parent.is_underfunded,
        )
        if not keeps_place:
            buy, limit, stop = parent.buy, part.limit_price, part.stop_price
            now = parent.book.meets(buy)
            own.reservation_price = parent.book.worst_price(buy, limit, stop, now)
            own.taker = takes(buy, limit, stop if parent.kind == "stop_limit" else now)
            was_stop = parent.terms is not None and parent.terms.limit is not None
            own.terms = terms_of(limit if was_stop else None, part.instructions)
            if part.instructions.post_only:
                check_post_only(parent.kind, buy, limit, stop, now, part.instructions)
        own.root_id, own.instructions, own.order = (
            parent.root_id,
            part.instructions,
            Revision.of(part),
        )
        own.limit_price, own.stop_price = part.limit_price, part.stop_price
        own.stop_loss, own.take_profit = part.stop_loss, part.take_profit
        venue.enter(own, parent.kind)
        own.triggered = parent.triggered
        if keeps_place:
            own.sequence, own.fresh = parent.sequence, parent.fresh
            own.start = parent.start
        return own


def _share_offset(parent: Branch, parts: Sequence[Branch]) -> None:
    """Let each part close its share of what the whole was to close of the other side."""
    left, whole = parent.offset, parent.volume
    for own in parts:
        volume = own.volume
        share, left = apportion(left, volume, whole, own.book.pair.volume_increment)
        own.offset = min(share, volume)
        whole = sub(whole, volume)
