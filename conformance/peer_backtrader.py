"""backtrader on the bars, with the strategy: its fills and final equity as a line of JSON."""

from __future__ import annotations

import json
import sys

import backtrader as bt
import data
import decisions

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


def main(path, name, fee):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(
        bt.feeds.GenericCSVData(
            dataname=path, dtformat=data.FORMAT, timeframe=bt.TimeFrame.Minutes, compression=1,
            datetime=0, open=1, high=2, low=3, close=4, volume=5, openinterest=-1,
        )
    )  # fmt: skip
    cerebro.addstrategy(Peer, name=name)
    cerebro.broker.setcash(decisions.CASH)
    cerebro.broker.setcommission(commission=float(fee))
    cerebro.run()
    print(json.dumps({"fills": FILLS, "equity": cerebro.broker.getvalue()}))


main(*sys.argv[1:4])
