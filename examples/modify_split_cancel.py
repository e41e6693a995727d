"""Orders while time passes: a bid is raised, split in three, and what nobody wanted is cancelled.

Run it from the project's folder: python examples/modify_split_cancel.py
"""

from decimal import Decimal

import backtest
from backtest.errors import OrderRejected
from backtest.models import Bar
from backtest.strategies import OrderHandle, Strategy

HOUR = 3600 * 10**9
CLOSES = [1000, 998, 995, 991, 988, 984, 987, 990, 986, 992, 995, 999]


def bars() -> list[Bar]:
    """An hour each, opening at the close before; half a unit is traded in each."""
    made = []
    for number, close in enumerate(CLOSES):
        first, last = Decimal(CLOSES[max(number - 1, 0)]), Decimal(close)
        high, low = max(first, last) + 1, min(first, last) - 1
        begins, volume = number * HOUR, Decimal("0.5")
        made.append(Bar("ETHUSD", begins, begins + HOUR, first, high, low, last, volume))
    return made


class Orders(Strategy):
    async def run(self) -> None:
        bid = await self.buy("ETHUSD", 3, limit_price=900)
        self.show("a bid far below the market", bid)

        await self.sleep("2h")
        await bid.modify(limit_price=950, volume="2.4")
        self.show("two hours later: higher, and less", bid)

        parts = await bid.split(["0.8", "0.8", "0.8"], ["990", "985", "960"])
        self.show("split in three, each with its price", bid, *parts)

        try:
            await bid.cancel()
        except OrderRejected as refusal:
            print(f"{self.now:%H:%M}  the old one is gone: {refusal.reason.value}")

        await self.sleep("4h")
        self.show("four hours later", *parts)
        await parts[1].cancel("0.1")
        self.show("a tenth less of the second", parts[1])

        await parts[1].done(timeout="3h")
        for part in parts:
            if not part.is_done:
                await part.cancel()
        self.show("at the end", *parts)

    def show(self, what: str, *orders: OrderHandle) -> None:
        print(f"{self.now:%H:%M}  {what}   [reserved {self.balance('USD').unavailable:.2f} USD]")
        for order in orders:
            limit = "" if order.live is None else f" at {order.live.limit_price}"
            print(
                f"         {order.status.name:9} {order.volume}{limit}: filled "
                f"{order.filled_volume}, leaves {order.leaves}, cancelled {order.cancelled_volume}"
            )


def main() -> None:
    result = backtest.run(Orders(), data=bars(), pair="ETHUSD", cash="5000 USD")
    print("\nAll orders that the venue knew, in the order in which they came to be:")
    for order in result.orders:
        print(f"  {order.order_number} {order.status.name:9} {order.volume} at {order.limit_price}")


if __name__ == "__main__":
    main()
