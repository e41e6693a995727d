"""What a fill comes to for the one whose order it is, worked out whole before it is posted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from uuid import UUID

from backtest.money import ZERO, add, sub
from backtest.services.fills.walk import Working
from backtest.services.ledger.entries import (
    CLEARING,
    MARKET,
    Leg,
    close_position,
    fill_trading,
    release,
)
from backtest.services.settlement.amounts import Opening, Spot, Sums
from backtest.services.settlement.pool import Pool

from .branch import Branch
from .close_plans import CloseTerms, covered, priced
from .fill_plans import opening_plan, spot_legs, spot_plan
from .pair_book import PairBook
from .position import Closing, Piece, Position, branch_of
from .venue import Venue

__all__ = ["FillSide", "Segment"]

Segment = tuple[UUID, Sequence[Leg]]
"""The legs of one order in an entry of several."""


class FillSide:
    """What a fill of ``wanted`` at ``price`` would be for the owner of ``working``.

    Made before anything is posted, and made again where somebody cannot pay for all of it, or has
    found more money: `volume` is what this side can pay for. `segments` are its legs of the entry.
    ``against`` is who bears what it gains: `MARKET` on historical data; `CLEARING` where agents
    trade with each other, and what a spot fill exchanges goes to the other agent.
    """

    __slots__ = (
        "account",
        "against",
        "book",
        "branch",
        "closes",
        "kept_after_closes",
        "lacks",
        "opens",
        "opens_id",
        "order_id",
        "own",
        "plan",
        "price",
        "segments",
        "taker",
        "volume",
        "working",
    )

    def __init__(
        self,
        venue: Venue,
        book: PairBook,
        working: Working,
        wanted: Decimal,
        price: Decimal,
        taker: bool,
        *,
        against: str = CLEARING,
        whole: bool = False,
    ) -> None:
        self.book = book
        self.against = against
        self.working = working
        self.price = price
        self.taker = taker
        self.volume = ZERO
        self.opens = ZERO
        """What of the volume buys, sells or opens a position; the rest closes some."""
        self.closes: list[CloseTerms] = []
        self.segments: list[Segment] = []
        self.kept_after_closes = ZERO
        self.plan: Spot | Opening | None = None
        """What comes of the part that buys, sells or opens."""
        self.lacks = ZERO
        """What a cross margin account has not available to pay for what it closes."""
        self.opens_id: UUID | None = None
        """The id under which the opening part of an order fills whose first part closed."""
        self.own: Branch | None = None
        """Whose order fills; None where a close of a position does."""
        if type(working) is Closing:
            self.branch: Branch = working.branch
            self.account = self.branch.account
            self.order_id = working.lot.order.id
            self._close(venue, working, wanted)
            return
        self.branch = self.own = branch = branch_of(working)
        self.account = branch.account
        assert branch.order is not None
        self.order_id = branch.order.id
        if branch.spot:
            self._spot(venue, wanted, whole)
        else:
            self._trading(venue, wanted, whole)

    @property
    def closed(self) -> Collection[Position]:
        """The positions of which it closes something, each once."""
        return dict.fromkeys(terms.closing.lot.position for terms in self.closes)

    def legs(self) -> tuple[list[Leg], UUID, list[tuple[int, UUID]]]:
        """Its legs, the order that the first of them are of, and from which leg on they are whose
        (`Entry.parts`)."""
        (first, legs), *others = self.segments
        legs, parts = [*legs], []
        for order_id, own in others:
            if own:
                parts.append((len(legs), order_id))
            legs += own
        return legs, first, parts

    def _close(self, venue: Venue, closing: Closing, wanted: Decimal) -> None:
        """A close of a position, whoever asked for it: it needs no money."""
        lot, pieces = closing.lot, list(closing.lot.pieces(wanted))
        if closing.role == "liquidation" and self.against == MARKET:
            # Nobody has to be met, so all of the position goes at once.
            pieces = [one for own in lot.position.lots for one in own.pieces(own.volume)]
        free = venue.available(self.account, self.book.quote)
        self.volume, _, _ = self._pieces(venue, closing, pieces, free, closing.tally.sums)

    def _pieces(
        self,
        venue: Venue,
        closing: Closing,
        pieces: Sequence[Piece],
        money: Decimal,
        sums: Sums,
    ) -> tuple[Decimal, Decimal, Sums]:
        """Close ``pieces``: how much that is, the money then, and the sums of the order that
        closes."""
        total = ZERO
        for _, _, volume in pieces:
            total = add(total, volume)
        crossed = self.account in venue.cross
        liquidates = closing.role == "liquidation" and not crossed
        pools: dict[Position, Pool] = {}
        closes: list[CloseTerms] = []
        left = total
        for lot, order, volume in pieces:
            pool = pools.get(lot.position)
            if pool is None:
                pool = lot.position.closing(self.price, left, liquidates)
            own = closing
            if lot is not closing.lot:
                own = lot.closing(closing.role) or Closing(
                    closing.id, closing.role, lot, closing.kind, tally=closing.tally
                )
            terms = priced(self.book, own, order, volume, self.price, pool, sums, taker=self.taker)
            closes.append(terms)
            pools[lot.position], sums = terms.pool, terms.sums
            left = sub(left, volume)
        # What an order has reserved can pay for a close as well as what is available; for a
        # liquidation only what comes back of the margin can.
        free = ZERO if liquidates else money
        for terms in covered(closes, free, isolated=not crossed):
            self._add_close(terms)
            money = _after(money, terms)
            if crossed:
                self.lacks = add(self.lacks, add(terms.uncovered, terms.fee_uncovered))
        return total, money, sums

    def _add_close(self, terms: CloseTerms) -> None:
        self.closes.append(terms)
        legs = close_position(
            self.account,
            self.book.quote,
            terms.margin,
            terms.pnl,
            terms.fee,
            add(terms.uncovered, terms.fee_uncovered),
            self.against,
        )
        self.segments.append((terms.order.id, legs))

    def _spot(self, venue: Venue, wanted: Decimal, whole: bool) -> None:
        branch = self.branch
        plan = spot_plan(venue, branch, wanted, self.price, maker=not self.taker, whole=whole)
        self.volume = self.opens = plan.volume
        if plan.volume:
            self.plan = plan
            other = MARKET if self.against == MARKET else None
            self.segments.append((self.order_id, spot_legs(branch, plan, other)))

    def _trading(self, venue: Venue, wanted: Decimal, whole: bool) -> None:
        book, branch = self.book, self.branch
        order = branch.order
        assert order is not None
        money = add(order.reserved, venue.available(self.account, book.quote))
        closed, money, sums = self._nets(venue, wanted, money)
        wanted = ZERO if branch.reduces else sub(wanted, closed)
        leaves, kept, before = sub(order.volume, closed), order.reserved, branch.offset
        branch.offset = max(ZERO, sub(before, closed))
        plan: Opening | None = None
        try:
            if closed:
                kept = min(venue.reserve(branch, leaves, sums), order.reserved, max(ZERO, money))
            if venue.cross and wanted:
                money = self._spendable(venue, money, order.reserved)
            if wanted:
                plan = opening_plan(
                    venue,
                    branch,
                    wanted,
                    self.price,
                    maker=not self.taker,
                    money=money,
                    sums=sums,
                    leaves=leaves,
                    whole=whole,
                )
        finally:
            branch.offset = before
        if closed:
            self.kept_after_closes = kept
            back = release(self.account, book.quote, sub(order.reserved, kept))
            self.segments.append((order.id, back))
        self.opens = ZERO if plan is None else plan.volume
        self.volume = add(closed, self.opens)
        if plan is not None and plan.volume:
            self.plan = plan
            if closed:
                self.opens_id = venue.ids.draw()
            legs = fill_trading(
                self.account, book.quote, sub(kept, plan.kept), plan.margin, plan.fee
            )
            self.segments.append((self.opens_id or order.id, legs))

    def _spendable(self, venue: Venue, money: Decimal, reserved: Decimal) -> Decimal:
        """What of ``money`` may open something: not what other positions of a cross margin account
        have lost, but always what the order has ``reserved``, as far as that is there."""
        book = self.book
        closed = book.facing(self.account, self.working.buy) if self.branch.nets else ()
        lost = venue.lost(self.account, book.quote, closed)
        beyond = sub(money, reserved)
        if not lost or beyond <= ZERO:
            return money
        return add(reserved, max(ZERO, sub(beyond, lost)))

    def _nets(self, venue: Venue, wanted: Decimal, money: Decimal) -> tuple[Decimal, Decimal, Sums]:
        """Close what is open on the other side, oldest first: how much, the money then, and what
        the fills of the order come to then."""
        branch = self.branch
        pieces = []
        if branch.nets:
            pieces = self.book.opposite(self.account, self.working.buy, wanted)
        if not pieces:
            return ZERO, money, branch.sums
        tally = branch.own_tally()
        own = Closing(branch.id, "netting", pieces[0][0], branch.kind, tally=tally)
        return self._pieces(venue, own, pieces, money, branch.sums)


def _after(money: Decimal, terms: CloseTerms) -> Decimal:
    """What there is of ``money`` once that was closed."""
    money = add(money, add(add(terms.margin, terms.pnl), terms.uncovered))
    return add(sub(money, terms.fee), terms.fee_uncovered)
