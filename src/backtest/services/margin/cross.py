"""Where a cross margin account stands: its equity against what its positions must maintain.

Everything here is exact and unrounded but the prices that are given back, which lie on the grid.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from attrs import define, field

from backtest.errors import FieldError
from backtest.models.lifecycle import OrderDirection
from backtest.models.orders import TradingOrder
from backtest.models.tiers import Tiers
from backtest.models.trading_rules import TradingRules
from backtest.money import ZERO, add, div, mul, sub, to_step

__all__ = ["Elsewhere", "Stake", "Standing", "stake_of", "standing_of"]


@define(eq=False)
class Stake:
    """An open position on the pair whose price moves, or a lot of one. ``size`` is volume x
    contract size, ``cost`` that x the entry price, ``rate`` what it must maintain; ``key`` is the
    owner's own. Lots of one ``pool`` are one position: together they maintain, win and lose."""

    key: Any
    long: bool
    size: Decimal
    cost: Decimal
    rate: Decimal | Tiers
    pool: object = None

    def pnl(self, price: Decimal) -> Decimal:
        """Unrealised profit at ``price``."""
        worth = mul(self.size, price)
        return sub(worth, self.cost) if self.long else sub(self.cost, worth)

    def maintenance(self, price: Decimal) -> Decimal:
        """What must be there for it at ``price``."""
        worth, rate = mul(self.size, price), self.rate
        return mul(worth, rate) if isinstance(rate, Decimal) else rate.maintenance(worth)

    def line(self, price: Decimal) -> tuple[Decimal, Decimal]:
        """PnL less maintenance near ``price``, as a constant and a slope."""
        rate, amount = self.rate, ZERO
        if isinstance(rate, Tiers):
            tier = rate.at(mul(self.size, price))
            rate, amount = tier.rate, tier.amount
        kept = mul(self.size, rate)
        if self.long:
            return sub(amount, self.cost), sub(self.size, kept)
        return add(amount, self.cost), add(self.size, kept).copy_negate()

    def bounds(self) -> Iterable[Decimal]:
        """The prices at which its bracket changes."""
        if isinstance(self.rate, Tiers):
            for tier in self.rate:
                if tier.up_to is not None:
                    yield div(tier.up_to, self.size)


@define(eq=False)
class Elsewhere:
    """An open position on another pair, or a lot of one: what it is at that pair's mark."""

    key: Any
    pnl: Decimal
    maintenance: Decimal


@define(eq=False)
class Standing:
    """An account while the price of one pair moves and all others stand at their marks.

    ``money`` is what it has of the settlement asset (available and unavailable), and the weighted
    worth of collateral that does not hang on this price; ``units`` the weighted volume of the
    collateral that does.
    """

    money: Decimal
    increment: Decimal
    units: Decimal = ZERO
    stakes: list[Stake] = field(factory=list)
    elsewhere: list[Elsewhere] = field(factory=list)

    def positions(self) -> list[Stake]:
        """The stakes, lots of one position as one; its key is that of the oldest."""
        if all(stake.pool is None for stake in self.stakes):
            return self.stakes
        return _merged(self.stakes)

    def equity(self, price: Decimal) -> Decimal:
        """Money, collateral and unrealised PnL at ``price``."""
        total = add(self.money, mul(self.units, price))
        for stake in self.stakes:
            total = add(total, stake.pnl(price))
        for one in self.elsewhere:
            total = add(total, one.pnl)
        return total

    def maintenance(self, price: Decimal) -> Decimal:
        """What all its positions must have at ``price``."""
        total = ZERO
        for stake in self.positions():
            total = add(total, stake.maintenance(price))
        for one in self.elsewhere:
            total = add(total, one.maintenance)
        return total

    def level(self, price: Decimal) -> Decimal:
        """Equity less maintenance: at 0 or below, the account is called."""
        return sub(self.equity(price), self.maintenance(price))

    def worst(self, price: Decimal) -> Any:
        """The key of the position with the largest loss, the oldest of equals; None without one."""
        found = None
        least: Decimal | None = None
        for key, pnl in self.results(price):
            if least is None or pnl < least:
                found, least = key, pnl
        return found

    def best(self, price: Decimal, but: Collection[Any] = ()) -> Any:
        """The key of the position with the largest profit, ``but`` for some, if there is one with
        any."""
        found, most = None, ZERO
        for key, pnl in self.results(price):
            if pnl > most and key not in but:
                found, most = key, pnl
        return found

    def bears(self, key: Any, price: Decimal) -> bool:
        """Whether money and collateral pay what the position of ``key`` has lost."""
        loss = ZERO
        for own, pnl in self.results(price):
            if own is key:
                loss = pnl
        return add(add(self.money, mul(self.units, price)), loss) >= ZERO

    def results(self, price: Decimal) -> Iterable[tuple[Any, Decimal]]:
        """The keys of the positions, and what each has won or lost at ``price``."""
        for one in self.elsewhere:
            yield one.key, one.pnl
        for stake in self.positions():
            yield stake.key, stake.pnl(price)

    def triggers(self, price: Decimal) -> tuple[Decimal | None, Decimal | None]:
        """The prices at which the account is called if the price falls, or rises, from ``price``.

        On the grid: the lower one rounded down, the upper one up, as those of isolated positions.
        ``price`` itself twice when it is called there already; None where no price does it. Level
        as a function of price is continuous and, since rates never fall with size, concave: so it
        is above zero between the two, and nowhere else.
        """
        if not self.stakes and not self.elsewhere:
            return None, None
        if self.level(price) <= ZERO:
            return price, price
        edges = sorted({bound for stake in self.positions() for bound in stake.bounds()})
        low = self._fall(price, [edge for edge in reversed(edges) if edge < price])
        high = self._rise(price, [edge for edge in edges if edge > price])
        return low, high

    def _line(self, price: Decimal) -> tuple[Decimal, Decimal]:
        constant, slope = self.money, self.units
        for stake in self.positions():
            own = stake.line(price)
            constant, slope = add(constant, own[0]), add(slope, own[1])
        for one in self.elsewhere:
            constant = add(constant, sub(one.pnl, one.maintenance))
        return constant, slope

    def _fall(self, price: Decimal, edges: list[Decimal]) -> Decimal | None:
        ends = [*edges, ZERO]
        first = self._first_called(ends)
        if first == len(ends):
            return None
        near = price if first == 0 else ends[first - 1]
        constant, slope = self._line(div(add(near, ends[first]), _TWO))
        low = to_step(div(constant.copy_negate(), slope), self.increment, ROUND_FLOOR)
        return low if low > ZERO else None

    def _rise(self, price: Decimal, edges: list[Decimal]) -> Decimal | None:
        first = self._first_called(edges)
        near = price if first == 0 else edges[first - 1]
        if first == len(edges):
            constant, slope = self._line(add(near, near))
            return self._up(constant, slope) if slope < ZERO else None
        return self._up(*self._line(div(add(near, edges[first]), _TWO)))

    def _first_called(self, ends: Sequence[Decimal]) -> int:
        """The place of the first of ``ends``, which lead away from a price at which the account is
        not called, at which it is; their number if at none. Halved, for level is concave: where it
        has fallen to zero it stays there."""
        return bisect_left(ends, True, key=lambda end: self.level(end) <= ZERO)

    def _up(self, constant: Decimal, slope: Decimal) -> Decimal:
        return to_step(div(constant, slope.copy_negate()), self.increment, ROUND_CEILING)


