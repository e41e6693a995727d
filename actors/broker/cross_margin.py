"""Cross margin accounts at the venue: where they stand, and what happens when they are called."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from backtest.actors.protocol import EventKind, Facts
from backtest.actors.venue.branch import Branch
from backtest.actors.venue.cancel import Cancellation
from backtest.actors.venue.cross_accounts import Call, CrossAccounts
from backtest.actors.venue.fill_records import record_fill
from backtest.actors.venue.pair_book import PairBook
from backtest.actors.venue.position import Closing, Position
from backtest.actors.venue.venue import Venue
from backtest.models import Bar, MarketEvent, Quote
from backtest.money import ONE, ZERO, plain, sub
from backtest.services.fills.walk import Group, Hit, point_of, slipped
from backtest.services.ledger.descriptions import traded
from backtest.services.ledger.entries import sell_collateral
from backtest.services.margin.accounts import CrossAccount
from backtest.services.margin.calls import volume_to_sell
from backtest.services.margin.cross import Standing
from backtest.services.settlement.amounts import NOTHING, Spot, spot_sold

from .fills import Fills, Scene
from .groups import accounts, groups_of
from .shared_paths import SharedPath, stake_of_part

__all__ = ["CrossMargin"]


class _Watch(SharedPath):
    """A cross margin account on one pair, for the walk along a bar."""

    __slots__ = ("_client", "_weight", "account")

    calls = True

    def __init__(self, client: CrossMargin, account: CrossAccount, book: PairBook) -> None:
        super().__init__(account.name, book, groups_of(book, account.name))
        self._client = client
        self.account = account
        self.working = Call(account)
        self._weight = account.weights.get(book.code, ZERO)

    def standing(self) -> Standing:
        return self._client.path_standing(self.account, self.book)

    def weight(self) -> Decimal:
        return self._weight


class CrossMargin(CrossAccounts):
    """Calls cross margin accounts, and finds the money for what they owe."""

    def __init__(self, venue: Venue, cancellation: Cancellation, fills: Fills) -> None:
        super().__init__(venue, cancellation)
        self._fills = fills
        self._scene: Scene | None = None
        """Where the account is called whose positions on another pair are being closed."""
        fills.cross = self

    def watches(self, book: PairBook) -> list[SharedPath]:
        """The accounts with something at stake when the price of ``book`` moves."""
        found: list[SharedPath] = []
        for account in self._venue.cross.values():
            backed = book.code in account.weights and any(self.positions(account))
            if backed or account.name in accounts(book):
                found.append(_Watch(self, account, book))
        return found

    def path_standing(self, account: CrossAccount, book: PairBook) -> Standing:
        """Where the account stands while the price of ``book`` moves, as the walk along a bar looks
        at it: its keys are lots."""
        held = [
            (one.book.code, stake_of_part(one.book, lot))
            for one in self.positions(account)
            for lot in one.lots
        ]
        return self.standing_with(account, held, book)

    # -- the call ----------------------------------------------------------------------------------

    async def test(self, book: PairBook) -> None:
        """Call the accounts with positions or collateral on ``book`` that do not suffice at the
        marks."""
        concerned = {position.account: None for position in book.positions}
        for name, backed in self._venue.cross.items():
            if book.code in backed.weights and any(self.positions(backed)):
                concerned[name] = None
        for name in concerned:
            account = self._venue.cross.get(name)
            if account is not None and self.is_called(account):
                await self.call(account, None)

    async def call(self, account: CrossAccount, scene: Scene | None) -> None:
        """Cancel what is pending, then close positions, worst first, until it suffices."""
        book, price = _place(scene)
        standing = self.standing(account, book)
        detail = (
            (
                f"account {account.name} is called at {plain(price)}: "
                if scene is not None
                else f"account {account.name} is called: "
            )
            + f"equity {plain(standing.equity(price))}, maintenance "
            f"{plain(standing.maintenance(price))}"
        )
        await self._cancel_orders(account, detail, scene)
        while True:
            standing = self.standing(account, book)
            worst = standing.worst(price)
            if worst is None or standing.level(price) > ZERO:
                return
            await self._close(worst, scene, detail)

    async def _cancel_orders(
        self,
        account: CrossAccount,
        detail: str,
        scene: Scene | None,
        but: Branch | None = None,
    ) -> None:
        """Cancel what is pending ``but`` for one order; what of it is in the ``scene`` walks no
        further."""
        if scene is not None:
            for branch in scene.book.own_branches.get(account.name, {}).values():
                if branch is not but:
                    for leg in [branch] if branch.part is None else branch.part.exits:
                        scene.walk.drop(leg)
        await self.cancel_orders(account, detail, but=but)

    async def _close(self, position: Position, scene: Scene | None, detail: str) -> None:
        """Liquidate a position: on the pair that is walked where its price is, else at the mark of
        its pair."""
        venue, book, lot = self._venue, position.book, position.lots[0]
        closing = Closing(venue.ids.draw(), "liquidation", lot, "liquidation")
        if scene is None or book is not scene.book or not isinstance(scene.bar, Bar):
            # On another pair it is closed at the mark; on a tick, at what the tick offers.
            event = book.bar if scene is None or book is not scene.book else scene.bar
            assert event is not None
            mark = event.close if isinstance(event, Bar) else ZERO
            before, self._scene = self._scene, scene
            try:
                await self._fills.liquidate(book, event, closing, mark, detail)
            finally:
                self._scene = before
            return
        at, bar = scene.hit, scene.bar
        price = slipped(at.reached, closing.buy, bar, book.path)
        hit = Hit(
            position.group,
            closing,
            lot,
            price,
            lot.volume,
            at.rank,
            at.point,
            True,
            at.ambiguous,
            False,
            at.reached,
            at.points,
        )
        await self._fills.fill(scene._replace(hit=hit), detail)

    # -- the money ---------------------------------------------------------------------------------

    async def raise_money(
        self,
        account: CrossAccount,
        needed: Decimal,
        spared: Collection[Position],
        own: Branch | None = None,
        scene: Scene | None = None,
    ) -> None:
        """Pending orders are cancelled, the margin of other positions is taken, collateral is sold,
        and positions with a profit are closed, the largest first."""
        if account.is_raising:
            return  # what is closed to raise money must not ask for more
        if self._scene is not None:
            # The price that moves is that of the pair on whose bar the account was called.
            scene = self._scene
        account.is_raising = True
        try:
            if self.lacks(account, needed):
                detail = f"account {account.name} needs {plain(needed)} {account.asset}"
                await self._cancel_orders(account, detail, scene, own)
            await self.use_margins(account, needed, spared)
            for asset, code, _ in account.collateral:
                if self.lacks(account, needed):
                    await self._sell(account, asset, self._venue.books[code], needed, spared, scene)
            while self.lacks(account, needed):
                book, price = _place(scene)
                standing = self.standing(account, book)
                best = standing.best(price, spared)
                if best is None:
                    break
                detail = f"account {account.name} needs its profit"
                await self._close(best, scene, detail)
        finally:
            account.is_raising = False

    async def _sell(
        self,
        account: CrossAccount,
        asset: str,
        book: PairBook,
        needed: Decimal,
        spared: Collection[Position],
        scene: Scene | None,
    ) -> None:
        """Sell as much of a collateral as it takes, to the market at the mark."""
        venue, pair = self._venue, book.pair
        own = scene is not None and scene.book is book
        price = scene.hit.reached if own and scene is not None else book.last
        bar = scene.bar if own and scene is not None else book.bar
        if isinstance(bar, Quote):
            price = bar.bid
        owner = next(iter(spared), None) or next(self.positions(account), None)
        if price is None or bar is None or owner is None:
            return
        free = venue.available(account.name, account.asset)
        short, step = sub(needed, free), pair.volume_increment

        def sold(volume: Decimal) -> Spot:
            return spot_sold(NOTHING, volume, price, False, book.fees, free, volume)

        def proceeds(volume: Decimal) -> Decimal:
            plan = sold(volume)
            return sub(plan.amount, plan.fee)

        there = venue.available(account.name, asset)
        volume = volume_to_sell(short, price, step, there, proceeds)
        if not volume:
            return
        plan = sold(volume)
        await self._book_sale(account, asset, book, owner, plan, price, scene, bar)

    async def _book_sale(
        self,
        account: CrossAccount,
        asset: str,
        book: PairBook,
        owner: Position,
        plan: Spot,
        price: Decimal,
        scene: Scene | None,
        bar: MarketEvent,
    ) -> None:
        """A spot order of the venue's own making, filled at once: so that it has a story."""
        volume, amount, fee = plan.volume, plan.amount, plan.fee
        venue, client = self._venue, owner.lots[0].branch.client
        branch = Branch(venue.ids.draw(), client, account.name, book, True, ONE, "market", False)
        branch.asset, branch.reservation_price, branch.volume = asset, price, volume
        branch.number = venue.next_branch()
        venue.branch_of[branch.id.int] = None
        order = venue.begin(branch, ZERO)
        venue.records.orders.keep(order)
        detail = f"collateral sold: account {account.name} needs {account.asset}"
        facts = Facts(condition="collateral")
        venue.publisher.tell(EventKind.ACCEPTED, branch, order, detail=detail, facts=facts)
        legs = sell_collateral(account.name, asset, account.asset, volume, amount, fee)
        balances = await venue.post(legs, order.id, traded("collateral sold,", volume, price))
        filled = order.filled(venue.now, volume, price, fee, None, book.step)
        venue.records.orders.keep(filled)
        at = None if scene is None or scene.book is not book else scene.hit
        hit = Hit(
            Group(branch),
            branch,
            None,
            price,
            volume,
            3 if at is None else at.rank,
            at.point if at is not None and isinstance(bar, Bar) else point_of(bar, False),
            True,
            False,
            False,
            price,
            (price,) * 4 if at is None else at.points,
        )
        record = record_fill(
            venue, bar, hit, branch, filled, "entry", False, volume, amount, fee, None, None
        )
        venue.publisher.tell(
            EventKind.FILLED, branch, filled, fill=record, detail=detail, balances=balances
        )


def _place(scene: Scene | None) -> tuple[PairBook | None, Decimal]:
    return (None, ZERO) if scene is None else (scene.book, scene.hit.reached)
