"""A learner in a backtest, through Gymnasium's interface: by hand, and as its checker wants it."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

import backtest
from backtest.actors import EventKind, OrderEvent
from backtest.data import synthetic_bars
from backtest.errors import (
    BacktestError,
    ConfigError,
    FieldError,
    NotRepeatable,
    RejectReason,
    SimulationEnded,
)
from backtest.models import Bar, Quote, Trade, TradingPair
from backtest.money import plain
from backtest.strategies import OrderHandle, Strategy
from backtest.times import HOUR
from tests.harness import rules, without_ids

gymnasium: Any = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402

import backtest.gym as gym  # noqa: E402

HOLD, BUY, SELL, CLOSE = range(4)


def bars_of(*closes: int | str, volume: str | None = None) -> list[Bar]:
    """Hours that begin at the close before, the first at its own, and go straight to their own."""
    bars = []
    before = Decimal(closes[0])
    for hour, close in enumerate(map(Decimal, closes)):
        low, high = min(before, close), max(before, close)
        size = None if volume is None else Decimal(volume)
        at = hour * HOUR
        bars.append(Bar("BTCUSD", at, at + HOUR, before, high, low, close, size))
        before = close
    return bars


RISE_AND_FALL = bars_of(100, 110, 120, 90, 100)


def env_of(data: Any = RISE_AND_FALL, cash: Any = "1000 USD", **settings: Any) -> gym.TradingEnv:
    settings.setdefault("act", gym.MarketOrders(1))
    settings.setdefault("observe", gym.Absolute())
    if not isinstance(data, dict):
        settings.setdefault("pair", "BTCUSD")
    return gym.history_env(data, cash, **settings)


def seen(observation: Any, *names: str) -> list[float]:
    return [float(observation[gym.Absolute.names.index(name)]) for name in names]


def played(env: gym.TradingEnv, *actions: Any, seed: int | None = None) -> list[Any]:
    """The steps that these actions make."""
    env.reset(seed=seed)
    return [env.step(action) for action in actions]


def rewards_of(steps: list[Any]) -> list[float]:
    return [reward for _, reward, _, _, _ in steps]


def pending(env: gym.TradingEnv) -> list[tuple[str, str, str]]:
    """The learner's open orders: side, volume and limit."""
    return [
        (order.direction.name, plain(order.volume), plain(order.live.limit_price))  # type: ignore[union-attr,arg-type]
        for order in env.learner.open_orders()
    ]


# -- by hand ------------------------------------------------------------------------------------


def test_it_is_shown_each_bar_and_paid_the_change_of_equity() -> None:
    env = env_of()
    observation, info = env.reset(seed=7)
    assert seen(observation, "price", "held", "available", "equity") == [100, 0, 1000, 1000]
    assert (info["step"], info["seed"], info["equity"]) == (0, 7, Decimal(1000))
    assert info["time"].isoformat() == "1970-01-01T01:00:00+00:00"
    # Decided at the close of 100, bought at the next open, 100 too; worth 110 at its close.
    observation, reward, terminated, truncated, info = env.step(BUY)
    assert seen(observation, "price", "held", "available", "equity") == [110, 1, 900, 1010]
    assert (reward, terminated, truncated) == (10.0, False, False)
    assert [event.kind for event in info["events"]] == [EventKind.ACCEPTED, EventKind.FILLED]
    # Held to 120; sold at the open of 120, so that the fall to 90 costs nothing.
    assert env.step(HOLD)[1] == 10.0
    observation, reward, terminated, truncated, info = env.step(SELL)
    assert seen(observation, "price", "held", "available", "equity") == [90, 0, 1020, 1020]
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert env.step(HOLD)[1:4] == (0.0, False, False)
    # There are five bars: after the fifth decision the data ends, and nothing fills any more.
    observation, reward, terminated, truncated, info = env.step(BUY)
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["equity"] == Decimal(1020)
    assert env.result().final_equity == Decimal(1020)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(HOLD)


def test_rewards_sum_to_the_change_of_equity_exactly() -> None:
    data = synthetic_bars("BTCUSD", 300, seed=3, bar="1h")
    fees = rules(fees={"fill": {"percent_of_notional": "0.001"}})
    env = gym.history_env(data, "100000 USD", act=gym.MarketOrders("0.1"), verify=True, rules=fees)
    env.action_space.seed(5)
    _, info = env.reset(seed=1)
    first, changes, sum_of_floats, done = info["equity"], [], 0.0, False
    while not done:
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        changes.append(info["equity_change"])
        assert reward == float(info["equity_change"])
        sum_of_floats += reward
        done = terminated or truncated
    assert len(changes) == 300
    assert len(env.result().fills) > 100
    assert first + sum(changes) == env.result().final_equity == info["equity"]
    assert sum_of_floats == pytest.approx(float(env.result().final_equity - first))


