"""Accounts whose orders close the other side: on a pair all they have takes one path."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.venue.pair_book import PairBook
from backtest.actors.venue.position import Position
from backtest.money import ONE, ZERO, mul
from backtest.services.fills.walk import Group, OpenPart, Working
from backtest.services.margin.cross import Stake, Standing

from .groups import all_groups

__all__ = ["SharedPath", "shared_paths", "stake_of_part"]


class SharedPath:
    """An account on one pair, for the walk along a bar; isolated positions, so nothing calls it."""

    __slots__ = ("account_name", "book", "groups", "working")

    calls = False

    def __init__(self, name: str, book: PairBook, groups: list[Group]) -> None:
        self.account_name = name
        self.book = book
        self.groups = groups
        self.working: Working = Working("liquidation", False, None, ONE)

    def standing(self) -> Standing:
        stakes = [
            self.stake(lot)
            for position in self.book.positions
            if position.account == self.account_name
            for lot in position.lots
        ]
        return Standing(ZERO, ONE, stakes=stakes)

    def stake(self, part: OpenPart) -> Stake:
        return stake_of_part(self.book, part)

    def weight(self) -> Decimal:
        return ZERO


def stake_of_part(book: PairBook, part: OpenPart) -> Stake:
    """An open position on the pair as a stake, by its part."""
    size = mul(part.volume, book.pair.contract_size)
    return Stake(
        part, part.long, size, mul(size, part.entry_price), book.maintenance, _pool_of(part)
    )


def _pool_of(part: OpenPart) -> Position | None:
    """The position of which it is a lot beside others."""
    position: Position | None = part.position
    return None if position is None or len(position.lots) == 1 else position


def shared_paths(book: PairBook) -> list[SharedPath]:
    """The accounts without cross margin that walk the next bar of ``book`` as one group."""
    all_groups(book)
    return [SharedPath(name, book, groups) for name, groups in book.joint_groups.items()]
