"""Fills on historical data: decided whole, posted as one entry, then applied."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from attrs import evolve

from backtest.actors.protocol import NO_FACTS, Facts
from backtest.actors.venue.branch import Branch
from backtest.actors.venue.cancel import Cancellation
from backtest.actors.venue.fill_plans import rest_is_dust, uncovered
from backtest.actors.venue.fill_side import FillSide
from backtest.actors.venue.pair_book import PairBook
from backtest.actors.venue.position import Closing, Position
from backtest.actors.venue.positions import tell_walk
from backtest.actors.venue.settlement import CLOSES, Settlement, unclosed
from backtest.actors.venue.venue import Venue
from backtest.errors import RejectReason
from backtest.models import Bar, MarketEvent
from backtest.money import ZERO, add
from backtest.services.fills.walk import (
    CLOSE_ONLY,
    Hit,
    Walk,
    flat_bar,
    point_of,
    slipped,
    walk_of,
)
from backtest.services.ledger.descriptions import traded
from backtest.services.ledger.entries import MARKET
from backtest.services.orders.expiry import ended_because
from backtest.services.orders.revision import Revision

if TYPE_CHECKING:
    from .cross_margin import CrossMargin

__all__ = ["Fills", "Scene"]


class Scene(NamedTuple):
    """Where on a bar something fills, or an account is called."""

    book: PairBook
    bar: MarketEvent
    walk: Walk
    hit: Hit


class Fills:
    """Carries out the hits of a walk, as far as they can be paid for."""

    def __init__(self, venue: Venue, cancellation: Cancellation, settlement: Settlement) -> None:
        self._venue = venue
        self._cancellation = cancellation
        self._settlement = settlement
        self.cross: CrossMargin
        """The cross margin accounts, which find the money for what they close."""

    async def fill(self, scene: Scene, detail: str = "") -> None:
        """Carry out a hit: an order fills, or a position is closed, for which ``detail`` is why."""
        book, _, walk, hit = scene
        side = self._side(book, hit)
        if side.lacks and side.volume:
            await self.cross.raise_money(
                self._venue.cross[side.account],
                add(self._venue.available(side.account, book.quote), side.lacks),
                side.closed,
                side.own,
                scene,
            )
            side = self._side(book, hit)  # it has more available now
        if side.volume:
            await self._book(scene, side, detail)
        if side.own is not None:
            await self._follow(walk, hit, side, side.own)

    async def _book(self, scene: Scene, side: FillSide, detail: str) -> None:
        """Post a fill, apply it, and let the rest of the walk be with what came of it."""
        _, bar, walk, hit = scene
        legs, order_id, parts = side.legs()
        why = traded(_verb(side), side.volume, hit.price)
        balances = await self._venue.post(legs, order_id, why, parts)
        entry = hit
        if side.plan is not None and side.opens != hit.volume:
            entry = evolve(hit, volume=side.opens)
        take_off = partial(_take_off, walk, hit)
        part = self._settlement.settle(side, bar, take_off, entry, balances, detail)
        for position in side.closed:
            if position.lots:
                tell_walk(walk, hit, position)
        if side.plan is not None:
            walk.report(entry, side.opens, part)
            if side.branch.lot is not None:
                tell_walk(walk, hit, side.branch.lot.position)

    def _side(self, book: PairBook, hit: Hit) -> FillSide:
        working = hit.working
        terms = working.terms
        whole = terms is not None and terms.whole
        side = FillSide(
            self._venue,
            book,
            working,
            hit.volume,
            hit.price,
            hit.taker,
            against=MARKET,
            whole=whole,
        )
        if whole and side.volume < hit.volume:
            side.volume = ZERO
        return side

    async def _follow(self, walk: Walk, hit: Hit, side: FillSide, branch: Branch) -> None:
        """What a fill means for the walk, for partners of the order, and for the rest of it."""
        group = branch.oco
        if group is not None and side.volume:
            for other in group.partners(branch):
                walk.drop(other)
            await self._cancellation.cancel_partners(branch, group)
        order = branch.order
        if order is None:
            return
        if branch.reduces:
            await self._reduce(walk, hit, side, order)
        elif side.volume < hit.volume:
            walk.drop(hit.working)
            reason = RejectReason.INSUFFICIENT_FUNDS
            why = f"{branch.account} cannot pay for more at {hit.price:f}"
            await self._cancellation.cancel(branch, None, reason, why)
        elif rest_is_dust(branch):
            walk.drop(hit.working)
            await self._cancellation.cancel_dust(branch)
        elif lost := uncovered(self._venue, branch):
            if lost == hit.working.volume:
                walk.drop(hit.working)
            reason = RejectReason.INSUFFICIENT_FUNDS
            why = f"the fill at {hit.price:f} took what was reserved for it"
            await self._cancellation.cancel(branch, lost, reason, why)

    async def _reduce(self, walk: Walk, hit: Hit, side: FillSide, order: Revision) -> None:
        """Cancel what a reduce-only order is more than what is left to close."""
        branch, terms = side.branch, hit.working.terms
        if not side.volume and terms is not None and terms.whole:
            walk.drop(hit.working)
            await self.end(branch)
            return
        much = unclosed(branch)
        if much == order.volume:
            walk.drop(hit.working)
        if much:
            reason, facts = RejectReason.REDUCE_ONLY, Facts(price=hit.price, point=hit.point)
            await self._cancellation.cancel(branch, much, reason, facts=facts)

    async def end(self, branch: Branch) -> None:
        """Cancel an order that fills at its first opportunity or not at all."""
        reason, lacked = ended_because(branch.instructions), branch.lacked
        told = lacked is not None and reason is RejectReason.FILL_OR_KILL
        facts = Facts(quantity=lacked) if told else NO_FACTS
        await self._cancellation.cancel(branch, None, reason, facts=facts)

    # -- liquidation -------------------------------------------------------------------------------

    async def test_level(self, book: PairBook, bar: Bar, position: Position) -> None:
        """Liquidate a position at the close of ``bar``, if that is where it has to be; of a cross
        margin account as many as it takes."""
        cross = self._venue.cross.get(position.account)
        if not self.cross.has_to_close(position, bar.close):
            return
        if cross is not None:
            await self.cross.call(cross, None)
        elif closing := position.lots[0].closing("liquidation"):
            await self.liquidate(book, bar, closing, bar.close)

    async def liquidate(
        self, book: PairBook, bar: MarketEvent, closing: Closing, mark: Decimal, detail: str = ""
    ) -> None:
        """Close a position at ``mark``, which is where ``bar`` closed; or on the side of a quote
        that it meets."""
        whole, path = bar, book.path
        if not isinstance(whole, Bar):
            whole, path = flat_bar(whole, closing.buy), book.tick_path
            mark = whole.close
        hit = Hit(
            closing.lot.position.group,
            closing,
            closing.lot,
            slipped(mark, closing.buy, whole, path),
            closing.lot.volume,
            CLOSE_ONLY,
            point_of(bar, closing.buy),
            True,
            False,
            False,
            mark,
            (mark,) * 4,
        )
        await self.fill(Scene(book, bar, walk_of(bar, (), path), hit), detail)


def _verb(side: FillSide) -> str:
    if not side.closes:
        return "filled"
    return "traded" if side.opens else CLOSES[side.closes[0].closing.role]


def _take_off(walk: Walk, hit: Hit, closing: Closing, volume: Decimal) -> Hit:
    """Of ``hit``, what closes a lot: taken off its volume, and told the walk."""
    working = hit.working if closing.role == "netting" else closing
    if working is not hit.working or closing.lot is not hit.part or volume != hit.volume:
        hit = evolve(hit, working=working, part=closing.lot, volume=volume)
    walk.report(hit, volume)
    return hit
