"""The environment: Gymnasium's `Env` around one agent of a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import gymnasium
import numpy as np
from attrs import define
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.spaces import Box

from backtest.actors import Stepwise
from backtest.errors import BacktestError, ConfigError, FieldError
from backtest.gym.actions import Actions
from backtest.gym.learner import Learner, learner
from backtest.gym.observations import Observation, Relative
from backtest.gym.rewards import Reward, equity_change
from backtest.gym.simulation import Simulation, Simulations
from backtest.money import plain, setting_of
from backtest.times import format_ns

__all__ = ["TradingEnv"]


@define
class Episode:
    """One run and how far it has come."""

    simulation: Simulation
    learner: Learner
    steps: Stepwise
    seed: int
    step: int = 0


class TradingEnv(gymnasium.Env[Any, Any]):
    """A simulation as Gymnasium knows it; `history_env` makes one for historical data.

    `reset` runs the simulation to the learner's first decision, `step` from there to the next;
    in between simulated time stands still. It all happens in the caller's thread.

    Args:
        simulations: makes the run of each episode.
        act: what the learner can do, such as ``MarketOrders("0.1")``.
        observe: what it is shown; `Relative` if left out.
        reward: what it is rewarded with: the change of equity, if left out.
        pair: what it trades; left out, the only pair there is.
        every: when it decides: at each ``"bar"``, ``"quote"`` or ``"trade"`` of the pair, or every
            so long: ``"30s"``.
        levels: how much of the order book of a market of agents it is shown, a side.
        max_steps: end the episode after so many steps (truncated).
        ruin: end it when equity falls to this (terminated). A run that is over by itself, at the
            end of its data, is truncated: the account would have gone on.
        seed: of the first episode, when `reset` is given none; those after draw theirs from
            ``np_random``. The seed of an episode is that of its run.
        name: the learner's name in the run, which its account and its ids follow from.
        cash_asset: in what equity is reckoned; the quote asset of the pair, if left out.
        verify: check at the end of each episode all that a run can prove about itself.

    ``info`` has exact `Decimal` values: ``price``, ``equity``, ``equity_change``, ``held``,
    ``position``, ``available`` and ``unavailable``; ``events``, everything that happened to the
    learner's orders since the step before (refusals, too); ``time``, ``step`` and ``seed``.

    `step` raises what the simulation raises; then the episode is over.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012 - the base class declares it so

    def __init__(
        self,
        simulations: Simulations,
        *,
        act: Actions,
        observe: Observation | None = None,
        reward: Reward = equity_change,
        pair: str | None = None,
        every: str = "bar",
        levels: int = 1,
        max_steps: int | None = None,
        ruin: Decimal | int | str = 0,
        seed: int = 0,
        name: str = "learner",
        cash_asset: str | None = None,
        verify: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if max_steps is not None and max_steps < 1:
            raise FieldError("max_steps", f"must be at least 1, not {max_steps}")
        if render_mode not in (None, "ansi"):
            raise FieldError("render_mode", f"must be 'ansi' or None, not {render_mode!r}")
        learner(pair or "", every)  # says now what is wrong with them
        self._simulations = simulations
        self._act = act
        self._observe: Observation = Relative() if observe is None else observe
        self._reward = reward
        self._pair, self._every = pair, every
        self._max_steps, self._levels = max_steps, levels
        self._ruin = setting_of(ruin, "ruin")
        self._seed = seed
        self._name = name
        self._cash = cash_asset
        self._verify = verify
        self.render_mode = render_mode
        self.observation_space = self._observe.space
        self.action_space = act.space
        self._episode: Episode | None = None

    # -- Gymnasium's interface ---------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a new run and go to its first decision; the one before is closed.

        ``options`` are for whatever makes the run: of `history_env`, settings for this episode.
        Raises `ConfigError` when the run ends before there is anything to decide.
        """
        if seed is None and self._np_random is None:
            seed = self._seed
        super().reset(seed=seed)
        if seed is None:
            seed = int(self.np_random.integers(2**31))
        self.close()
        self._episode = None
        episode = self._begin(seed, options or {})
        if not episode.steps.go_on():
            raise ConfigError(
                f"the run ended before {self._name} had anything to decide at (every="
                f"{self._every!r}): there was no such event of its pair"
            )
        self._episode = episode
        episode.learner.begin()
        return self._observe.observe(episode.learner), self._info(episode)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Carry ``action`` out and run to the next decision, or to the end.

        Raises Gymnasium's `InvalidAction` for one that is not in the action space, before anything
        happens, and `ResetNeeded` when the episode is over.
        """
        episode = self._episode
        if episode is None or episode.steps.is_over:
            raise ResetNeeded("there is no episode to step through: call reset() first")
        action = self._checked(action)
        goes_on = episode.steps.go_on(action)
        episode.step += 1
        one = episode.learner
        if not goes_on:
            one.conclude()
        one.look()
        terminated = one.equity <= self._ruin
        truncated = not goes_on or episode.step == self._max_steps
        reward = float(self._reward(one))
        observation, info = self._observe.observe(one), self._info(episode)
        if terminated or truncated:
            episode.steps.close()
            if self._verify:
                self.result().verify().raise_for_problems()
        return observation, reward, terminated, truncated, info

    def render(self) -> Any:
        """A line about the learner; None unless ``render_mode="ansi"``."""
        if self.render_mode is None or self._episode is None:
            return None
        one = self._episode.learner
        return (
            f"{format_ns(one.now_ns)} {one.pair} {plain(one.price)}: holds {plain(one.held)}, "
            f"open {plain(one.net.volume)}, worth {plain(one.equity)}"
        )

    def close(self) -> None:
        """End the run, if one is going on, as the end of its data would; its `result` stays."""
        if self._episode is not None:
            self._episode.steps.close()

    # -- beside it ---------------------------------------------------------------------------------

    def result(self) -> Any:
        """What the last run has come to (a `RunResult`), once it is over."""
        if self._episode is None or not self._episode.steps.is_over:
            raise BacktestError("there is no finished run: go to its end first, or close() it")
        return self._episode.simulation.result()

    @property
    def learner(self) -> Learner:
        """The agent of this episode."""
        if self._episode is None:
            raise ResetNeeded("there is no learner yet: call reset() first")
        return self._episode.learner

    def __getstate__(self) -> dict[str, Any]:
        # A copy, or the same in another process, begins its own episodes.
        return {**self.__dict__, "_episode": None}

    def _begin(self, seed: int, options: Mapping[str, Any]) -> Episode:
        one = learner(self._pair or "", self._every)
        simulation = self._simulations(one, self._name, seed, options)
        system = simulation.prepare()
        # Only now, or the run would keep a copy of all that belongs to the actions.
        ends = simulation.end_ns()
        one.bind(self._act.act, self._cash, ends, self._max_steps, self._levels)
        return Episode(simulation, one, system.stepwise(), seed)

    def _checked(self, action: Any) -> Any:
        space = self.action_space
        if isinstance(space, Box):
            action = np.asarray(action, space.dtype)
        if not space.contains(action):
            raise InvalidAction(f"{action!r} is not in the action space {space}")
        return action

    def _info(self, episode: Episode) -> dict[str, Any]:
        one = episode.learner
        balance = one.balance(one.terms.quote.code)
        return {
            "time": one.now,
            "step": episode.step,
            "seed": episode.seed,
            "price": one.price,
            "equity": one.equity,
            "equity_change": equity_change(one),
            "held": one.held,
            "position": one.net.volume,
            "available": balance.available,
            "unavailable": balance.unavailable,
            "events": one.looked(),
        }
