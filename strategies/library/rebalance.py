"""Keeping a portfolio at its weights: several pairs, woken by the clock and not by bars."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs

from backtest.errors import FieldError, OrderRejected
from backtest.money import decimal_of
from backtest.strategies.handle import OrderHandle
from backtest.strategies.strategy import Strategy

__all__ = ["Rebalancer"]


class Rebalancer(Strategy):
    """Bring the holdings of several pairs back to their target weights, again and again.

    Parameters: ``weights``, the share of the whole for each pair, such as ``{"BTCUSD": "0.6",
    "ETHUSD": "0.3"}`` (left out: nine tenths in equal parts for all pairs); ``every``, how long to
    wait in between; ``band``, the deviation from its weight that a pair is allowed (0.01 is one
    percent of the whole). What the weights leave is cash, in the asset all pairs are quoted in.

    Sales come first, and purchases wait for their proceeds. Leave some cash: a market buy reserves
    a little more than the last price. What is refused is logged and tried again the next time.
    """

    weights: Mapping[str, Decimal | str] = attrs.field(factory=dict)
    every: str = "1d"
    band: Decimal | str = "0.01"

    async def run(self) -> None:
        self.targets = self.wanted_weights()
        self.tolerance = decimal_of(self.band, "band")
        while True:
            await self.sleep(self.every)
            if all(self.last_price(pair) is not None for pair in self.targets):
                await self.rebalance()

    def wanted_weights(self) -> dict[str, Decimal]:
        """The weights as decimals, checked."""
        given: Mapping[str, Decimal | str] = self.weights
        if not given:
            given = dict.fromkeys(self.pairs, Decimal("0.9") / len(self.pairs))
        found = {pair: decimal_of(weight, "weights") for pair, weight in given.items()}
        if any(weight < 0 for weight in found.values()) or sum(found.values()) > 1:
            raise FieldError("weights", f"must not be negative nor exceed 1 together, not {given}")
        if len({self.pair_of(pair).quote for pair in found}) != 1:
            raise FieldError("weights", "must be of pairs that are quoted in one asset")
        return found

    async def rebalance(self) -> None:
        """One round: sell what is too much, and when that is done buy what is too little."""
        changes = self.changes()
        for sign in (-1, 1):
            wanted = {pair: size for pair, size in changes.items() if size * sign > 0}
            sent = [await self.send(pair, size) for pair, size in wanted.items()]
            for order in sent:
                if order is not None:
                    await order.done()

    def changes(self) -> dict[str, Decimal]:
        """The volume to buy (or, negative, to sell) of each pair that is off its weight."""
        pairs = {code: self.pair_of(code) for code in self.targets}
        prices = {code: self.last_price(code) or Decimal(0) for code in pairs}
        worth = {
            code: self.balance(pair.base.code).total * prices[code] for code, pair in pairs.items()
        }
        cash = {pair.quote.code: self.balance(pair.quote.code).total for pair in pairs.values()}
        whole = sum(worth.values()) + sum(cash.values())
        found = {}
        for code, weight in self.targets.items():
            missing = whole * weight - worth[code]
            if abs(missing) > whole * self.tolerance:
                size = pairs[code].round_volume(abs(missing) / prices[code])
                found[code] = size.copy_sign(missing)
        return found

    async def send(self, pair: str, size: Decimal) -> OrderHandle | None:
        """A market order for ``size``, or None when the venue refuses it."""
        try:
            return await (self.buy if size > 0 else self.sell)(pair, abs(size))
        except OrderRejected as refusal:
            self.log_refusal(refusal)
            return None
