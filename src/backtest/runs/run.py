"""Running a backtest in one call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Never, ParamSpec, TypeVar

from attrs import fields

from backtest.actors import Envelope, System
from backtest.analysis.result import RunResult
from backtest.data.ranges import Moment, WarmupLength
from backtest.models import TradingPair
from backtest.runs.runner import BacktestRunner
from backtest.runs.settings import Latencies, Lengths, Zones
from backtest.strategies import Strategy
from backtest.strategies.keywords import unknown_keyword

__all__ = ["run", "run_async", "takes_what"]

P = ParamSpec("P")
T = TypeVar("T")
_OTHER_WORDS = {
    "balance": "cash",
    "capital": "cash",
    "initialcash": "cash",
    "startingcash": "cash",
    "deposit": "cash",
    "symbol": "pair",
    "ticker": "pair",
    "instrument": "pair",
    "fee": "rules",
    "fees": "rules",
    "commission": "rules",
    "margin": "margin_mode",
    "timeframe": "bar",
    "interval": "bar",
    "barlength": "bar",
    "timezone": "tz",
    "zone": "tz",
    "strategy": "strategies",
    "delay": "latency",
    "hedging": "netting",
    "file": "data",
    "bars": "data",
    "from": "start",
    "begin": "start",
    "startdate": "start",
    "fromdate": "start",
    "since": "start",
    "to": "end",
    "until": "end",
    "enddate": "end",
    "todate": "end",
    "warmupbars": "warmup",
    "warmupperiod": "warmup",
}
"""How else people call the settings, capitals and underscores left out."""


def run(
    strategies: Strategy | Sequence[Strategy] | Mapping[str, Strategy],
    *,
    data: Any,
    cash: Any,
    pair: str | TradingPair | None = None,
    accounts: Mapping[str, str | Sequence[str]] | None = None,
    netting: bool | str | Sequence[str] = False,
    rules: Any = None,
    margin_mode: str | None = None,
    collateral: Mapping[str, Any] | None = None,
    profile: str | None = None,
    bar: Lengths = None,
    stamp: str | Sequence[str | None] | Mapping[Any, Any] = "open",
    tz: Zones = None,
    decimal: str | Sequence[str | None] | Mapping[Any, Any] = ".",
    stream: bool = False,
    start: Moment = None,
    end: Moment = None,
    warmup: WarmupLength = None,
    seed: int = 0,
    latency: Latencies = None,
    insurance_fund: Mapping[str, Any] | None = None,
    inbox_bound: int = 100_000,
    stall_bound: int | None = None,
    progress: Callable[[int], None] | None = None,
    observer: Callable[[System, Envelope], None] | None = None,
    tracer: Callable[[Envelope], None] | None = None,
    **unknown: Never,
) -> RunResult:
    """Run a backtest: ``backtest.run(Crossing(fast=5), data="btc.csv", pair="BTCUSD",
    cash="100000 USD", seed=7)``. The settings are those of `BacktestRunner`."""
    return _runner({**locals(), **unknown}).run()


def takes_what(
    explicit: Callable[P, T],
) -> Callable[[Callable[..., Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Let a function have the arguments of ``explicit``, for `help` and for type checkers."""

    def decorate(
        function: Callable[..., Coroutine[Any, Any, T]],
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        function.__signature__ = inspect.signature(explicit)  # type: ignore[attr-defined]
        return function

    return decorate


@takes_what(run)
async def run_async(strategies: Any, **settings: Any) -> RunResult:
    """`run` for use inside a running event loop (a notebook, a server, an async test)."""
    return await _runner({"strategies": strategies, **settings}).run_async()


def _runner(settings: dict[str, Any]) -> BacktestRunner:
    """A runner with ``settings``; an error that says which was meant where one is unknown."""
    settings.pop("unknown", None)
    known = {one.name for one in fields(BacktestRunner) if one.init}
    strange = [name for name in settings if name not in known]
    if strange:
        raise unknown_keyword(strange, run, _OTHER_WORDS)
    left_out = [name for name in ("accounts", "collateral", "insurance_fund") if name in settings]
    for name in left_out:
        if settings[name] is None:
            del settings[name]  # the runner has an empty one
    return BacktestRunner(**settings)
