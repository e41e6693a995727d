"""Episodes of a market of agents: a crowd, and a learner in it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from os import PathLike
from typing import Any

from backtest.errors import ConfigError
from backtest.gym.actions import Actions
from backtest.gym.env import TradingEnv
from backtest.gym.learner import Learner
from backtest.gym.observations import Observation
from backtest.gym.rewards import Reward, equity_change
from backtest.markets import MarketRunner, Scenario
from backtest.runs.rerun import restored, snapshot
from backtest.strategies import Strategy

__all__ = ["Market", "market_env"]


class Market:
    """Makes a `MarketRunner` for each episode, from ``settings``, which are those of it.

    The crowd is that of ``scenario``, with the seed of the episode. ``others`` are strategies of
    yours that join it beside the learner, anew in each episode. The options of `Env.reset` are
    settings for that episode.
    """

    def __init__(
        self,
        scenario: Scenario | str | PathLike[str],
        *,
        others: Mapping[str, Strategy] | None = None,
        **settings: Any,
    ) -> None:
        self.scenario = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
        self._settings = settings
        self._others = {name: snapshot(one) for name, one in (others or {}).items()}

    def __call__(
        self, learner: Learner, name: str, seed: int, options: Mapping[str, Any]
    ) -> MarketRunner:
        if name in self._others:
            raise ConfigError(f"one of the others is called {name!r}, as the learner is")
        settings = {"scenario": self.scenario, "seed": seed, **self._settings, **options}
        strategies = {name: learner, **{key: restored(one) for key, one in self._others.items()}}
        return MarketRunner(strategies=strategies, **settings)


def market_env(
    scenario: Scenario | str | PathLike[str],
    cash: Any = None,
    *,
    act: Actions,
    pair: str | None = None,
    others: Mapping[str, Strategy] | None = None,
    every: str = "1m",
    observe: Observation | None = None,
    reward: Reward = equity_change,
    levels: int = 1,
    max_steps: int | None = None,
    ruin: Decimal | int | str = 0,
    name: str = "learner",
    cash_asset: str | None = None,
    verify: bool = False,
    render_mode: str | None = None,
    seed: int | None = None,
    **settings: Any,
) -> TradingEnv:
    """A `TradingEnv` around one agent that trades ``pair`` with the crowd of ``scenario``.

    ``cash`` is what the learner starts with (left out: what the scenario gives each agent),
    ``seed`` that of the first episode (the scenario's), ``others`` are those of `Market`,
    ``settings`` (``agents``, ``until``, ``latency``, …) those of `MarketRunner`, the rest is told
    at `TradingEnv`.
    """
    market = Market(scenario, others=others, cash=cash, **settings)
    pairs = [one.code for one in market.scenario.pairs]
    if pair is None and len(pairs) > 1:
        raise ConfigError(f"which of {', '.join(pairs)} is traded? Give pair=…")
    return TradingEnv(
        market,
        act=act,
        pair=pairs[0] if pair is None else pair,
        every=every,
        observe=observe,
        reward=reward,
        levels=levels,
        max_steps=max_steps,
        ruin=ruin,
        seed=market.scenario.seed if seed is None else seed,
        name=name,
        cash_asset=cash_asset,
        verify=verify,
        render_mode=render_mode,
    )
