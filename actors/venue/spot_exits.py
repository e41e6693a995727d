"""Exits: what a spot bracket bought, or an account owned, sold by one order at two prices."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from backtest.actors.protocol import Amend, Balances, EventKind, Facts
from backtest.errors import RejectReason
from backtest.money import ONE, ZERO, plain, sub
from backtest.services.fills.walk import Group, WorkingKind
from backtest.services.ledger.entries import change_reserve
from backtest.services.orders.operations import split
from backtest.services.orders.revision import Revision

from .branch import Branch, Leg, Owned
from .cancel import Cancellation
from .checks import check_grid, check_protection, refuse
from .venue import Venue

__all__ = ["SpotExits"]

_LEGS: tuple[tuple[WorkingKind, str], ...] = (
    ("stop_loss", "stop_price"),
    ("take_profit", "limit_price"),
)
"""The legs of an exit as the walk knows them, and the prices of the order that they stand at."""


class SpotExits:
    """Opens exits, of spot brackets and of what is owned, and changes them when their owner asks.

    An exit walks the bar as the protection of a position does: as a part that the account owns,
    with a stop-loss and a take-profit that share what is left of it.
    """

    def __init__(self, venue: Venue, cancellation: Cancellation) -> None:
        self._venue = venue
        self._cancellation = cancellation

    def open(self, entry: Branch, filled: Revision, price: Decimal) -> Branch:
        """The exit of what ``filled`` bought at ``price``, whose base is in reserve already; not
        yet told of."""
        venue = self._venue
        prices = entry.take_profit, entry.stop_loss
        branch = self._branch(entry, venue.ids.draw(), filled.volume, price, *prices)
        branch.root_id, branch.entry_order_id = branch.id, filled.id
        order = branch.order = venue.begin(branch, filled.volume)
        branch.tally = entry.protecting_tally()
        for kind, name in _LEGS:
            self._put(branch, kind, getattr(branch, name), venue.next_sequence())
        self._list(branch, order)
        return branch

    def sell_owned(self, branch: Branch, order: Revision) -> None:
        """Let ``order``, accepted under ``branch``, sell what the account owned already."""
        venue = self._venue
        part = Owned(branch, order.volume, branch.reservation_price)
        branch.order, branch.accepted = order, venue.now
        branch.part, branch.group = part, Group(None, parts=[part])
        for kind, name in _LEGS:
            self._put_anew(branch, kind, getattr(branch, name))
        self._list(branch, order)

    def _branch(
        self,
        parent: Branch,
        order_id: UUID,
        volume: Decimal,
        price: Decimal,
        limit: Decimal | None,
        stop: Decimal | None,
    ) -> Branch:
        book = parent.book
        kind: WorkingKind = "take_profit" if stop is None else "stop_loss"
        branch = Branch(order_id, parent.client, parent.account, book, True, ONE, kind, False)
        branch.volume = volume
        branch.limit_price, branch.stop_price = limit, stop
        branch.root_id, branch.entry_order_id = parent.root_id, parent.entry_order_id
        branch.asset, branch.accepted = book.base, self._venue.now
        branch.reservation_price = price
        part = Owned(branch, volume, price)
        branch.part, branch.group = part, Group(None, parts=[part])
        return branch

    def _put(
        self, branch: Branch, kind: WorkingKind, price: Decimal | None, sequence: int
    ) -> Leg | None:
        if price is None:
            return None
        part = branch.part
        assert part is not None
        leg = Leg(branch, kind, price, part.volume, sequence)
        part.exits.append(leg)
        branch.kind = part.exits[0].kind
        return leg

    def _put_anew(self, branch: Branch, kind: WorkingKind, price: Decimal | None) -> None:
        """A leg that is accepted now: it waits for the first price that it sees."""
        venue = self._venue
        leg = self._put(branch, kind, price, venue.next_sequence())
        if leg is not None:
            leg.fresh = True
            branch.book.waiting.append((venue.now, leg))

    def _list(self, branch: Branch, order: Revision) -> None:
        """It is pending from now on: on the rest of the path, and from the next bar on."""
        venue, book = self._venue, branch.book
        branch.number = venue.next_branch()
        venue.branch_of[order.id.int] = branch
        book.list_order(branch)
        venue.records.orders.keep(order)

    # -- what its owner asks for -------------------------------------------------------------------

    async def modify(self, branch: Branch, action: Amend) -> None:
        """Other prices, or less volume; the new order is a child in the same branch."""
        venue, order, part = self._venue, branch.order, branch.part
        assert order is not None
        assert part is not None
        changes = self._changes(branch, action)
        leaves = order.volume
        if action.volume is not None:
            leaves = sub(action.volume, branch.total_filled)
            if leaves > order.volume:
                refuse(
                    RejectReason.INVALID_VOLUME,
                    f"an exit can only be made smaller: {plain(order.volume)} are left of it",
                )
            if leaves <= ZERO:
                await self._cancellation.modify_away(branch, action.volume, action.command)
                return
        balances: Balances = {}
        legs = change_reserve(branch.account, branch.asset, order.reserved, leaves)
        if legs:
            balances = await venue.post(legs, branch.id, "order modified")
        venue.records.orders.keep(order.replaced(venue.now))
        new_id, number = venue.ids.draw(), venue.next_number()
        venue.live_on(branch, order.modified(new_id, number, leaves, changes, leaves))
        for name, price in changes.items():
            setattr(branch, name, price)
        branch.resize(leaves)
        for kind, name in _LEGS:
            if name in changes:
                self._replace(branch, kind, getattr(branch, name))
        branch.book.groups = None
        venue.publisher.tell(
            EventKind.MODIFIED,
            branch,
            branch.order,
            command=action.command,
            balances=balances,
            facts=Facts(changed=tuple(sorted(changes))),
        )

    def _changes(self, branch: Branch, action: Amend) -> dict[str, Decimal | None]:
        """The prices that a modify asks for; ``stop_loss`` is another name for the stop price,
        ``take_profit`` for the limit."""
        pair, last = branch.book.pair, branch.book.last
        if action.trail is not None or action.trail_percent is not None or action.expires_at:
            refuse(RejectReason.INVALID_ACTION, "an exit has two prices: it trails and expires not")
        changes: dict[str, Decimal | None] = {}
        for kind, name in _LEGS:
            own, other = getattr(action, name), getattr(action, kind)
            if own is not None and other is not None and own != other:
                refuse(RejectReason.INVALID_ACTION, f"{name} and {kind} are the same price here")
            price = other if own is None else own
            if price is not None:
                changes[name] = price
            elif kind in action.clear:
                changes[name] = None
        check_grid(pair, action.volume, *changes.values())
        if not changes and action.volume is None:
            refuse(RejectReason.NOTHING_TO_CHANGE, "the modify names nothing to change")
        stop = changes.get("stop_price", branch.stop_price)
        limit = changes.get("limit_price", branch.limit_price)
        if stop is None and limit is None:
            refuse(RejectReason.INVALID_ACTION, "an exit without a price: cancel it instead")
        if changes and last is not None:
            check_protection(True, last, stop, limit)
        return changes

    def _replace(self, branch: Branch, kind: WorkingKind, price: Decimal | None) -> None:
        """Give the exit a leg accepted now, in the place of the old one."""
        part = branch.part
        assert part is not None
        part.exits[:] = [one for one in part.exits if one.kind != kind]
        self._put_anew(branch, kind, price)
        branch.kind = part.exits[0].kind

    def split(
        self,
        branch: Branch,
        volumes: Sequence[Decimal],
        prices: Sequence[Decimal | None] | None,
        command: int,
    ) -> None:
        """Make several exits of one, each with its own take-profit if ``prices`` are given."""
        venue, book, order = self._venue, branch.book, branch.order
        assert order is not None
        assert branch.part is not None
        parts = split(
            order.frozen(),
            at=venue.at,
            volumes=volumes,
            ids=[venue.ids.draw() for _ in volumes],
            limit_prices=prices,
            step=book.step,
            reserves=volumes,
        )
        if prices is not None and book.last is not None:
            for part in parts.parts:
                check_protection(True, book.last, part.stop_price, part.limit_price)
        replaced = Revision.of(parts.replaced)
        venue.records.orders.keep(replaced)
        old = {leg.kind: leg for leg in branch.part.exits}
        waits = {working: at for at, working in book.waiting}
        children = []
        for part in parts.parts:
            part.__dict__["order_number"] = venue.next_number()  # a copy that is ours alone still
            order = Revision.of(part)
            at = branch.part.entry_price
            prices_of = part.limit_price, part.stop_price
            own = self._branch(branch, part.id, part.volume, at, *prices_of)
            own.order = order
            for kind, name in _LEGS:
                was, price = old.get(kind), getattr(part, name)
                if was is None or price != was.price:
                    self._put_anew(own, kind, price)
                    continue
                kept = self._put(own, kind, price, was.sequence)
                assert kept is not None
                kept.triggered, kept.start, kept.fresh = was.triggered, was.start, was.fresh
                if was in waits:
                    book.waiting.append((waits[was], kept))
            self._list(own, order)
            children.append((own.number, order))
        venue.unlist(branch)
        venue.publisher.tell(
            EventKind.SPLIT,
            branch,
            replaced,
            command=command,
            facts=Facts(parts=tuple(volumes)),
            children=tuple(children),
        )
