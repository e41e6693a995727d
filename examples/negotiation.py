"""Two agents bargain on a topic, and trade with each other at the price that they agree on.

Run it from the project's folder: python examples/negotiation.py
"""

from decimal import Decimal
from typing import Any, NamedTuple

from backtest.markets import Instrument, Scenario, run_market
from backtest.models import Asset, TradingPair
from backtest.strategies import Strategy

CENT = Decimal("0.01")
PAIR = TradingPair("TULIP", Asset("TULIP", 0), Asset("USD", 2), CENT, Decimal(1))


class Word(NamedTuple):
    """What is said: a price, and whether it is the last word. What can be changed is refused."""

    price: Decimal
    is_deal: bool = False


class Bargainer(Strategy):
    """Names a price, moves by ``step`` with each answer, and takes what is as good as its next."""

    computation_delay = "1s"  # each word is thought over for a second

    buys: bool = True
    price: Decimal = Decimal(0)
    step: Decimal = Decimal(0)
    begins_with: str = ""

    def on_start(self) -> None:
        if self.begins_with:
            self.say(Word(self.price), self.begins_with)

    def say(self, word: Word, to: str) -> None:
        deal = " - agreed" if word.is_deal else ""
        print(f"{self.now:%H:%M:%S} {self.name}: {word.price}{deal}")
        self.publish("bargain", word, to=to)

    def on_message(self, topic: str, payload: Any, sender: str) -> None:
        offer = payload.price
        self.price += self.step
        if payload.is_deal:
            self.trade(offer)
        elif offer <= self.price if self.buys else offer >= self.price:
            self.say(Word(offer, is_deal=True), sender)
            self.trade(offer)
        else:
            self.say(Word(self.price), sender)

    def trade(self, price: Decimal) -> None:
        order = self.long if self.buys else self.short
        order(PAIR.code, 10, limit_price=price)


def main() -> None:
    scenario = Scenario(
        pairs=[Instrument(pair=PAIR, reference_price=100)],
        start="2026-03-02T09:30:00+00:00",
        duration="1m",
    )
    agents = {
        "buyer": Bargainer(price=Decimal(93), step=Decimal(2)),
        "seller": Bargainer(buys=False, price=Decimal(110), step=Decimal(-3), begins_with="buyer"),
    }
    result = run_market(scenario, strategies=agents, cash="5000 USD", seed=1)
    for trade in result.trades:
        print(f"{trade.volume} at {trade.price}, from {trade.seller} to {trade.buyer}")
    assert result.verify().ok


if __name__ == "__main__":
    main()
