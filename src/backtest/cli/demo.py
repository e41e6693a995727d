"""``demo``: a backtest on a made-up market, told for somebody who sees one for the first time."""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from decimal import Decimal
from filecmp import cmp
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent

from backtest.analysis.result import RunResult
from backtest.analysis.tables.files import check_target
from backtest.cli.running import Writing, carry_out, written
from backtest.cli.terminal import say
from backtest.data import BarSource, synthetic_bars, write_csv
from backtest.errors import ConfigError
from backtest.models import Asset, Bar, OrderStatus, TradingOrder, TradingPair, TradingRules
from backtest.runs.runner import BacktestRunner
from backtest.strategies import SmaCross, Strategy

__all__ = ["Momentum", "demo"]

_PAIR = TradingPair(
    "BTCUSD",
    "BTC",
    Asset("USD", 2),
    price_increment=Decimal("0.01"),
    volume_increment=Decimal("0.0001"),
)
_DAYS = 60
_RULES = TradingRules.from_mapping(
    {
        "fees": {
            "fill": {"percent_of_notional": "0.001", "maker": "0.0005"},
            "close": {"percent_of_notional": "0.001"},
            "overnight_filled": {"percent_of_notional": "0.0001"},
        },
        "max_leverage": 10,
        "maintenance_rate": "0.005",
    }
)

_INTRODUCTION = """\
A backtest from beginning to end
================================
The market is made up: {days} days of hourly bars of BTCUSD from seed {seed}, so everybody sees the
same one. Two strategies trade it at one broker, each with an account of its own:

  SmaCross  buys bitcoin when its 12-hour average price rises above the 48-hour one, sells when it
            falls below. It pays in full: what it does not have, it cannot spend.
  Momentum  bets on a rise with 5 times leverage when the price closes above the last 48 hours, and
            has the broker end the bet 2 % below (stop-loss) or 5 % above (take-profit).

The broker charges 0.1 % for each fill and close, and 0.01 % a night for an open position. Orders
are decided at a bar's close and fill at the next bar's open, as nobody can trade in the past.

"""

_STORY = """\

The story of one order
----------------------
Everything is on record: who asked for it, when and why it happened, and each transaction.

{story}
"""

_NEXT = """\

What next
---------
Keep the data and the results, check them, and look into an order:

  python -m backtest demo --csv bars.csv --out results
  python -m backtest verify results
  python -m backtest explain results {order}

Run a strategy of the library on those bars, with another parameter:

  python -m backtest run backtest.strategies:SmaCross --data bars.csv --pair BTCUSD \\
      --cash 10000USD --set fast=24 --set slow=96

Then write your own: a file my.py with a class Mine(Strategy), and 'run my.py:Mine ...'.
"""


class Momentum(Strategy):
    """Long with leverage when the price closes above the highest high of the last bars."""

    pair: str = "BTCUSD"
    hours: int = 48
    volume: Decimal = Decimal("0.15")

    def on_start(self) -> None:
        self.highs: deque[Decimal] = deque(maxlen=self.hours)

    async def on_bar(self, bar: Bar) -> None:
        ready = len(self.highs) == self.hours
        if ready and bar.close > max(self.highs) and not self.position(self.pair):
            price = self.pair_of(self.pair).round_price
            await self.long(
                self.pair,
                self.volume,
                leverage=5,
                stop_loss=price(bar.close * Decimal("0.98")),
                take_profit=price(bar.close * Decimal("1.05")),
            )
        self.highs.append(bar.high)


def demo(arguments: Namespace) -> int:
    """Run, and tell what happened, where the money went, and what to try next."""
    if arguments.out is not None:
        check_target(arguments.out, arguments.format, force=arguments.force)
    market = synthetic_bars(
        _PAIR, _DAYS * 24, seed=arguments.seed, bar="1h", price=30_000, volatility=0.006
    )
    if arguments.csv is not None:
        _write_bars(arguments.csv, market, force=arguments.force)
    strategies: dict[str, Strategy] = {
        "smacross": SmaCross(fast=12, slow=48, volume="0.2"),
        "momentum": Momentum(),
    }
    runner = BacktestRunner(
        strategies=strategies,
        data={_PAIR: market},
        cash={"smacross": "10000 USD", "momentum": "10000 USD"},
        rules=_RULES,
        seed=arguments.seed,
    )
    result = carry_out(runner, strategies, quiet=arguments.quiet)
    verification = result.verify()
    writing = Writing()
    folder = writing.of(lambda: written(result, arguments))
    say(_INTRODUCTION.format(days=_DAYS, seed=arguments.seed) + result.report())
    say("Verification: the run is added up again, by other means")
    say(indent(str(verification), "  "))
    order = _one_order(result)
    if order is not None:
        say(_STORY.format(story=indent(result.explain(order).rstrip(), "  ")), end="")
        say(_NEXT.format(order=order[:8]), end="")
    if folder is not None:
        say(f"\nWritten to {folder}.")
    writing.raise_for_failure()
    return 0 if verification.ok else 1


def _write_bars(file: str, market: BarSource, *, force: bool) -> None:
    """Write the bars to ``file``, unless something else is there."""
    if Path(file).is_file() and not force:
        with TemporaryDirectory() as folder:
            fresh = Path(folder) / "bars.csv"
            write_csv(fresh, market)
            if not cmp(fresh, file, shallow=False):
                raise ConfigError(
                    f"{file} is there and is not this market: give another name, or --force to "
                    "replace it"
                )
        return
    write_csv(file, market)


def _one_order(result: RunResult) -> str | None:
    """A bet that was ended, by its stop-loss if there is one; else any order."""
    closed = [
        order
        for order in result.orders
        if isinstance(order, TradingOrder) and order.status is OrderStatus.CLOSED
    ]
    closed.sort(key=lambda order: order.closing_reason != "stop_loss")
    found = closed or result.orders
    return str(found[0].id) if found else None