def test_on_margin_it_goes_short_and_nets() -> None:
    env = env_of(act=gym.MarketOrders(2, leverage=2))
    steps = played(env, SELL, BUY, BUY, CLOSE, HOLD)
    # Short 2 from 100 to 110: -20. Closed at 110, so nothing more. Long 2 from 120 to 90: -60.
    # Closed at 90.
    assert rewards_of(steps) == [-20.0, 0.0, -60.0, 0.0, 0.0]
    assert [step[4]["position"] for step in steps] == [-2, 0, 2, 0, 0]
    assert steps[0][4]["unavailable"] == Decimal(100)  # 2 x 100 / 2
    assert seen(steps[2][0], "position", "average_price", "unrealised_pnl") == [2, 120, -60]


def test_close_cancels_sells_and_closes_everything() -> None:
    def all_at_once(learner: gym.Learner, action: int) -> None:
        if action == 1:
            learner.buy("BTCUSD", 1)
            learner.sell("BTCUSD", 1)  # refused: nothing is held yet
            learner.long("BTCUSD", 2, leverage=2)
            learner.buy("BTCUSD", 1, limit_price=50)
        else:
            learner.flatten()

    env = env_of(act=gym.ActWith(gymnasium.spaces.Discrete(3), all_at_once))
    first, second = played(env, 1, 2)
    info = first[4]
    assert (info["held"], info["position"]) == (1, 2)
    assert seen(first[0], "pending") == [1.0]
    refused = [event for event in info["events"] if event.kind is EventKind.REJECTED]
    assert [event.reason for event in refused] == [RejectReason.INSUFFICIENT_FUNDS]
    info = second[4]
    assert (info["held"], info["position"], info["unavailable"]) == (0, 0, 0)
    # Bought 1 and went long 2 at 100, all gone at 110: 1000 + 10 + 20.
    assert info["equity"] == info["available"] == Decimal(1030)


def test_limit_orders_are_priced_from_the_last_and_replaced() -> None:
    env = env_of(act=gym.LimitOrders(2, reach="0.2"))
    env.reset()
    # Half of 2, at 100 x (1 - 0.5 x 0.2) = 90: not reached at 110.
    _, _, _, _, info = env.step([0.5, 0.5])
    assert pending(env) == [("LONG", "1", "90")]
    # Meeting the market: 110 x (1 + 0.5 x 0.2) = 121 buys at the open of 110. The old one is gone.
    _, _, _, _, info = env.step([-0.5, 0.5])
    assert info["held"] == 1
    assert pending(env) == []
    # A sell of a quarter of 2 at 120 x 1.2 = 144.
    env.step([1.0, -0.25])
    assert pending(env) == [("SHORT", "0.5", "144")]
    # Nothing of nothing: it only cancels.
    env.step([0.0, 0.0])
    assert pending(env) == []


def test_ruin_terminates() -> None:
    env = env_of(bars_of(100, 100, 90, 80, 70), "200 USD", ruin=185)
    steps = played(env, BUY, HOLD, HOLD)
    # 200 - 100 + 100, 90, 80.
    assert [step[4]["equity"] for step in steps] == [200, 190, 180]
    assert [step[2:4] for step in steps] == [(False, False), (False, False), (True, False)]
    assert env.result().final_equity == 180
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(HOLD)


def test_max_steps_truncates() -> None:
    env = env_of(max_steps=2)
    observation, _ = env.reset()
    first, second = env.step(BUY), env.step(HOLD)
    assert [seen(one, "time_left") for one in (observation, first[0], second[0])] == [
        [1.0],
        [0.5],
        [0.0],
    ]
    assert (first[3], second[3]) == (False, True)
    assert env.result().bars == 3


def test_time_left_is_that_of_the_data() -> None:
    env = env_of()
    observation, _ = env.reset()
    shown = [observation, *(step[0] for step in (env.step(HOLD) for _ in range(5)))]
    # Five hours, the first decision after one of them; the last step ends with the data.
    assert [seen(one, "time_left") for one in shown] == [[0.8], [0.6], [0.4], [0.2], [0.0], [0.0]]


