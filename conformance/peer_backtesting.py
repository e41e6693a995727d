"""backtesting.py on the bars, with the strategy: its fills and final equity as a line of JSON."""

from __future__ import annotations

import json
import sys
import warnings

import data
import decisions
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
    test = Backtest(
        frame, Peer, cash=decisions.CASH, commission=float(fee), trade_on_close=when == "close"
    )
    stats = test.run()
    broker = stats["_strategy"]._broker
    fills = []
    for trade in [*broker.closed_trades, *broker.trades]:
        side, other = ("buy", "sell") if trade.size > 0 else ("sell", "buy")
        fills.append([trade.entry_bar, side, trade.entry_price, abs(trade.size)])
        if trade.exit_price is not None:
            fills.append([trade.exit_bar, other, trade.exit_price, abs(trade.size)])
    fills.sort(key=lambda fill: fill[0])
    print(json.dumps({"fills": fills, "equity": stats["Equity Final [$]"]}))


main(*sys.argv[1:5])
