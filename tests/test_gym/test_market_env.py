"""A learner in a market of agents, through Gymnasium's interface."""

from __future__ import annotations

import threading
import warnings
from decimal import Decimal
from typing import Any

import pytest

from backtest.errors import ConfigError
from backtest.markets import Instrument, Population, Scenario, run_market
from backtest.models import Asset, TradingPair
from backtest.strategies import Strategy
from backtest.strategies.agents import Scripted
from tests.harness import without_ids

gymnasium: Any = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402

import backtest.gym as gym  # noqa: E402

HOLD, BUY, SELL, CLOSE = range(4)

SHARE = TradingPair(
    "ABMUSD",
    Asset("ABM", 0),
    Asset("USD", 2),
    price_increment=Decimal("0.01"),
    volume_increment=Decimal(1),
)


def stage(*steps: Any, duration: str = "1m", **settings: Any) -> Scenario:
    """One agent that bids and asks by ``steps``, at an exchange without fees or latency."""
    return Scenario(
        pairs=Instrument(pair=SHARE, reference_price=100),
        populations=Population(Scripted, 1, name="maker", parameters={"steps": steps}),
        duration=duration,
        cash="10000 USD",
        **settings,
    )


QUOTED = (("0s", "buy", 10, "99"), ("0s", "sell", 6, "101"), ("25s", "sell", 4, "100.5"))

CROWD = Scenario(
    name="crowd",
    pairs=Instrument(
        pair=SHARE,
        reference_price=100,
        rules={"max_leverage": 10, "fees": {"fill": {"percent_of_notional": "0.0005"}}},
        fundamental={"volatility": 0.05, "reversion": 5},
    ),
    populations=[
        Population("market_maker", 2, parameters={"reference": 100, "every": "5s", "size": 20}),
        Population("value", 10, parameters={"every": "20s", "size": 10}),
        Population("noise", 20, parameters={"every": "15s", "size": 5}),
    ],
    duration="3m",
    seed=7,
    cash="100000 USD",
    latency={"uniform": ["1ms", "20ms"]},
)


def env_of(scenario: Any, **settings: Any) -> gym.TradingEnv:
    settings.setdefault("act", gym.MarketOrders(2, leverage=1))
    settings.setdefault("observe", gym.Absolute())
    settings.setdefault("every", "10s")
    return gym.market_env(scenario, **settings)


def seen(observation: Any, *names: str) -> list[float]:
    return [float(observation[gym.Absolute.names.index(name)]) for name in names]


def test_it_sees_the_book_and_trades_with_the_others() -> None:
    env = env_of(stage(*QUOTED), verify=True)
    observation, info = env.reset()
    names = ("price", "bid", "ask", "bid_volume", "ask_volume", "position", "equity")
    # Nobody has traded: the price is the reference.
    assert seen(observation, *names) == [100, 99, 101, 10, 6, 0, 10000]
    assert info["time"].isoformat() == "2024-01-02T09:30:10+00:00"
    # Two bought at the ask, at once, which is the last price now.
    observation, reward, _, _, info = env.step(BUY)
    assert seen(observation, *names) == [101, 99, 101, 10, 4, 2, 10000]
    assert reward == 0.0
    # The next ask is better; a sale at the bid of 99 closes: (99 - 101) x 2.
    observation, reward, _, _, info = env.step(SELL)
    assert seen(observation, *names) == [99, 99, Decimal("100.5"), 8, 4, 0, 9996]
    assert reward == -4.0
    # And 2 short at 99, marked there.
    observation, reward, _, _, info = env.step(SELL)
    assert seen(observation, *names) == [99, 99, Decimal("100.5"), 6, 4, -2, 9996]
    # Bought back at 100.5.
    observation, reward, _, truncated, info = env.step(CLOSE)
    assert seen(observation, *names) == [100.5, 99, 100.5, 6, 2, 0, 9993]
    assert (reward, truncated) == (-3.0, False)
    # The minute is over at the next decision, which is the last.
    observation, reward, terminated, truncated, info = env.step(HOLD)
    assert (reward, terminated, truncated) == (0.0, False, False)
    observation, reward, terminated, truncated, info = env.step(BUY)
    assert (terminated, truncated) == (False, True)
    result = env.result()
    assert [(one.price, one.volume) for one in result.trades][:4] == [
        (Decimal(101), Decimal(2)),
        (Decimal(99), Decimal(2)),
        (Decimal(99), Decimal(2)),
        (Decimal("100.5"), Decimal(2)),
    ]


def test_when_all_is_over_the_price_is_that_of_the_venue() -> None:
    late = {"late": Scripted(pair="ABMUSD", steps=(("45s", "sell", 1),))}
    env = env_of(stage(*QUOTED, duration="48s"), every="20s", others=late)
    env.reset()
    observation = env.step(BUY)[0]
    assert seen(observation, "price", "position") == [101, 2]
    # That was at 40 s, its last decision. At 45 s somebody sold at 99: 2 x (99 - 101).
    observation, reward, _, truncated, info = env.step(HOLD)
    assert seen(observation, "price", "position") == [99, 2]
    assert (reward, truncated, info["equity"]) == (-4.0, True, Decimal(9996))


def test_of_the_book_it_is_shown_as_much_as_it_asks_for() -> None:
    env = env_of(stage(*QUOTED, ("0s", "buy", 5, "98")), levels=2)
    env.reset()
    book = env.learner.book
    assert book is not None
    assert [f"{level.volume} at {level.price}" for level in book.bids] == [
        "10 at 99.00",
        "5 at 98.00",
    ]


