"""What a strategy stands to lose: its positions, and the prices at which they are liquidated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from backtest.models import TradingOrder
from backtest.money import ZERO, add
from backtest.services.margin.cross import stake_of, standing_of
from backtest.services.margin.linear import liquidation_price_of

from .position import PositionView, nearest

if TYPE_CHECKING:
    from backtest.services.margin.accounts import CrossAccount

    from .client import OrderClient

__all__ = ["Exposure"]

_NOTHING = (ZERO, ZERO)


class Exposure:
    """Made by the client; ``cross`` are the cross margin accounts of its strategy, by id."""

    __slots__ = ("_client", "_cross", "others")

    def __init__(self, client: OrderClient, cross: Mapping[UUID, CrossAccount]) -> None:
        self._client = client
        self._cross = cross
        self.others: dict[UUID, TradingOrder] = {}
        """Open positions of others in cross margin accounts that are this strategy's, too."""

    def position(self, pair: str, parts: Iterable[TradingOrder]) -> PositionView:
        """The view of ``parts``, open positions in ``pair``."""
        return PositionView(pair, parts, self._client.last.get(pair), self._liquidation_price)

    def _liquidation_price(self, part: TradingOrder) -> Decimal | None:
        client, code = self._client, part.trading_pair_code
        cross = self._cross.get(part.account_id)
        if cross is None:
            return liquidation_price_of(part, client.pairs[code], client.rules[code])
        mark = client.last.get(code)
        if mark is None:
            return None
        own = [one for held in client.positions.values() for one in held.values()]
        standing = standing_of(
            cross.asset,
            cross.collateral,
            lambda asset: add(*client.balances.get((cross.name, asset), _NOTHING)),
            [
                (one.trading_pair_code, stake_of(one, client.rules[one.trading_pair_code]))
                for one in [*own, *self.others.values()]
                if one.account_id == part.account_id
            ],
            client.last.get,
            code,
            client.pairs[code].price_increment,
        )
        return nearest(standing.triggers(mark), mark)