def test_relative_numbers_are_around_zero() -> None:
    env = env_of(observe=gym.Relative())
    names = gym.Relative.names
    observation, _ = env.reset()
    assert dict(zip(names, observation.tolist(), strict=True)) == pytest.approx(
        {**dict.fromkeys(names, 0.0), "cash": 1.0, "time_left": 0.8}
    )
    env.step(BUY)
    observation = env.step(HOLD)[0]
    # 120 after 110 after 100; 1 held, 900 left of 1000.
    assert dict(zip(names, observation.tolist(), strict=True)) == pytest.approx(
        {
            **dict.fromkeys(names, 0.0),
            "change": 120 / 110 - 1,
            "price": 0.2,
            "exposure": 0.12,
            "cash": 0.9,
            "equity": 0.02,
            "time_left": 0.4,
        }
    )


def test_what_is_in_the_quote_asset_is_shown_in_cash() -> None:
    # 1000 JPY at 100 a dollar are 10 USD, at 125 they are 8; a reward of -2.
    bars = [
        Bar("USDJPY", at * HOUR, (at + 1) * HOUR, *(Decimal(price),) * 4)
        for at, price in enumerate((100, 125, 125))
    ]
    pair = TradingPair("USDJPY", "USD", "JPY")
    env = env_of(bars, {"JPY": "1000"}, pair=pair, cash_asset="USD", observe=gym.Relative())
    names = gym.Relative.names
    observation, info = env.reset()
    assert info["equity"] == 10
    assert observation[names.index("cash")] == pytest.approx(1)
    observation, reward, *_, info = env.step(HOLD)
    assert (reward, info["equity"]) == (-2, 8)
    assert observation[names.index("cash")] == pytest.approx(0.8)
    assert observation[names.index("equity")] == pytest.approx(-0.2)


def test_contracts_are_shown_as_what_they_are_worth_ordered_as_well_as_open() -> None:
    def one_of_each(learner: gym.Learner, action: int) -> None:
        if action == BUY:
            learner.long("BTCUSD", "0.3", leverage=3)
            learner.long("BTCUSD", "0.2", limit_price=50)

    pair = TradingPair("BTCUSD", "BTC", "USD", contract_size=Decimal(10))
    act = gym.ActWith(gymnasium.spaces.Discrete(4), one_of_each)
    env = env_of(bars_of(100, 100, 100), pair=pair, act=act, observe=gym.Relative())
    env.reset()
    observation = env.step(BUY)[0]
    names = gym.Relative.names
    # Contracts of 10 at 100, of an equity of 1000: 0.3 are worth 0.3 of it, and 0.2 another 0.2.
    assert observation[names.index("exposure")] == pytest.approx(0.3)
    assert observation[names.index("pending")] == pytest.approx(0.2)


def test_what_is_beyond_the_bound_is_shown_as_the_bound() -> None:
    env = env_of(bars_of(1, 50, 2), observe=gym.Relative(bound=2))
    env.reset()
    observation = env.step(HOLD)[0]
    assert observation[gym.Relative.names.index("price")] == 2.0
    assert observation in env.observation_space


# -- when it decides ----------------------------------------------------------------------------


def quotes_and_trades() -> list[list[Any]]:
    quotes = [
        Quote("BTCUSD", minute * 60_000_000_000, Decimal(99), Decimal(101), Decimal(3), Decimal(1))
        for minute in (1, 2, 4)
    ]
    trades = [Trade("BTCUSD", 150_000_000_000, Decimal(101), Decimal(5))]
    return [quotes, trades]


def test_it_may_decide_at_quotes() -> None:
    env = env_of(quotes_and_trades(), every="quote")
    observation, info = env.reset()
    assert seen(observation, "price", "bid", "ask") == [100, 99, 101]
    assert seen(observation, "bid_volume", "ask_volume") == [3, 1]
    assert info["time"].minute == 1
    # Sent at minute 1, bought at the ask of minute 2; the middle is 100.
    steps = [env.step(BUY), env.step(HOLD), env.step(HOLD)]
    assert [step[4]["time"].minute for step in steps] == [2, 4, 4]
    assert rewards_of(steps) == [-1.0, 0.0, 0.0]
    assert [step[3] for step in steps] == [False, False, True]


