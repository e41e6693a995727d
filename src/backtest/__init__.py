"""backtest: simulated trading with actors, exact money and simulated time.

::

    import backtest
    result = backtest.run(MyStrategy(), data="btc.csv", pair="BTCUSD", cash="100000 USD", seed=7)

Strategies are written with `backtest.strategies.Strategy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backtest.analysis.result import RunResult
    from backtest.repositories.context import BacktestContext
    from backtest.runs.run import run, run_async
    from backtest.runs.runner import BacktestRunner

    __version__: str

__all__ = ["BacktestContext", "BacktestRunner", "RunResult", "__version__", "run", "run_async"]

_HOMES = {
    "BacktestContext": "backtest.repositories.context",
    "BacktestRunner": "backtest.runs.runner",
    "RunResult": "backtest.analysis.result",
    "run": "backtest.runs.run",
    "run_async": "backtest.runs.run",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that importing a model does not import the whole engine.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    if name == "__version__":
        from backtest.source_code import version_of

        return version_of("backtest-actors")
    raise AttributeError(f"module 'backtest' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
