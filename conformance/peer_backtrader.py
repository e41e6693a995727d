"""backtrader on the bars, with the strategy: its fills and final equity as a line of JSON."""

from __future__ import annotations

import json
import sys

import backtrader as bt
import data
import decisions
import flow

FILLS = []


class Peer(bt.Strategy):
    params = (("name", "sma"),)

    def __init__(self):
        self.brain = decisions.make(self.p.name)
        self.resting = []

    def notify_order(self, order):
        if order.status == order.Completed:
            side = "buy" if order.isbuy() else "sell"
            FILLS.append([len(self.data) - 1, side, order.executed.price, abs(order.executed.size)])

    def next(self):
        alive = [order for order in self.resting if order.alive()]
        bracket = "bracket" in self.p.name
        market = self.p.name == "sma"
        held = abs(int(self.position.size))
        busy = bool(alive) and (bracket or market)
        if bracket and not held and self.p.name in ("bracket-limit", "bracket-stop"):
            # An entry that has not filled is placed anew at each bar.
            if alive:
                self.cancel(alive[0])
            busy = False
        elif not bracket and not market:
            for order in alive:
                self.cancel(order)
        do = self.brain.decide(round(self.data.close[0] * 100), held, busy)
        if do is None:
            return
        kind = {"market": bt.Order.Market, "limit": bt.Order.Limit, "stop": bt.Order.Stop}[do.kind]
        price = None if do.price is None else do.price / 100
        if do.stop_loss is not None:
            send = self.buy_bracket if do.side == "buy" else self.sell_bracket
            self.resting = send(
                size=1, exectype=kind, price=price,
                stopprice=do.stop_loss / 100, limitprice=do.take_profit / 100,
            )  # fmt: skip
        else:
            send = self.buy if do.side == "buy" else self.sell
            self.resting = [send(size=1, exectype=kind, price=price)]


class Random(bt.Strategy):
    """The random flow. Orders cannot be changed: what changes is cancelled and sent anew, and the
    legs of a position with it. Before a close at the market its legs are cancelled."""

    params = (("last", 0),)

    def __init__(self):
        self.flow = flow.Flow("backtrader", self.p.last)
        self.entries, self.legs, self.held, self.numbers = {}, {}, {}, {}

    def notify_order(self, order):
        if order.status != order.Completed:
            return
        side, number = "buy" if order.isbuy() else "sell", self.numbers[order.ref]
        size = abs(order.executed.size)
        FILLS.append([len(self.data) - 1, side, order.executed.price, size, number])
        entry = self.entries[number].ref == order.ref  # it is a copy that is told of
        self.held[number] = self.held.get(number, 0) + (size if entry else -size)

    def next(self):
        waiting = [number for number, order in self.entries.items() if order.alive()]
        held = {number: int(size) for number, size in self.held.items() if size}
        for do in self.flow.decide(round(self.data.close[0] * 100), waiting, held):
            if do.verb in ("cancel", "modify"):
                self.cancel(self.entries[do.number])
            if do.verb in ("enter", "modify"):
                self.enter(do)
            elif do.verb in ("close", "protect"):
                self.change(do, held[do.number])

    def enter(self, do):
        kind = {
            "market": bt.Order.Market, "limit": bt.Order.Limit, "stop": bt.Order.Stop,
            "stop_limit": bt.Order.StopLimit,
        }[do.kind]  # fmt: skip
        loss, profit = do.stop_loss, do.take_profit
        settings = {
            "size": do.volume, "exectype": kind, "price": do.price and do.price / 100,
            "plimit": do.limit and do.limit / 100,
        }  # fmt: skip
        if loss is None and profit is None:
            sent = [(self.buy if do.buy else self.sell)(**settings)]
        else:
            sent = (self.buy_bracket if do.buy else self.sell_bracket)(
                **settings,
                stopprice=loss and loss / 100, stopexec=bt.Order.Stop if loss else None,
                limitprice=profit and profit / 100, limitexec=bt.Order.Limit if profit else None,
            )  # fmt: skip
        self.entries[do.number], *self.legs[do.number] = self.known(do.number, sent)

    def known(self, number, sent):
        sent = [order for order in sent if order is not None]
        for order in sent:
            self.numbers[order.ref] = number
        return sent

    def change(self, do, volume):
        """Close, and send legs for what is left; or send other legs."""
        for order in self.legs[do.number]:
            self.cancel(order)
        send, sent = self.sell if do.buy else self.buy, []
        if do.verb == "close":
            self.known(do.number, [send(size=do.volume)])
            volume -= do.volume
        guards = self.flow.orders[do.number]
        if volume and guards.stop_loss:
            sent.append(send(size=volume, exectype=bt.Order.Stop, price=guards.stop_loss / 100))
        if volume and guards.take_profit:
            price, other = guards.take_profit / 100, sent[0] if sent else None
            sent.append(send(size=volume, exectype=bt.Order.Limit, price=price, oco=other))
        self.legs[do.number] = self.known(do.number, sent)


def main(path, name, fee):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(
        bt.feeds.GenericCSVData(
            dataname=path, dtformat=data.FORMAT, timeframe=bt.TimeFrame.Minutes, compression=1,
            datetime=0, open=1, high=2, low=3, close=4, volume=5, openinterest=-1,
        )
    )  # fmt: skip
    if name == flow.NAME:
        cerebro.addstrategy(Random, last=len(data.read(path)))
    else:
        cerebro.addstrategy(Peer, name=name)
    cerebro.broker.setcash(decisions.CASH)
    cerebro.broker.setcommission(commission=float(fee))
    cerebro.run()
    print(json.dumps({"fills": FILLS, "equity": cerebro.broker.getvalue()}))


main(*sys.argv[1:4])