def test_the_spread_and_the_imbalance_are_of_the_quote() -> None:
    env = env_of(quotes_and_trades(), every="quote", observe=gym.Relative())
    observation, _ = env.reset()
    shown = dict(zip(gym.Relative.names, observation.tolist(), strict=True))
    assert shown["spread"] == pytest.approx(0.02)
    assert shown["imbalance"] == pytest.approx(0.5)


def test_it_may_decide_at_trades() -> None:
    env = env_of(quotes_and_trades(), every="trade")
    _, info = env.reset()
    assert (info["time"].minute, info["time"].second) == (2, 30)
    assert env.step(HOLD)[3]


def test_it_may_decide_by_the_clock() -> None:
    env = env_of(every="40m")
    _, info = env.reset()
    # At minute 40 there is no price yet, so the first decision is at 80 minutes.
    assert info["time"].isoformat() == "1970-01-01T01:20:00+00:00"
    times = []
    truncated = False
    while not truncated:
        _, _, _, truncated, info = env.step(HOLD)
        times.append(info["time"].isoformat()[11:16])
    assert times == ["02:00", "02:40", "03:20", "04:00", "04:40", "05:00"]


def test_other_pairs_are_no_reason_to_decide() -> None:
    ether = [
        Bar("ETHUSD", at, at + HOUR // 2, *(Decimal(10),) * 4) for at in range(0, HOUR, HOUR // 2)
    ]
    env = env_of({"BTCUSD": RISE_AND_FALL, "ETHUSD": ether}, pair="BTCUSD")
    _, info = env.reset()
    assert info["time"].hour == 1
    assert env.step(HOLD)[4]["time"].hour == 2


@pytest.mark.parametrize("every", ["bars", "0s", "-1h", ""])
def test_when_must_be_something(every: str) -> None:
    with pytest.raises(ConfigError, match="every must be 'bar'"):
        env_of(every=every)


def test_nothing_to_decide_at_is_an_error() -> None:
    with pytest.raises(ConfigError, match="before learner had anything to decide"):
        env_of(every="quote").reset()


# -- the same run -------------------------------------------------------------------------------


def policy(number: int) -> int:
    return (BUY, BUY, CLOSE, SELL, HOLD, BUY)[number % 6]


class Scripted(Strategy):
    """The same decisions, made inside."""

    def on_start(self) -> None:
        self.number = 0
        self.mine: list[OrderHandle] = []

    def on_bar(self, bar: Bar) -> None:
        action = policy(self.number)
        self.number += 1
        if action == BUY:
            self.mine.append(self.long(bar.pair, "0.5", leverage=3))
        elif action == SELL:
            self.mine.append(self.short(bar.pair, "0.5", leverage=3))
        elif action == CLOSE:
            for order in self.open_orders(bar.pair):
                order.cancel()
            for order in self.mine:
                if order.parts:
                    order.close()


@pytest.mark.parametrize("latency", [None, "20ms"])
@pytest.mark.parametrize("netting", [True, False])
def test_a_scripted_policy_is_the_strategy_that_does_the_same(
    netting: bool, latency: str | None
) -> None:
    data = synthetic_bars("BTCUSD", 200, seed=3, bar="1h")
    settings: dict[str, Any] = {"seed": 11, "netting": netting, "latency": latency}
    expected = backtest.run({"learner": Scripted()}, data=data, cash="100000 USD", **settings)
    act = gym.MarketOrders("0.5", leverage=3)
    env = gym.history_env(data, "100000 USD", act=act, **settings)
    env.reset()
    number, truncated = 0, False
    while not truncated:
        truncated = env.step(policy(number))[3]
        number += 1
    result = env.result()
    assert len(expected.fills) > 50
    assert result.journal_sha256 == expected.journal_sha256
    assert without_ids(result.fills) == without_ids(expected.fills)
    assert result.verify()


def test_others_trade_beside_it_anew_in_each_episode() -> None:
    class Other(Strategy):
        def on_start(self) -> None:
            self.bars_counted = 0

        def on_bar(self, bar: Bar) -> None:
            self.bars_counted += 1
            assert self.bars_counted <= 5
            self.buy(bar.pair, "0.1")

    cash = {"learner": "1000 USD", "other": "500 USD"}
    env = env_of(cash=cash, others={"other": Other()})
    for _ in range(2):
        steps = played(env, BUY, HOLD, HOLD, HOLD, HOLD)
        assert steps[-1][4]["equity"] == 1000  # bought at 100, which is the last price, too
        assert len(env.result().fills) == 1 + 4
    assert set(env.result().strategies) == {"learner", "other"}
    with pytest.raises(ConfigError, match="called 'learner'"):
        env_of(others={"learner": Other()}).reset()


# -- episodes -----------------------------------------------------------------------------------


def by_seed(seed: int) -> Any:
    return synthetic_bars("BTCUSD", 50, seed=seed, bar="1h")


def episode(env: gym.TradingEnv, seed: int | None = None) -> bytes:
    observation, info = env.reset(seed=seed)
    parts = [observation.tobytes(), str(info["seed"]).encode()]
    for number in range(20):
        observation, reward, *_ = env.step(policy(number))
        parts += [observation.tobytes(), repr(reward).encode()]
    return b"".join(parts)


def test_the_same_seed_gives_the_same_bytes() -> None:
    envs = [env_of(by_seed, "100000 USD", seed=4) for _ in range(2)]
    first, again = ([episode(env), episode(env), episode(env, 9), episode(env)] for env in envs)
    assert first == again
    assert len(set(first)) == 4
    assert episode(envs[0], 9) == first[2]
    assert episode(envs[0]) == first[3]
    assert episode(envs[1], 4) == first[0]  # the first, without a seed, had the environment's


def test_data_is_read_once_unless_it_is_made_for_each_episode() -> None:
    class Counting(list[Bar]):
        read = 0

        def __iter__(self) -> Iterator[Bar]:
            self.read += 1
            return super().__iter__()

    data = Counting(RISE_AND_FALL)
    env = env_of(data)
    env.reset()
    read = data.read
    env.reset()
    env.reset()
    assert data.read == read > 0

    seeds = []

    def made(seed: int) -> Any:
        seeds.append(seed)
        return bars_of(100 + seed, 100)

    env = env_of(made)
    assert [env.reset(seed=seed)[1]["price"] for seed in (3, 4)] == [103, 104]
    assert seeds == [3, 4]


def test_what_can_be_read_only_once_is_refused_the_second_time() -> None:
    class Stream:
        """A source that is its own iterator."""

        pair, bar_ns, name = "BTCUSD", HOUR, "stream"

        def __init__(self) -> None:
            self._bars = iter(RISE_AND_FALL)

        def __iter__(self) -> Iterator[Bar]:
            return self

        def __next__(self) -> Bar:
            return next(self._bars)

        def digest(self) -> str:
            return "0" * 64

    env = env_of(Stream())
    observation, _ = env.reset()
    assert seen(observation, "time_left") == [1.0]  # nobody knows when it ends
    with pytest.raises(NotRepeatable, match="read only once"):
        env.reset()


def test_options_are_settings_for_one_episode() -> None:
    env = env_of()
    _, info = env.reset(options={"cash": "500 USD", "data": bars_of(7, 8)})
    assert (info["equity"], info["price"]) == (500, 7)
    _, info = env.reset()
    assert (info["equity"], info["price"]) == (1000, 100)
    with pytest.raises(TypeError, match="nonsense"):
        env.reset(options={"nonsense": 1})


def test_an_episode_ends_the_one_before() -> None:
    ended: list[str] = []

    class Other(Strategy):
        def on_stop(self) -> None:
            ended.append(self.name)

    env = env_of(others={"other": Other()})
    env.reset()
    assert ended == []
    env.reset()
    assert ended == ["other"]
    env.close()
    env.close()
    assert ended == ["other", "other"]
    assert env.result().bars == 1
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(HOLD)
    env.reset()  # a closed environment may be used again


def test_forgotten_it_ends_its_run_and_leaves_no_thread() -> None:
    ended: list[str] = []

    class Other(Strategy):
        async def run(self) -> None:
            try:
                async for _ in self.bars("BTCUSD"):
                    pass
            finally:
                ended.append("run")

        def on_stop(self) -> None:
            ended.append("on_stop")

    before = threading.active_count()
    env = env_of(others={"other": Other()})
    env.reset()
    env.step(BUY)
    assert threading.active_count() == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del env
        gc.collect()
    assert ended == ["run", "on_stop"]


def test_a_result_is_there_when_the_run_is_over() -> None:
    env = env_of()
    with pytest.raises(BacktestError, match="no finished run"):
        env.result()
    with pytest.raises(gymnasium.error.ResetNeeded):
        _ = env.learner
    env.reset()
    with pytest.raises(BacktestError, match="no finished run"):
        env.result()
    env.close()
    assert env.result().verify()
    with pytest.raises(ConfigError, match="cannot be repeated"):
        env.result().again("open_high_low_close")


def test_before_reset_there_is_no_step() -> None:
    with pytest.raises(gymnasium.error.ResetNeeded):
        env_of().step(HOLD)


# -- when something goes wrong ------------------------------------------------------------------


def test_what_another_strategy_raises_is_raised_by_the_step() -> None:
    class Broken(Strategy):
        def on_bar(self, bar: Bar) -> None:
            if bar.close == 120:
                raise ZeroDivisionError("no luck")

    env = env_of(others={"broken": Broken()})
    env.reset()
    env.step(HOLD)
    env.step(HOLD)  # the learner is told first, and all stands still
    with pytest.raises(ZeroDivisionError, match="no luck") as caught:
        env.step(HOLD)
    assert any("strategy/broken" in note for note in caught.value.__notes__)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(HOLD)
    assert env.reset()[1]["price"] == 100


def test_what_an_action_raises_is_raised_by_the_step() -> None:
    def orders_with_a_float(learner: gym.Learner, action: int) -> None:
        learner.buy("BTCUSD", 0.5)  # type: ignore[arg-type]

    env = env_of(act=gym.ActWith(gymnasium.spaces.Discrete(2), orders_with_a_float))
    env.reset()
    with pytest.raises(TypeError, match="volume"):
        env.step(0)


def test_an_action_that_is_none_is_refused_before_anything_happens() -> None:
    env = env_of()
    env.reset()
    for action in (4, -1, "buy", None):
        with pytest.raises(gymnasium.error.InvalidAction):
            env.step(action)
    assert env.step(BUY)[4]["time"].hour == 2
    env = env_of(act=gym.LimitOrders(1))
    env.reset()
    for numbers in ([2.0, 0.0], [0.0], [float("nan"), 0.0]):
        with pytest.raises(gymnasium.error.InvalidAction):
            env.step(numbers)
    assert env.step([0.0, 0.5])[4]["time"].hour == 2


def test_an_action_may_wait() -> None:
    async def patient(learner: gym.Learner, action: int) -> None:
        order = learner.buy("BTCUSD", 1)
        await order.filled(timeout="90m")
        assert order.is_filled

    env = env_of(act=gym.ActWith(gymnasium.spaces.Discrete(2), patient))
    _, _, _, _, info = played(env, 0)[0]
    # It was filled on the next bar, which was kept for it: the decision at that bar is this one.
    assert (info["held"], info["time"].hour) == (1, 2)


def test_ctrl_c_ends_the_episode() -> None:
    def interrupted(learner: gym.Learner, action: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    env = env_of(act=gym.ActWith(gymnasium.spaces.Discrete(2), interrupted))
    env.reset()
    with pytest.raises(KeyboardInterrupt):
        env.step(0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    assert env.reset()[1]["price"] == 100


def test_a_learner_runs_in_an_environment_only() -> None:
    from backtest.gym.learner import learner

    with pytest.raises(ConfigError, match="driven by an environment"):
        backtest.run(learner("BTCUSD", "bar"), data=RISE_AND_FALL, pair="BTCUSD", cash="9 USD")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"max_steps": 0}, "max_steps"), ({"render_mode": "human"}, "render_mode")],
)
def test_settings_that_make_no_sense(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldError, match=field):
        env_of(**wrong)
    with pytest.raises(FieldError, match="bound"):
        gym.Relative(bound=0)


