"""What a strategy stands to lose: its positions, and the prices at which they are liquidated."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from backtest.models import TradingOrder
from backtest.money import ZERO, add, exponent, mul, round_half_even
from backtest.services.margin.cross import stake_of, standing_of
from backtest.services.margin.linear import liquidation_level

from .position import PositionView, nearest

if TYPE_CHECKING:
    from backtest.services.margin.accounts import CrossAccount

    from .holdings import Holdings

__all__ = ["Exposure"]

_NOTHING = (ZERO, ZERO)
_FINE = exponent(15)
"""An average price may have no end; a sum of them is what it was made of to so many digits."""


class Exposure:
    """Made by the holdings; ``cross`` are the cross margin accounts of its strategy, by id, and
    ``netting`` the ids of those that have one position in a pair."""

    __slots__ = ("_cross", "_holdings", "_netting", "others")

    def __init__(
        self,
        holdings: Holdings,
        cross: Mapping[UUID, CrossAccount],
        netting: Collection[UUID] = (),
    ) -> None:
        self._holdings = holdings
        self._cross = cross
        self._netting = frozenset(netting)
        self.others: dict[UUID, TradingOrder] = {}
        """Open positions of others in accounts that are this strategy's, too, and whose positions
        are one for all."""

    def nets(self, account_id: UUID) -> bool:
        """Whether an account has one position in a pair."""
        return account_id in self._netting

    def position(self, pair: str, parts: Iterable[TradingOrder]) -> PositionView:
        """The view of ``parts``, open positions in ``pair``."""
        return PositionView(pair, parts, self._holdings.last.get(pair), self._liquidation_prices)

    def _liquidation_prices(self, parts: Iterable[TradingOrder]) -> Iterable[Decimal | None]:
        """The prices at which the positions are liquidated that ``parts`` are of."""
        pools: dict[object, list[TradingOrder]] = {}
        crossed: dict[UUID, None] = {}
        for part in parts:
            if part.account_id in self._cross:
                crossed[part.account_id] = None
            else:
                pools.setdefault(self._pool(part), []).append(part)
        code = ""
        for own in pools.values():
            one, code = own[0], own[0].trading_pair_code
            yield self._isolated(self._whole(one) if one.account_id in self._netting else own)
        for account_id in crossed:
            code = next(one.trading_pair_code for one in parts if one.account_id == account_id)
            yield self._called(self._cross[account_id], account_id, code)

    def _pool(self, part: TradingOrder) -> object:
        """The position that an open order is of."""
        if part.account_id in self._netting:
            return part.account_id, part.trading_pair_code
        return part.branch_id

    def _whole(self, part: TradingOrder) -> list[TradingOrder]:
        """All that is open of the position of ``part``, whoever opened it."""
        pool, held = self._pool(part), self._holdings.positions[part.trading_pair_code]
        return [one for one in [*held.values(), *self.others.values()] if self._pool(one) == pool]

    def _isolated(self, parts: Iterable[TradingOrder]) -> Decimal | None:
        cost = size = margin = ZERO
        for one in parts:
            own = mul(one.volume, one.contract_size)
            size, margin = add(size, own), add(margin, one.margin_reserved)
            cost = add(cost, mul(own, one.fill_price))  # type: ignore[arg-type]
            code, long = one.trading_pair_code, one.direction.sign > 0
        pair, rules = self._holdings.pairs[code], self._holdings.rules[code]
        cost = round_half_even(cost, _FINE)
        return liquidation_level(long, cost, size, margin, rules.maintenance, pair.price_increment)

    def _called(self, cross: CrossAccount, account_id: UUID, code: str) -> Decimal | None:
        holdings = self._holdings
        mark = holdings.last.get(code)
        if mark is None:
            return None
        own = [one for held in holdings.positions.values() for one in held.values()]
        standing = standing_of(
            cross.asset,
            cross.collateral,
            lambda asset: add(*holdings.balances.get((cross.name, asset), _NOTHING)),
            [
                (
                    one.trading_pair_code,
                    stake_of(one, holdings.rules[one.trading_pair_code], self._pool(one)),
                )
                for one in [*own, *self.others.values()]
                if one.account_id == account_id
            ],
            holdings.last.get,
            code,
            holdings.pairs[code].price_increment,
        )
        return nearest(standing.triggers(mark), mark)