def test_without_leverage_it_trades_as_the_market_does() -> None:
    env = env_of(stage(*QUOTED), act=gym.MarketOrders(2))
    env.reset()
    info = env.step(BUY)[4]
    assert (info["held"], info["position"], info["unavailable"]) == (0, 2, 202)  # leverage 1
    spot = Instrument(pair=SHARE, reference_price=100, kind="spot")
    owner = Population(
        Scripted, 1, name="maker", cash={"USD": 1000, "ABM": 9},
        parameters={"steps": QUOTED[1:2], "spot": True},
    )  # fmt: skip
    env = env_of(
        Scenario(pairs=spot, populations=owner, duration="1m", cash="10000 USD"),
        act=gym.MarketOrders(2),
    )
    env.reset()
    info = env.step(BUY)[4]
    assert (info["held"], info["position"], info["available"]) == (2, 0, 9798)


def test_it_may_decide_at_each_trade() -> None:
    steps = (*QUOTED, ("30s", "cancel"))
    others = {"taker": Scripted(pair="ABMUSD", steps=(("7s", "buy", 1), ("12s", "sell", 1)))}
    env = env_of(stage(*steps), every="trade", others=others)
    observation, info = env.reset()
    assert (info["time"].second, seen(observation, "price")) == (7, [101])
    observation, _, _, truncated, info = env.step(HOLD)
    assert (info["time"].second, seen(observation, "price"), truncated) == (12, [99], False)
    assert env.step(HOLD)[3]


def policy(number: int) -> int:
    return (BUY, HOLD, SELL, SELL, HOLD, BUY, BUY)[number % 7]


class Inside(Strategy):
    """The same decisions, made inside."""

    pair: str = "ABMUSD"

    def on_start(self) -> None:
        self.number = 0
        self.set_timer("decide", every="1s")

    async def on_timer(self, name: str) -> None:
        await self.depth(self.pair)
        action = policy(self.number)
        self.number += 1
        if action == BUY:
            self.long(self.pair, 5, leverage=2)
        elif action == SELL:
            self.short(self.pair, 5, leverage=2)


def test_a_scripted_policy_is_the_strategy_that_does_the_same() -> None:
    expected = run_market(CROWD, {"learner": Inside()}, seed=5)
    env = env_of(CROWD, act=gym.MarketOrders(5, leverage=2), every="1s")
    _, info = env.reset(seed=5)
    first, changes, number, truncated = info["equity"], [], 0, False
    while not truncated:
        _, _, _, truncated, info = env.step(policy(number))
        changes.append(info["equity_change"])
        number += 1
    result = env.result()
    own = [fill for fill in result.fills if result.agents[fill.agent_id] == "learner"]
    assert len(own) > 20
    assert result.journal_sha256 == expected.journal_sha256
    assert without_ids(result.trades) == without_ids(expected.trades)
    assert result.verify()
    assert first + sum(changes) == info["equity"]


def test_the_same_seed_gives_the_same_bytes_and_another_another_market() -> None:
    def shown(seed: int) -> bytes:
        env = env_of(CROWD, every="5s")
        observations = [env.reset(seed=seed)[0]]
        observations += [env.step(policy(number))[0] for number in range(20)]
        env.close()
        return b"".join(one.tobytes() for one in observations)

    assert shown(1) == shown(1)
    assert shown(1) != shown(2)


def test_the_seed_of_the_first_episode_is_that_of_the_scenario() -> None:
    env = env_of(CROWD)
    assert env.reset()[1]["seed"] == 7
    assert env.reset()[1]["seed"] != 7
    assert env_of(CROWD, seed=8).reset()[1]["seed"] == 8


def test_options_are_settings_for_one_episode() -> None:
    env = env_of(CROWD, cash="500 USD")
    assert env.reset()[1]["equity"] == 500
    assert env.reset(options={"cash": "700 USD", "until": "09:31"})[1]["equity"] == 700
    # A minute: at 10 s, 20 s … 50 s; at 60 s the answer about the book would come too late.
    assert [env.step(HOLD)[3] for _ in range(5)] == [False, False, False, False, True]


def test_which_of_several_pairs_must_be_said() -> None:
    other = TradingPair("XYZUSD", Asset("XYZ", 0), Asset("USD", 2))
    scenario = Scenario(
        pairs=[
            Instrument(pair=SHARE, reference_price=100),
            Instrument(pair=other, reference_price=5),
        ],
        duration="1m",
        cash="1000 USD",
    )
    with pytest.raises(ConfigError, match="which of ABMUSD, XYZUSD"):
        env_of(scenario)
    env = env_of(scenario, pair="XYZUSD")
    assert env.reset()[1]["price"] == 5
    with pytest.raises(ConfigError, match="called 'learner'"):
        env_of(scenario, pair="XYZUSD", others={"learner": Inside()}).reset()


@pytest.mark.parametrize(
    "act",
    [gym.MarketOrders(3, leverage=5), gym.LimitOrders(20, leverage=5)],
    ids=["market", "limit"],
)
def test_gymnasiums_checker_finds_nothing(act: gym.Actions) -> None:
    before = threading.active_count()
    env = gymnasium.make("backtest/Market-v0", scenario=CROWD, act=act, every="10s", verify=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
        env.action_space.seed(1)
        env.reset(seed=1)
        while not any(env.step(env.action_space.sample())[2:4]):
            pass
    env.close()
    assert threading.active_count() == before


def test_several_at_once() -> None:
    several = gymnasium.vector.SyncVectorEnv([lambda: env_of(CROWD)] * 4)
    observations, _ = several.reset(seed=1)
    assert len({one.tobytes() for one in observations}) == 4
    for number in range(5):
        observations, *_ = several.step([policy(number)] * 4)
    assert observations.shape == (4, len(gym.Absolute.names))
    several.close()
