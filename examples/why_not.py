"""Why an order did not fill: a bracket, two orders of a group, and a limit that nobody met.

The market falls, finds little volume, and rises again; `explain` tells of each order what happened
to it and, bar by bar, why nothing did.
"""

from __future__ import annotations

from decimal import Decimal

import backtest
from backtest.models import Bar, TradingPair
from backtest.strategies import Strategy

HOUR = 3600 * 10**9
PAIR = TradingPair("BTCUSD", "BTC", "USD", Decimal("0.01"), Decimal("0.1"))


def market() -> list[Bar]:
    """Seven hours: open, high, low, close, volume."""
    rows = [
        ("100", "101", "99", "100", "50"),
        ("100", "101", "97", "98", "50"),
        ("98", "99", "96", "97", "2"),
        ("97", "98", "95.05", "96", "50"),
        ("96", "103", "96", "102", "50"),
        ("102", "107", "101", "106", "50"),
        ("106", "112", "105", "111", "50"),
    ]
    return [
        Bar("BTCUSD", at * HOUR, (at + 1) * HOUR, *(Decimal(one) for one in row))
        for at, row in enumerate(rows)
    ]


class Cautious(Strategy):
    """Buys a dip in a bracket, a breakout or a crash, and hopes for more."""

    async def run(self) -> None:
        async for _ in self.bars("BTCUSD"):
            # Bought at 96.50 or better, sold again at 94 or at 110, whichever comes first.
            await self.buy("BTCUSD", 1, limit_price="96.5", stop_loss=94, take_profit=110)
            # The first of these to fill cancels the other.
            await self.long("BTCUSD", 1, leverage=2, stop_price=104, oco="either")
            await self.long("BTCUSD", 1, leverage=2, limit_price=90, oco="either")
            # Never met: the lowest price there is will be 95.05.
            await self.buy("BTCUSD", 1, limit_price=95)
            return


def main() -> None:
    """Run it and print the stories."""
    rules = {"participation": "0.1"}  # of the volume of a bar a tenth is ours
    result = backtest.run(Cautious(), data=market(), pair=PAIR, cash="1000 USD", rules=rules)
    result.verify().raise_for_problems()
    for order in result.orders:
        if order.parent_id is None:
            print(result.explain(order.id))


if __name__ == "__main__":
    main()
