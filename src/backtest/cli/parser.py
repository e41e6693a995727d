"""The arguments of each command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

from backtest import __version__
from backtest.analysis.tables.files import FORMATS
from backtest.cli.logs import LEVELS
from backtest.cli.terminal import say
from backtest.profiles import PROFILES
from backtest.spelling import suggestion

__all__ = ["parser"]

_EPILOG = """\
examples:
  {prog} demo
  {prog} run my.py:Mine --data btc.csv --pair BTCUSD --cash 100000USD
  {prog} run my.py --data BTCUSD=btc.csv --data ETHUSD=eth.csv --cash 100000USD --out results
  {prog} run my.py other.py:Two --data BTCUSD=btc.csv,tz=Europe/Berlin,bar=1h --cash 100000USD \\
      --accounts own --start 2024-01-01 --end 2024-07-01 --warmup "200 bars" --save-config run.toml
  {prog} run run.toml --seed 8
  {prog} market reference-day --until 10:00
  {prog} verify results
  {prog} explain results 0f3ac2e1
"""
_RUN_EPILOG = """\
STRATEGY is FILE.py:Class or package.module:Class; without :Class, the only one there is. Several
run beside each other; NAME=FILE.py:Class gives one a name. FILE.toml is a run file: what it says
holds where the command line says nothing. docs/cli.md tells what stands in it.
A CSV of bars needs columns for time, open, high, low, close; of quotes time, bid, ask; of trades
time, price. It may have volumes; docs/data.md tells.
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one message, and of a misspelt option which one was meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        known = [name[2:] for name in self._option_string_actions if name.startswith("--")]
        for name in self._misspelt(sys.argv[1:] if args is None else list(args)):
            meant = suggestion(name[2:], known)
            if meant is not None:
                self.error(f"there is no option {name}; did you mean --{meant}?")
        found, rest = super().parse_known_args(args, namespace)
        if not rest:
            self._check_needed(found)
        return found, rest

    def _check_needed(self, found: argparse.Namespace) -> None:
        """Without a run file, a run needs data and cash from the command line."""
        strategies = getattr(found, "strategies", None)
        if strategies is None or any(one.endswith(".toml") for one in strategies):
            return
        missing = [f"--{name}" for name in ("data", "cash") if not getattr(found, name, True)]
        if missing:
            self.error(f"the following arguments are required: {', '.join(missing)}")

    def _misspelt(self, args: list[str]) -> Iterator[str]:
        """The options in ``args`` that nobody knows; a command's own are for its own parser."""
        if self._subparsers is not None:
            return
        for text in args:
            if text == "--":
                return
            name = text.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                yield name

    def error(self, message: str) -> NoReturn:
        say(f"error: {message} (for help: {self.prog} -h)", error=True)
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; ``command`` is what to call with what it found."""
    called = sys.argv[0] if sys.argv else ""
    prog = "python -m backtest" if called.endswith("__main__.py") or not called else "backtest"
    top = _Parser(
        prog=prog,
        description="Backtest trading strategies with actors and an exact ledger.",
        epilog=_EPILOG.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"backtest {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _run(commands)
    _demo(commands)
    _market(commands)
    _verify(commands)
    _explain(commands)
    return top


def _add(commands: Any, name: str, help: str, command: Any, **more: Any) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **more,
    )
    one.set_defaults(command=command)
    one.add_argument("--debug", action="store_true", help="show the traceback of an error")
    one.add_argument(
        "-q", "--quiet", action="store_true", help="nothing on standard error but errors"
    )
    one.add_argument(
        "--log-level", choices=LEVELS, default="warning", metavar="LEVEL",
        help=f"what is logged on standard error: {', '.join(LEVELS)} (default: warning)",
    )  # fmt: skip
    return one


def _run(commands: Any) -> None:
    from backtest.cli.running import run

    one = _add(commands, "run", "run a strategy on market data", run, epilog=_RUN_EPILOG)
    one.add_argument(
        "strategies", metavar="STRATEGY", nargs="+",
        help="[NAME=]FILE.py:Class or package.module:Class, again for more; or a run file",
    )  # fmt: skip
    _about_market(one.add_argument_group("the market"))
    _about_strategy(one.add_argument_group("the strategy"))
    out = one.add_argument_group("the result")
    _add_out(out)
    out.add_argument(
        "--page", metavar="FILE.html",
        help="also write one HTML page that stands alone (needs the extra 'plot')",
    )  # fmt: skip
    out.add_argument(
        "--paths", action=argparse.BooleanOptionalAction, default=None,
        help="also say between what the profit lies, whichever extreme of each bar came first",
    )  # fmt: skip
    out.add_argument(
        "--json", action=argparse.BooleanOptionalAction, default=None,
        help="print one JSON object instead of a report",
    )  # fmt: skip
    out.add_argument(
        "--save-config", metavar="FILE.toml",
        help="write all of this as a run file, to be run again: backtest run FILE.toml",
    )  # fmt: skip
    one.set_defaults(format=None)


def _about_market(market: Any) -> None:
    market.add_argument(
        "--data", action="append", default=[], metavar="[PAIR=]FILE[,tz=…,bar=…]",
        help="CSV (also .gz) or Parquet file of bars, quotes or trades, and how it is read (tz, "
        "bar, stamp, decimal); again for each further one",
    )  # fmt: skip
    market.add_argument(
        "--pair", action="append", default=[], metavar="CODE",
        help="the pair of each --data, in order, such as BTCUSD",
    )  # fmt: skip
    market.add_argument(
        "--bar", action="append", default=[], metavar="LENGTH",
        help="length of a bar: 1m, 4h, 1d, 1M (a month), 1q, 1y; once for all --data or once for "
        "each, in order (auto: what the file tells, as without it)",
    )  # fmt: skip
    market.add_argument(
        "--stamp", action="append", default=[], choices=("open", "close"),
        help="which end of a bar its time is (default: open); once, or once for each --data",
    )  # fmt: skip
    market.add_argument(
        "--tz", action="append", default=[], metavar="ZONE",
        help="zone of times that name none, and of days and months (default: UTC); likewise",
    )  # fmt: skip
    market.add_argument(
        "--decimal", action="append", default=[], choices=(".", ","), metavar="MARK",
        help="the mark of decimals in text, . or , (default: .); likewise",
    )  # fmt: skip
    market.add_argument(
        "--stream", action=argparse.BooleanOptionalAction, default=None,
        help="read while running, in constant memory",
    )  # fmt: skip
    market.add_argument(
        "--start", metavar="TIME",
        help="begin with the bar that opens then: 2024-01-01, '2024-01-01 09:30 Europe/Berlin'",
    )  # fmt: skip
    market.add_argument("--end", metavar="TIME", help="end before then, likewise")
    market.add_argument(
        "--warmup", metavar="LENGTH",
        help="what is seen before the start, and not traded: 30d, '200 bars'",
    )  # fmt: skip
    market.add_argument(
        "--rules", metavar="FILE.toml", help="fees, leverage, increments, fill rules"
    )
    market.add_argument(
        "--profile", choices=tuple(PROFILES), metavar="NAME",
        help=f"fill as another engine does: {', '.join(PROFILES)}",
    )  # fmt: skip


def _about_strategy(money: Any) -> None:
    money.add_argument(
        "--cash", action="append", default=[], metavar="[ACCOUNT:]AMOUNT",
        help="what it starts with, such as 100000USD; again for more assets or accounts",
    )  # fmt: skip
    money.add_argument(
        "--accounts", choices=("own", "shared"),
        help="of several strategies: one account for all, or the cash for each in its own "
        "(default: shared, or those that --cash names)",
    )  # fmt: skip
    money.add_argument(
        "--netting", action=argparse.BooleanOptionalAction, default=None,
        help="a fill first closes what is open on the other side (else each is a position)",
    )  # fmt: skip
    money.add_argument(
        "--set", action="append", default=[], metavar="[STRATEGY.]NAME=VALUE", dest="parameters",
        help="a parameter of the strategy, such as fast=10, or of one of several; again for more",
    )  # fmt: skip
    money.add_argument(
        "--latency", action="append", default=[], metavar="[LINK=]LENGTH",
        help="of messages to and from the venue: 50ms, or of one link: orders=20ms, "
        "market_data=5ms, order_events=10ms",
    )  # fmt: skip
    money.add_argument(
        "--margin",
        choices=("isolated", "cross"),
        help="what stands behind a position: its own margin, or the whole account",
    )
    money.add_argument(
        "--collateral",
        action="append",
        default=[],
        metavar="ASSET=WEIGHT",
        help="count an asset for cross margin, BTC=0.9 say; again for more",
    )
    money.add_argument("--seed", type=int, help="root of all ids and chance (default: 0)")


def _add_out(group: Any) -> None:
    group.add_argument(
        "--out", metavar="DIR", help="write orders, transactions, balances, fills there"
    )
    group.add_argument(
        "--format", choices=FORMATS, default="csv", help="of the files in DIR (default: csv)"
    )
    group.add_argument(
        "--force",
        action="store_true",
        help="replace files of others that are in the way; write to DIR even if it holds other "
        "things (they stay)",
    )


def _demo(commands: Any) -> None:
    from backtest.cli.demo import demo

    one = _add(commands, "demo", "a backtest from beginning to end on a made-up market", demo)
    one.add_argument(
        "--seed", type=int, default=7, help="another seed is another market (default: 7)"
    )
    one.add_argument(
        "--csv", metavar="FILE", help="also write the market's bars to FILE, to run on"
    )
    _add_out(one)


def _market(commands: Any) -> None:
    from backtest.cli.market import market

    one = _add(commands, "market", "run a market of agents that trade with each other", market)
    one.add_argument(
        "scenario", metavar="SCENARIO", nargs="?",
        help="a shipped name (see --list), a TOML file, or my.py:name",
    )  # fmt: skip
    one.add_argument("--list", action="store_true", help="tell which scenarios are shipped")
    one.add_argument(
        "--agents", type=int, metavar="N", help="as many agents, the populations in proportion"
    )
    one.add_argument(
        "--seed", type=int, help="root of all ids and chance (default: the scenario's)"
    )
    one.add_argument(
        "--until", metavar="TIME", help="end earlier or later: 10:00 (UTC), 2024-01-02T10:00:00Z"
    )
    _add_out(one)
    one.add_argument(
        "--page", metavar="FILE.html",
        help="also write one HTML page with plots (needs the extra 'plot')",
    )  # fmt: skip
    one.add_argument(
        "--json", action="store_true", help="print one JSON object instead of a report"
    )


def _verify(commands: Any) -> None:
    from backtest.cli.reading import verify

    one = _add(commands, "verify", "check the files of a run, and its data if it is there", verify)
    one.add_argument("directory", metavar="DIR", help="what 'run --out DIR' wrote")
    _add_data(one)


def _explain(commands: Any) -> None:
    from backtest.cli.reading import explain

    one = _add(commands, "explain", "tell the story of an order", explain)
    one.add_argument("directory", metavar="DIR", help="what 'run --out DIR' wrote")
    one.add_argument(
        "order", metavar="ORDER_ID",
        help="any id of the order or its parts, the beginning of one, or its number",
    )  # fmt: skip
    _add_data(one)


def _add_data(one: Any) -> None:
    one.add_argument(
        "--data", action="append", default=[], metavar="[PAIR=]FILE",
        help="the data of the run, if it is no longer where it was; again for more pairs",
    )  # fmt: skip
