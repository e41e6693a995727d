"""Accounts with cross margin at a venue: where they stand, and the money that they find."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal

from backtest.actors.protocol import EventKind
from backtest.errors import RejectReason
from backtest.models import Account
from backtest.money import ONE, ZERO, add, mul, plain, sub
from backtest.services.fills.walk import Working
from backtest.services.ledger.entries import take_margin
from backtest.services.margin.accounts import CrossAccount, cross_accounts
from backtest.services.margin.cross import Stake, Standing, standing_of

from .branch import Branch
from .cancel import Cancellation
from .pair_book import PairBook
from .position import Position
from .positions import set_margin
from .venue import Venue

__all__ = ["Call", "CrossAccounts", "know_cross"]


def know_cross(venue: Venue, accounts: Iterable[Account]) -> None:
    """Tell the venue and its books which ``accounts`` have cross margin, and what backs those."""
    pairs = {code: book.pair for code, book in venue.books.items()}
    venue.cross.update(cross_accounts(accounts, pairs))
    venue.pooled.update(venue.cross)
    for code, book in venue.books.items():
        book.crossed = frozenset(venue.cross)
        book.is_watched = bool(venue.cross)
        book.backs = any(code in one.weights for one in venue.cross.values())


class Call(Working):
    """That an account with cross margin is called: what its price, if it has one, leads to."""

    __slots__ = ("account",)

    def __init__(
        self,
        account: CrossAccount,
        rises: bool = False,
        price: Decimal | None = None,
        sequence: int = 0,
    ) -> None:
        super().__init__("liquidation", rises, price, ONE, sequence=sequence)
        self.account = account


class CrossAccounts(ABC):
    """Says where cross margin accounts stand, and takes of theirs what they owe."""

    def __init__(self, venue: Venue, cancellation: Cancellation) -> None:
        self._venue = venue
        self._cancellation = cancellation

    def positions(self, account: CrossAccount) -> Iterator[Position]:
        """The open positions of the account, pair by pair, oldest first."""
        for book in self._venue.books.values():
            yield from book.held(account.name)

    # -- where it stands ---------------------------------------------------------------------------

    def standing(self, account: CrossAccount, book: PairBook | None = None) -> Standing:
        """Where the account stands while the price of ``book`` moves, the others at their marks;
        without a ``book`` all are at their marks. Its keys are positions."""
        held = [(one.book.code, _stake(one)) for one in self.positions(account)]
        return self.standing_with(account, held, book)

    def standing_with(
        self, account: CrossAccount, held: Iterable[tuple[str, Stake]], book: PairBook | None
    ) -> Standing:
        """The same with stakes that are made already, each with the code of its pair."""
        venue = self._venue
        return standing_of(
            account.asset,
            account.collateral,
            lambda asset: self.total(account, asset),
            held,
            lambda code: venue.books[code].last,
            None if book is None else book.code,
            ONE if book is None else book.pair.price_increment,
        )

    def total(self, account: CrossAccount, asset: str) -> Decimal:
        """What the account has of an asset, available or not."""
        both = self._venue.money.get((account.name, asset))
        return ZERO if both is None else add(both[0], both[1])

    def is_called(self, account: CrossAccount) -> bool:
        """Whether it has positions, and does not suffice at the marks."""
        return any(self.positions(account)) and self.standing(account).level(ZERO) <= ZERO

    def has_to_close(self, position: Position, mark: Decimal) -> bool:
        """Whether a position has to be liquidated at ``mark``, or its cross margin account is
        called at the marks."""
        cross = self._venue.cross.get(position.account)
        if cross is not None:
            return self.is_called(cross)
        price = position.liquidation
        if price is None:
            return False
        return mark <= price if position.long else mark >= price

    # -- the money ---------------------------------------------------------------------------------

    @abstractmethod
    async def raise_money(
        self,
        account: CrossAccount,
        needed: Decimal,
        spared: Collection[Position],
        own: Branch | None = None,
    ) -> None:
        """Make ``needed`` available in the settlement asset, as far as there is anything, for the
        positions that are ``spared``, which pay by themselves first, and an ``own`` order, which
        stays."""

    def lacks(self, account: CrossAccount, needed: Decimal) -> bool:
        """Whether less than ``needed`` is available of the settlement asset."""
        return self._venue.available(account.name, account.asset) < needed

    async def cancel_orders(
        self, account: CrossAccount, detail: str, *, but: Branch | None = None
    ) -> None:
        """Cancel all that is pending of the account, ``but`` for one order."""
        for book in self._venue.books.values():
            for branch in list(book.own_branches.get(account.name, {}).values()):
                if branch.order is None or branch is but:
                    continue
                await self._cancellation.cancel(branch, None, RejectReason.MARGIN_CALL, detail)

    async def use_margins(
        self, account: CrossAccount, needed: Decimal, spared: Collection[Position]
    ) -> None:
        """Make ``needed`` available of the margins of positions, as far as it is needed; what those
        that are ``spared`` have pays by itself."""
        for position in list(self.positions(account)):
            if position not in spared and self.lacks(account, needed):
                await self._use_margin(account, position, needed)

    async def _use_margin(self, account: CrossAccount, position: Position, needed: Decimal) -> None:
        venue, margin = self._venue, position.pool.margin
        short = sub(needed, venue.available(account.name, account.asset))
        amount = min(short, margin)
        if amount <= ZERO:
            return
        legs = take_margin(account.name, account.asset, amount)
        order = position.lots[0].order
        balances = await venue.post(legs, order.id, "margin used for the account")
        changes = set_margin(venue, position, sub(margin, amount))
        venue.publisher.tell(
            EventKind.MARGIN_USED,
            position.lots[0].branch,
            position.lots[0].order,
            positions=changes,
            detail=f"{plain(amount)} {account.asset} of its margin pays for a loss of the account",
            balances=balances,
        )


def _stake(position: Position) -> Stake:
    book, pool = position.book, position.pool
    size = mul(pool.volume, book.pair.contract_size)
    return Stake(position, position.long, size, pool.cost, book.maintenance)
