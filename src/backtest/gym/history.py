"""Episodes of historical data: a backtest with a learner in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from backtest.errors import ConfigError
from backtest.gym.actions import Actions
from backtest.gym.env import TradingEnv
from backtest.gym.learner import Learner
from backtest.gym.observations import Observation
from backtest.gym.rewards import Reward, equity_change
from backtest.models import TradingPair
from backtest.runs.rerun import restored, snapshot
from backtest.runs.runner import BacktestRunner
from backtest.strategies import Strategy

__all__ = ["History", "history_env"]


class History:
    """Makes a `BacktestRunner` for each episode, from ``settings``, which are those of it.

    ``data`` is read once for all episodes, or made for each: a function of the episode's seed.
    ``others`` are strategies that trade beside the learner, anew in each episode. The options of
    `Env.reset` are settings for that episode.
    """

    def __init__(
        self, data: Any, *, others: Mapping[str, Strategy] | None = None, **settings: Any
    ) -> None:
        self._data = data
        self._settings = settings
        self._others = {name: snapshot(one) for name, one in (others or {}).items()}
        self._first: BacktestRunner | None = None

    def __call__(
        self, learner: Learner, name: str, seed: int, options: Mapping[str, Any]
    ) -> BacktestRunner:
        strategies = {name: learner, **{key: restored(one) for key, one in self._others.items()}}
        if len(strategies) <= len(self._others):
            raise ConfigError(f"one of the others is called {name!r}, as the learner is")
        settings: dict[str, Any] = {"seed": seed, **options}
        if callable(self._data):
            make: Callable[[int], Any] = self._data
            settings.setdefault("data", make(seed))
        if self._first is None:
            data = None if callable(self._data) else self._data
            self._first = BacktestRunner(strategies={}, data=data, **self._settings)
        return self._first.anew(strategies, **settings)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_first": None}


def history_env(
    data: Any,
    cash: Any,
    *,
    act: Actions,
    pair: str | TradingPair | None = None,
    others: Mapping[str, Strategy] | None = None,
    every: str = "bar",
    observe: Observation | None = None,
    reward: Reward = equity_change,
    max_steps: int | None = None,
    ruin: Decimal | int | str = 0,
    name: str = "learner",
    cash_asset: str | None = None,
    verify: bool = False,
    render_mode: str | None = None,
    **settings: Any,
) -> TradingEnv:
    """A `TradingEnv` around one agent that trades ``pair`` in a backtest.

    ``data`` and ``others`` are those of `History`, ``settings`` (``rules``, ``latency``, ``seed``,
    …) those of `BacktestRunner`, the rest is told at `TradingEnv`. Of data of several pairs,
    ``pair`` is the one that the learner trades. Accounts net, unless ``netting`` says otherwise: to
    go short closes a long position first.
    """
    code = pair.code if isinstance(pair, TradingPair) else pair
    seed = settings.pop("seed", 0)
    settings.setdefault("netting", True)
    return TradingEnv(
        History(
            data,
            others=others,
            cash=cash,
            pair=None if isinstance(data, Mapping) else pair,
            **settings,
        ),
        act=act,
        pair=code,
        every=every,
        observe=observe,
        reward=reward,
        max_steps=max_steps,
        ruin=ruin,
        seed=seed,
        name=name,
        cash_asset=cash_asset,
        verify=verify,
        render_mode=render_mode,
    )