def test_of_several_pairs_one_must_be_named() -> None:
    ether = [Bar("ETHUSD", 0, HOUR, *(Decimal(10),) * 4)]
    with pytest.raises(ConfigError, match="which of BTCUSD, ETHUSD"):
        env_of({"BTCUSD": RISE_AND_FALL, "ETHUSD": ether}).reset()


# -- of one's own -------------------------------------------------------------------------------


def test_observations_and_rewards_of_ones_own() -> None:
    np = pytest.importorskip("numpy")

    def high_of(learner: gym.Learner) -> Decimal:
        assert learner.bar is not None
        return learner.bar.high

    space = gymnasium.spaces.Box(0.0, 1e6, (1,), np.float64)
    env = env_of(
        observe=gym.ObserveWith(space, lambda learner: np.array([float(high_of(learner))])),
        reward=lambda learner: learner.equity - learner.first_equity,
    )
    steps = played(env, BUY, HOLD)
    assert [step[0].tolist() for step in steps] == [[110.0], [120.0]]
    assert rewards_of(steps) == [10.0, 20.0]


def test_a_line_about_it() -> None:
    env = env_of(render_mode="ansi")
    assert env.render() is None
    played(env, BUY)
    assert env.render() == "1970-01-01T02:00:00+00:00 BTCUSD 110: holds 1, open 0, worth 1010"
    assert env_of().render() is None


