"""The orders of an agent: those that it draws, and those that it keeps in mind."""

from __future__ import annotations

from decimal import Decimal
from inspect import signature
from typing import Any

from backtest.models import TradingPair
from backtest.strategies import Strategy
from backtest.strategies.handle import OrderHandle

from .chance import draw_weighted

__all__ = ["Drawing"]

D = Decimal
_MOST = 60
"""How many order handles an agent keeps in mind."""
_SPOT = frozenset(signature(Strategy.buy).parameters)
_TRADING = frozenset(signature(Strategy.long).parameters)


class Drawing(Strategy):
    """The part of a `Trader` that draws orders, and prices and volumes for them."""

    step: int = 60
    """Seconds between two moments of the market, by which it measures its waits."""

    def keep_none(self) -> None:
        """Keep no order in mind."""
        self.handles: list[Any] = []

    def kinds(self, pair: str) -> list[str]:
        """What it creates, as often as it is there."""
        return ["buy", "sell", "long", "short", "long", "short"]

    def create(self, pair: str) -> OrderHandle:
        """A new order of any kind that there is."""
        chance = self.random
        what = chance.choice(self.kinds(pair))
        spot = what in ("buy", "sell")
        terms: dict[str, Any] = {}
        kind = draw_weighted(
            chance,
            [("market", 5), ("limit", 5), ("stop", 3), ("stop_limit", 1), ("trail", 1)],
        )
        if kind in ("limit", "stop_limit"):
            terms["limit_price"] = self._price(pair, 120)
        if kind in ("stop", "stop_limit"):
            terms["stop_price"] = self._price(pair, 120)
        if kind == "trail":
            tick = self.pair_of(pair).price_increment
            if chance.random() < 0.5:
                terms["trail"] = tick * chance.randrange(1, 300)
            else:
                terms["trail_percent"] = D(chance.randrange(1, 400)) / 100
        if not spot:
            terms["leverage"] = chance.choice([1, 2, 3, 5, 20])
        if not spot or (what == "buy" and chance.random() < 0.3):
            sign = 1 if what in ("long", "buy") else -1
            if chance.random() < 0.4:
                terms["stop_loss"] = self._price(pair, 200, -sign)
            if chance.random() < 0.4:
                terms["take_profit"] = self._price(pair, 200, sign)
        if chance.random() < 0.25:
            self._instruct(terms, spot, kind)
        known = _SPOT if spot else _TRADING
        terms = {name: value for name, value in terms.items() if name in known and value}
        account = None
        if chance.random() < 0.3:
            account = chance.choice(list(self._client.holdings.accounts))
        handle: OrderHandle = getattr(self, what)(
            pair, self._volume(pair), account=account, **terms
        )
        return handle

    def _instruct(self, terms: dict[str, Any], spot: bool, kind: str) -> None:
        chance = self.random
        force = chance.choice(["GTC", "GTD", "DAY", "IOC", "FOK"])
        terms["time_in_force"] = force
        if force == "GTD":
            terms["expires"] = self.step * chance.choice([1, 3, 20])
        if kind == "limit" and chance.random() < 0.3:
            terms["post_only"] = True
        if not spot and chance.random() < 0.3:
            terms["reduce_only"] = True
        if chance.random() < 0.4:
            terms["oco"] = chance.choice(["a", "b", "c"])

    def _volume(self, pair: str) -> Decimal:
        """Mostly what the account can pay for; now and then one increment, or far too much."""
        chance = self.random
        terms = self.pair_of(pair)
        price = self.last_price(pair)
        size = draw_weighted(chance, [("fair", 12), ("least", 2), ("greedy", 1), ("huge", 1)])
        free = self.balance(terms.quote.code).available
        if price is None or size == "least" or not free:
            return terms.volume_increment * chance.randrange(1, 20)
        share = {"fair": D(chance.randrange(1, 60)) / 200, "greedy": D("0.999"), "huge": D(3)}[size]
        volume = terms.round_volume(free * share / (price * terms.contract_size))
        most = terms.volume_increment * 10**9
        return min(max(terms.volume_increment, volume), most)

    def _price(self, pair: str, width: int, sign: int = 0) -> Decimal | None:
        """A price on the grid, within ``width`` hundredths of a percent of the last."""
        last = self.last_price(pair)
        if last is None:
            return None
        terms: TradingPair = self.pair_of(pair)
        move = self.random.randrange(0, width + 1) * (sign or self.random.choice([-1, 1]))
        near = terms.round_price(last + last * move / 10_000)
        return max(near, terms.price_increment)

    def _part(self, handle: Any) -> Decimal:
        whole = handle.leaves or handle.open_volume or handle.volume
        return self.pair_of(handle.pair).round_volume(whole * self.random.choice([1, 2, 3]) / 4)

    def _any(self, pair: str) -> Any:
        """One of its handles, live ones more often than others."""
        live = [one for one in self.handles if one.pending is not None or one.parts]
        if live and self.random.random() < 0.8:
            return self.random.choice(live)
        return self.random.choice(self.handles) if self.handles else None

    def _dropped(self, handle: OrderHandle) -> None:
        """Keep ``handle`` in mind; the oldest that is done is forgotten."""
        self.handles.append(handle)
        if len(self.handles) > _MOST:
            for place, one in enumerate(self.handles):
                if one.is_done and not one.parts:
                    del self.handles[place]
                    return
            del self.handles[0]
