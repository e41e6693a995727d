"""NautilusTrader's bar execution on the bars, with the strategy: fills and equity as JSON.

``adaptive`` as a fourth argument orders high and low by their distance from the open.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from itertools import pairwise

import data
import decisions
import flow
import nautilus_flow
import pandas as pd
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide, OrderType
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("SIM")
FILLS = []
KINDS = {"market": OrderType.MARKET, "limit": OrderType.LIMIT, "stop": OrderType.STOP_MARKET}


# The factory's brackets know no stop entry: that strategy is left out here.
class Config(StrategyConfig, frozen=True):
    instrument_id: InstrumentId
    bar_type: BarType
    name: str


class Peer(Strategy):
    def on_start(self):
        self.brain = decisions.make(self.config.name)
        self.bars = 0
        self.instrument = self.cache.instrument(self.config.instrument_id)
        self.subscribe_bars(self.config.bar_type)

    def on_order_filled(self, event):
        side = "buy" if event.order_side == OrderSide.BUY else "sell"
        # A fill inside a bar comes before its on_bar; at a close, after it.
        FILLS.append([event.ts_event, side, float(event.last_px), float(event.last_qty)])

    def on_bar(self, bar):
        iid = self.config.instrument_id
        held = abs(int(sum(p.signed_qty for p in self.cache.positions_open(instrument_id=iid))))
        if "bracket" not in self.config.name or not held:
            self.cancel_all_orders(iid)
        do = self.brain.decide(round(float(bar.close) * 100), held, False)
        if do is None:
            return
        side = OrderSide.BUY if do.side == "buy" else OrderSide.SELL
        one, price = Quantity(1, 0), None if do.price is None else Price(do.price / 100, 2)
        make = self.order_factory
        if do.stop_loss is not None:
            entry = {}
            if do.kind == "limit":
                entry = {"entry_price": price}
            elif do.kind == "stop":
                entry = {"entry_trigger_price": price}
            self.submit_order_list(
                make.bracket(
                    iid, side, one, entry_order_type=KINDS[do.kind],
                    sl_trigger_price=Price(do.stop_loss / 100, 2),
                    tp_price=Price(do.take_profit / 100, 2), **entry,
                )
            )  # fmt: skip
        elif do.kind == "market":
            self.submit_order(make.market(iid, side, one))
        elif do.kind == "limit":
            self.submit_order(make.limit(iid, side, one, price))
        else:
            self.submit_order(make.stop_market(iid, side, one, price))


def instrument_of(code, rate):
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol(code), VENUE), raw_symbol=Symbol(code),
        base_currency=BTC, quote_currency=USDT, price_precision=2, size_precision=0,
        price_increment=Price(0.01, 2), size_increment=Quantity(1, 0), ts_event=0, ts_init=0,
        maker_fee=rate, taker_fee=rate, margin_init=Decimal(0), margin_maint=Decimal(0),
    )  # fmt: skip


def main(path, name, fee, ordering=""):
    rows = data.read(path)
    times = pd.to_datetime([row.time for row in rows], utc=True)
    length = min(later - one for one, later in pairwise(times))
    frame = pd.DataFrame(
        {
            "open": [row.open / 100 for row in rows],
            "high": [row.high / 100 for row in rows],
            "low": [row.low / 100 for row in rows],
            "close": [row.close / 100 for row in rows],
            "volume": 1_000_000.0,
        },
        index=times + length,
    )
    rate = Decimal(fee)
    drawn = name == flow.NAME
    codes = [f"BTC{n:02}USDT" for n in range(nautilus_flow.LANES)] if drawn else ["BTCUSDT"]
    instruments = [instrument_of(code, rate) for code in codes]
    kind = "1-DAY" if length >= pd.Timedelta(days=1) else "1-MINUTE"
    types = [BarType.from_str(f"{one.id}-{kind}-LAST-EXTERNAL") for one in instruments]
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("CONFORM-001"),
            logging=LoggingConfig(log_level="ERROR", bypass_logging=True),
            run_analysis=False,
        )
    )
    engine.add_venue(
        venue=VENUE, oms_type=OmsType.NETTING, account_type=AccountType.MARGIN, base_currency=None,
        starting_balances=[Money(decisions.CASH, USDT)],
        reject_stop_orders=False, bar_adaptive_high_low_ordering=ordering == "adaptive",
    )  # fmt: skip
    for instrument, bar_type in zip(instruments, types, strict=True):
        engine.add_instrument(instrument)
        bars = BarDataWrangler(bar_type, instrument).process(frame)
        engine.add_data(bars)
    if drawn:
        engine.add_strategy(
            nautilus_flow.Random(
                nautilus_flow.RandomConfig(
                    instruments=tuple(one.id for one in instruments), bar_type=bar_type,
                    profile="nautilus-bar-adaptive" if ordering else "nautilus-bar",
                    last=len(rows),
                )
            )
        )  # fmt: skip
    else:
        engine.add_strategy(Peer(Config(instrument_id=instrument.id, bar_type=bar_type, name=name)))
    engine.run()
    account = engine.cache.account_for_venue(VENUE)
    equity = account.balance_total(USDT).as_decimal()
    for position in engine.cache.positions_open():
        equity += position.unrealized_pnl(Price(rows[-1].close / 100, 2)).as_decimal()
    closes = {bar.ts_event: number for number, bar in enumerate(bars)}
    fills = [[closes[fill[0]], *fill[1:]] for fill in [*FILLS, *nautilus_flow.FILLS]]
    print(json.dumps({"fills": fills, "equity": float(equity)}))


main(*sys.argv[1:5])
