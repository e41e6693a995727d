"""Cross margin accounts at the venue: where they stand, and what happens when they are called."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from backtest.actors.protocol import EventKind, Facts
from backtest.actors.venue.branch import Branch
from backtest.actors.venue.cancel import Cancellation
from backtest.actors.venue.cross_accounts import Call, CrossAccounts
from backtest.actors.venue.exit_fills import ExitFills, Scene
from backtest.actors.venue.fill_records import record_fill
from backtest.actors.venue.pair_book import PairBook
from backtest.actors.venue.position import Closing, Lot, Position
from backtest.actors.venue.venue import Venue
from backtest.models import Bar, MarketEvent, Quote
from backtest.money import ONE, ZERO, div, mul, plain, sub, to_step
from backtest.services.fills.walk import Group, Hit, point_of, slipped
from backtest.services.ledger.descriptions import traded
from backtest.services.ledger.entries import sell_collateral
from backtest.services.margin.accounts import CrossAccount
from backtest.services.margin.cross import Standing
from backtest.services.settlement.amounts import NOTHING, Spot, spot_sold

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

    def __init__(self, venue: Venue, cancellation: Cancellation, exit_fills: ExitFills) -> None:
        super().__init__(venue, cancellation)
        self._exit_fills = exit_fills
        self._scene: Scene | None = None
        """Where the account is called whose positions on another pair are being closed."""
        exit_fills.backing = self

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
        await self.cancel_orders(account, detail, scene=scene)
        while True:
            standing = self.standing(account, book)
            worst = standing.worst(price)
            if worst is None or standing.level(price) > ZERO:
                return
            await self._close_position(worst, scene, detail)

    async def _close_position(self, position: Position, scene: Scene | None, detail: str) -> None:
        """Liquidate a position, lot by lot: what closes one of them may close others."""
        for lot in list(position.lots):
            if lot.opened:
                await self._close(lot, scene, detail)

    async def _close(self, lot: Lot, scene: Scene | None, detail: str) -> None:
        """Liquidate a lot: on the pair that is walked where its price is, else at the mark of its
        pair."""
        venue, book = self._venue, lot.branch.book
        closing = Closing(venue.ids.draw(), "liquidation", lot, "liquidation")
        if scene is None or book is not scene.book or not isinstance(scene.bar, Bar):
            # On another pair it is closed at the mark; on a tick, at what the tick offers.
            event = book.bar if scene is None or book is not scene.book else scene.bar
            assert event is not None
            mark = event.close if isinstance(event, Bar) else ZERO
            before, self._scene = self._scene, scene
            try:
                await self._exit_fills.liquidate(book, event, closing, mark, detail)
            finally:
                self._scene = before
            return
        at, bar = scene.hit, scene.bar
        price = slipped(at.reached, closing.buy, bar, book.path)
        hit = Hit(
            lot.position.group,
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
        await self._exit_fills.close(book, scene.bar, scene.walk, hit, closing, detail)

    # -- the money ---------------------------------------------------------------------------------

    async def raise_money(
        self, account: CrossAccount, needed: Decimal, spare: Position | None, scene: Scene | None
    ) -> None:
        """Make ``needed`` available in the settlement asset, as far as there is anything.

        In this order: pending orders are cancelled, the margin of other positions is taken (but not
        that of ``spare``, which pays by itself), collateral is sold, and positions with a profit
        are closed, the largest first.
        """
        if account.is_raising:
            return  # what is closed to raise money must not ask for more
        if self._scene is not None:
            # The price that moves is that of the pair on whose bar the account was called.
            scene = self._scene
        account.is_raising = True
        try:
            if self.lacks(account, needed):
                detail = f"account {account.name} needs {plain(needed)} {account.asset}"
                await self.cancel_orders(account, detail, scene=scene)
            await self.use_margins(account, needed, () if spare is None else (spare,))
            for asset, code, _ in account.collateral:
                if self.lacks(account, needed):
                    await self._sell(account, asset, self._venue.books[code], needed, spare, scene)
            while self.lacks(account, needed):
                book, price = _place(scene)
                standing = self.standing(account, book)
                best = standing.best(price)
                if best is None or best is spare:
                    break
                detail = f"account {account.name} needs its profit"
                await self._close_position(best, scene, detail)
        finally:
            account.is_raising = False

    async def _sell(
        self,
        account: CrossAccount,
        asset: str,
        book: PairBook,
        needed: Decimal,
        spare: Position | None,
        scene: Scene | None,
    ) -> None:
        """Sell as much of a collateral as it takes, to the market at the mark."""
        venue, pair = self._venue, book.pair
        own = scene is not None and scene.book is book
        price = scene.hit.reached if own and scene is not None else book.last
        bar = scene.bar if own and scene is not None else book.bar
        if isinstance(bar, Quote):
            price = bar.bid
        owner = spare or next(self.positions(account), None)
        if price is None or bar is None or owner is None:
            return
        free = venue.available(account.name, account.asset)
        short, step = sub(needed, free), pair.volume_increment

        def sold(volume: Decimal) -> Spot:
            return spot_sold(NOTHING, volume, price, False, book.fees, free, volume)

        def proceeds(steps: int) -> Decimal:
            plan = sold(mul(Decimal(steps), step))
            return sub(plan.amount, plan.fee)

        least = int(to_step(div(short, mul(price, step)), ONE, ROUND_CEILING))
        most = int(div(venue.available(account.name, asset), step))
        low, high = min(least, most), most
        while low < high:
            middle = (low + high) // 2
            if proceeds(middle) >= short:
                high = middle
            else:
                low = middle + 1
        if proceeds(low) <= ZERO:
            return
        plan = sold(mul(Decimal(low), step))
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
        venue.records.keep(order)
        detail = f"collateral sold: account {account.name} needs {account.asset}"
        facts = Facts(condition="collateral")
        venue.publisher.tell(EventKind.ACCEPTED, branch, order, detail=detail, facts=facts)
        legs = sell_collateral(account.name, asset, account.asset, volume, amount, fee)
        balances = await venue.post(legs, order.id, traded("collateral sold,", volume, price))
        filled = order.filled(venue.now, volume, price, fee, None, book.step)
        venue.records.keep(filled)
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
