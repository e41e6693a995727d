"""The random flow as a strategy of NautilusTrader.

Each order has an instrument to itself while it lives, all with the same bars: on one instrument a
fill moves the market for the orders that come behind it in the same tick. Exits are children of
their entry (one triggers the other), each other's only partners.
"""

from __future__ import annotations

from collections import deque

import flow
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import ContingencyType, OrderSide, TriggerType
from nautilus_trader.model.identifiers import OrderListId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.model.orders import (
    LimitOrder,
    MarketOrder,
    OrderList,
    StopLimitOrder,
    StopMarketOrder,
)
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

LANES = 60
"""Instruments: more than can be in use, so that one rests before it is used again."""
FILLS = []


class RandomConfig(StrategyConfig, frozen=True):
    instruments: tuple
    bar_type: object
    """Of the last instrument: its bar comes when all others have had theirs."""
    profile: str
    last: int


class Random(Strategy):
    def on_start(self):
        self.flow = flow.Flow(self.config.profile, self.config.last)
        self.free = deque(self.config.instruments)
        self.lanes, self.entries, self.exits, self.held, self.numbers = {}, {}, {}, {}, {}
        self.lists = 0
        self.subscribe_bars(self.config.bar_type)

    def on_order_filled(self, event):
        number = self.numbers[event.client_order_id]
        buy, size = event.order_side == OrderSide.BUY, int(event.last_qty)
        price = float(event.last_px)
        FILLS.append([event.ts_event, "buy" if buy else "sell", price, size, number])
        entry = self.entries[number].client_order_id == event.client_order_id
        self.held[number] = self.held.get(number, 0) + (size if entry else -size)

    def on_bar(self, bar):
        waiting = [number for number, order in self.entries.items() if not order.is_closed]
        held = {number: size for number, size in self.held.items() if size}
        for number in [one for one in self.lanes if one not in held and one not in waiting]:
            self.drop(number)
        for do in self.flow.decide(round(float(bar.close) * 100), waiting, held):
            if do.verb == "cancel":
                self.cancel_order(self.entries[do.number])
            elif do.verb == "close":
                self.close(do, held[do.number])
            elif do.verb == "protect":
                self.protect(do, held[do.number])
            elif do.verb == "modify" and not self.exits[do.number]:
                name = "price" if do.kind == "limit" else "trigger_price"
                settings = {name: Price(do.price / 100, 2)}
                self.modify_order(self.entries[do.number], Quantity(do.volume, 0), **settings)
            else:
                if do.verb == "modify":  # its exits cannot be changed before they are live
                    self.cancel_order(self.entries[do.number])
                    self.free.append(self.lanes[do.number])
                self.enter(do)

    def drop(self, number):
        """Nothing of this order is left: its instrument is free."""
        for order in self.exits.pop(number):
            if not order.is_closed:
                self.cancel_order(order)
        self.free.append(self.lanes.pop(number))
        del self.entries[number]

    def enter(self, do):
        self.lanes[do.number] = self.free.popleft()
        wanted = (("stop", do.stop_loss), ("limit", do.take_profit))
        legs = [(kind, price) for kind, price in wanted if price is not None]
        self.lists += 1
        entry_id, *ids = (self.order_factory.generate_client_order_id() for _ in range(3))
        ids, listed = ids[: len(legs)], OrderListId(str(self.lists))
        more = {}
        if legs:
            more = {"contingency_type": ContingencyType.OTO, "linked_order_ids": ids}
            more["order_list_id"] = listed
        entry = self.make(do, do.kind, do.price, entry_id, do.buy, do.volume, **more)
        exits = []
        for (kind, price), one in zip(legs, ids, strict=True):
            others = [other for other in ids if other != one]
            more = {"parent_order_id": entry_id, "order_list_id": listed, "reduce_only": True}
            if others:
                more |= {"contingency_type": ContingencyType.OCO, "linked_order_ids": others}
            exits.append(self.make(do, kind, price, one, not do.buy, do.volume, **more))
        self.entries[do.number], self.exits[do.number] = entry, exits
        if exits:
            self.submit_order_list(OrderList(listed, [entry, *exits]))
        else:
            self.submit_order(entry)

    def make(self, do, kind, price, name, buy, volume, **more):
        self.numbers[name] = do.number
        told = {
            "trader_id": self.trader_id, "strategy_id": self.id,
            "instrument_id": self.lanes[do.number], "client_order_id": name,
            "order_side": OrderSide.BUY if buy else OrderSide.SELL,
            "quantity": Quantity(volume, 0), "init_id": UUID4(),
            "ts_init": self.clock.timestamp_ns(), **more,
        }  # fmt: skip
        if kind == "market":
            return MarketOrder(**told)
        at = Price(price / 100, 2)
        if kind == "limit":
            return LimitOrder(**told, price=at)
        told |= {"trigger_price": at, "trigger_type": TriggerType.DEFAULT}
        if kind == "stop_limit":
            return StopLimitOrder(**told, price=Price(do.limit / 100, 2))
        return StopMarketOrder(**told)

    def send(self, do, kind, price, volume):
        """An exit of what is held."""
        name = self.order_factory.generate_client_order_id()
        order = self.make(do, kind, price, name, not do.buy, volume, reduce_only=True)
        (position,) = self.cache.positions_open(instrument_id=self.lanes[do.number])
        self.submit_order(order, position_id=position.id)
        return order

    def close(self, do, volume):
        """Take the exits out of the way, close, and send exits for what is left."""
        self.renew(do, volume - do.volume, lambda: self.send(do, "market", None, do.volume))

    def protect(self, do, volume):
        self.renew(do, volume, lambda: None)

    def renew(self, do, volume, between):
        for order in self.exits[do.number]:
            if not order.is_closed:
                self.cancel_order(order)
        between()
        guards, sent = self.flow.orders[do.number], []
        if volume and guards.stop_loss:
            sent.append(self.send(do, "stop", guards.stop_loss, volume))
        if volume and guards.take_profit:
            sent.append(self.send(do, "limit", guards.take_profit, volume))
        self.exits[do.number] = sent