def _merged(stakes: Iterable[Stake]) -> list[Stake]:
    """The stakes, lots of one position as one, where the oldest of them is."""
    found: list[Stake] = []
    places: dict[object, int] = {}
    for stake in stakes:
        place = None if stake.pool is None else places.get(stake.pool)
        if place is None:
            places[stake.pool] = len(found)
            found.append(stake)
            continue
        one = found[place]
        size, cost = add(one.size, stake.size), add(one.cost, stake.cost)
        found[place] = Stake(one.key, one.long, size, cost, one.rate, one.pool)
    return found


def stake_of(position: TradingOrder, rules: TradingRules, pool: object = None) -> Stake:
    """What an open order has of a position, of which it is a part with others of its ``pool``, as a
    stake."""
    if position.fill_price is None:
        raise FieldError("position", f"must be open, but {position.id} is {position.status.name}")
    size = mul(position.volume, position.contract_size)
    long = position.direction is OrderDirection.LONG
    return Stake(position, long, size, mul(size, position.fill_price), rules.maintenance, pool)


def standing_of(
    asset: str,
    collateral: Iterable[tuple[str, str, Decimal]],
    totals: Callable[[str], Decimal],
    held: Iterable[tuple[str, Stake]],
    marks: Callable[[str], Decimal | None],
    pair: str | None,
    increment: Decimal,
) -> Standing:
    """Where an account settled in ``asset`` stands while the price of ``pair`` moves, which lies on
    multiples of ``increment``; for None all pairs are at their marks.

    ``collateral`` is asset, the code of the pair that prices it, and weight; ``totals`` gives what
    the account has of an asset, ``marks`` the mark of a pair; ``held`` are its positions by pair.
    """
    standing = Standing(totals(asset), increment)
    for other, code, weight in collateral:
        owned = mul(totals(other), weight)
        mark = marks(code)
        if code == pair:
            standing.units = add(standing.units, owned)
        elif mark is not None:
            standing.money = add(standing.money, mul(owned, mark))
    others: dict[str, list[Stake]] = {}
    for code, stake in held:
        if code == pair:
            standing.stakes.append(stake)
        else:
            others.setdefault(code, []).append(stake)
    for code, stakes in others.items():
        mark = marks(code)
        if mark is not None:
            standing.elsewhere += [
                Elsewhere(one.key, one.pnl(mark), one.maintenance(mark)) for one in _merged(stakes)
            ]
    return standing


_TWO = Decimal(2)
