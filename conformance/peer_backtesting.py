"""backtesting.py on the bars, with the strategy: its fills and final equity as a line of JSON."""

from __future__ import annotations

import json
import sys
import warnings

import data
import decisions
import flow
import pandas as pd
from backtesting import Backtest, Strategy

warnings.simplefilter("ignore")


class Peer(Strategy):
    name = "sma"

    def init(self):
        self.brain = decisions.make(self.name)
        # The library leaves out the first bar; the strategy must have seen it.
        self.brain.decide(round(self.data.Close[0] * 100), 0, True)

    def next(self):
        entries = [order for order in self.orders if not order.is_contingent]
        held = abs(int(self.position.size))
        busy = bool(entries) and self.name in ("sma", "bracket", "short-bracket")
        if not busy:
            for order in entries:
                order.cancel()
        do = self.brain.decide(round(self.data.Close[-1] * 100), held, busy)
        if do is None:
            return
        price = None if do.price is None else do.price / 100
        send = self.buy if do.side == "buy" else self.sell
        send(
            size=1,
            limit=price if do.kind == "limit" else None,
            stop=price if do.kind == "stop" else None,
            sl=None if do.stop_loss is None else do.stop_loss / 100,
            tp=None if do.take_profit is None else do.take_profit / 100,
        )


class Random(Strategy):
    """The random flow: a changed order is cancelled and sent anew, as its documentation has it."""

    profile = ""

    def init(self):
        self.flow = flow.Flow(self.profile, len(self.data.df))
        # The library leaves out the first bar; the flow must have seen it.
        self.flow.decide(round(self.data.Close[0] * 100), [], {})

    def next(self):
        entries = {order.tag: order for order in self.orders if order.parent_trade is None}
        trades = {trade.tag: trade for trade in self.trades}
        held = {number: abs(int(trade.size)) for number, trade in trades.items()}
        for do in self.flow.decide(round(self.data.Close[-1] * 100), list(entries), held):
            if do.verb in ("cancel", "modify"):
                entries[do.number].cancel()
            if do.verb in ("enter", "modify"):
                self.enter(do)
            elif do.verb == "close":
                trades[do.number].close(do.volume / held[do.number])
            elif do.verb == "protect":
                trade = trades[do.number]
                for name, price in (("sl", do.stop_loss), ("tp", do.take_profit)):
                    if price is not None:
                        setattr(trade, name, price / 100)

    def enter(self, do):
        cents = {
            "limit": do.price if do.kind == "limit" else do.limit,
            "stop": None if do.kind == "limit" else do.price,
            "sl": do.stop_loss,
            "tp": do.take_profit,
        }
        prices = {name: one / 100 for name, one in cents.items() if one is not None}
        (self.buy if do.buy else self.sell)(size=do.volume, tag=do.number, **prices)


def tagged(trades):
    """A row for the entry of each order, and one for each of its exits."""
    entries, exits = {}, []
    for trade in trades:
        side, other = ("buy", "sell") if trade.size > 0 else ("sell", "buy")
        row = entries.setdefault(
            trade.tag, [trade.entry_bar, side, trade.entry_price, 0, trade.tag]
        )
        row[3] += abs(trade.size)
        if trade.exit_price is not None:
            exits.append([trade.exit_bar, other, trade.exit_price, abs(trade.size), trade.tag])
    return [*entries.values(), *exits]


def main(path, name, fee, when=""):
    rows = data.read(path)
    frame = pd.DataFrame(
        {
            "Open": [row.open / 100 for row in rows],
            "High": [row.high / 100 for row in rows],
            "Low": [row.low / 100 for row in rows],
            "Close": [row.close / 100 for row in rows],
            "Volume": 1_000_000,
        },
        index=pd.to_datetime([row.time for row in rows]),
    )
    Peer.name = name
    Random.profile = "backtesting.py-on-close" if when else "backtesting.py"
    drawn = name == flow.NAME
    test = Backtest(
        frame, Random if drawn else Peer, cash=decisions.CASH, commission=float(fee),
        trade_on_close=when == "close", hedging=drawn,
    )  # fmt: skip
    stats = test.run()
    broker = stats["_strategy"]._broker
    if drawn:
        fills = tagged([*broker.closed_trades, *broker.trades])
        print(json.dumps({"fills": fills, "equity": stats["Equity Final [$]"]}))
        return
    fills = []
    for trade in [*broker.closed_trades, *broker.trades]:
        side, other = ("buy", "sell") if trade.size > 0 else ("sell", "buy")
        fills.append([trade.entry_bar, side, trade.entry_price, abs(trade.size)])
        if trade.exit_price is not None:
            fills.append([trade.exit_bar, other, trade.exit_price, abs(trade.size)])
    fills.sort(key=lambda fill: fill[0])
    print(json.dumps({"fills": fills, "equity": stats["Equity Final [$]"]}))


main(*sys.argv[1:5])