def test_events_are_those_since_the_step_before() -> None:
    env = env_of()
    kinds = [[event.kind.name for event in step[4]["events"]] for step in played(env, BUY, HOLD, 2)]
    assert kinds == [["ACCEPTED", "FILLED"], [], ["ACCEPTED", "FILLED"]]
    events = played(env, BUY)[0][4]["events"]
    assert all(isinstance(event, OrderEvent) for event in events)


def test_refusals_are_events_and_no_noise(capsys: pytest.CaptureFixture[str]) -> None:
    step = played(env_of(), SELL)[0]
    assert [event.kind for event in step[4]["events"]] == [EventKind.REJECTED]
    assert capsys.readouterr() == ("", "")


# -- with Gymnasium -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"act": gym.MarketOrders("0.1")},
        {"act": gym.MarketOrders("0.1", leverage=5), "observe": gym.Absolute()},
        {"act": gym.LimitOrders("0.1"), "every": "90m", "max_steps": 30},
    ],
    ids=["spot", "margin", "limits"],
)
def test_gymnasiums_checker_finds_nothing(settings: dict[str, Any]) -> None:
    env = gymnasium.make("backtest/Trading-v0", data=by_seed, cash="100000 USD", **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
        # Through the wrappers that `make` puts around it, which look at every step.
        env.action_space.seed(1)
        env.reset(seed=1)
        while not any(env.step(env.action_space.sample())[2:4]):
            pass
    assert isinstance(env.unwrapped, gym.TradingEnv)
    env.close()


def make_env() -> gym.TradingEnv:
    return gym.history_env(by_seed, "100000 USD", act=gym.MarketOrders("0.1"))


@pytest.mark.parametrize("kind", ["SyncVectorEnv", "AsyncVectorEnv"])
def test_four_at_once_are_each_as_if_alone(kind: str) -> None:
    how = {"context": "spawn"} if kind == "AsyncVectorEnv" else {}
    several = getattr(gymnasium.vector, kind)([make_env] * 4, **how)
    try:
        observations, _ = several.reset(seed=20)
        alone = [make_env() for _ in range(4)]
        expected = [env.reset(seed=20 + number)[0] for number, env in enumerate(alone)]
        assert [one.tobytes() for one in observations] == [one.tobytes() for one in expected]
        assert len({one.tobytes() for one in expected}) == 1  # all begin with nothing
        for step in range(10):
            actions = [policy(step + number) for number in range(4)]
            observations, rewards, *_ = several.step(actions)
            steps = [env.step(action) for env, action in zip(alone, actions, strict=True)]
            assert [one.tobytes() for one in observations] == [one[0].tobytes() for one in steps]
            assert rewards.tolist() == rewards_of(steps)
    finally:
        several.close()


def test_a_copy_begins_its_own_episodes() -> None:
    env = env_of(by_seed, "100000 USD")
    expected = episode(env, 3)
    for other in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        with pytest.raises(gymnasium.error.ResetNeeded):
            other.step(HOLD)
        assert episode(other, 3) == expected
    env.step(HOLD)  # it goes on


def test_it_runs_in_a_notebook() -> None:
    async def notebook() -> bytes:
        return episode(env_of(by_seed, "100000 USD"), 3)

    assert asyncio.run(notebook()) == episode(env_of(by_seed, "100000 USD"), 3)


def test_without_gymnasium_it_says_how_to_get_it() -> None:
    program = (
        "import sys; sys.modules['gymnasium'] = None\n"
        "from backtest.errors import MissingExtra\n"
        "try:\n    import backtest.gym\n"
        "except MissingExtra as error:\n    print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert "pip install 'backtest-actors[gym]'" in said


def test_the_kernel_says_when_it_is_over() -> None:
    env = env_of()
    env.reset()
    steps = env._episode.steps  # type: ignore[union-attr]
    env.close()
    with pytest.raises(SimulationEnded):
        steps.go_on()
