"""A learner in a backtest: Q-learning of when to buy and when to sell, in forty lines.

The price swings: after a rise it mostly falls, and the other way round. Nobody tells the learner;
it finds out by trying, episode after episode, each on prices of its own.

Needs the extra "gym": pip install 'backtest-actors[gym]'
Run it from the project's folder: python examples/learner_env.py
"""

from decimal import Decimal
from random import Random

from gymnasium.spaces import Discrete

from backtest.gym import ActWith, Learner, ObserveWith, TradingEnv, history_env
from backtest.models import Bar
from backtest.times import HOUR

BARS = 200


def swings(seed: int) -> list[Bar]:
    """Hours in which the price moves by 1: four times in five back to where it came from."""
    random, before, move, bars = Random(seed), Decimal(100), 1, []
    for at in range(0, BARS * HOUR, HOUR):
        move = -move if random.random() < 0.8 or before < 10 else move
        close = before + move
        high, low = max(before, close), min(before, close)
        bars.append(Bar("BTCUSD", at, at + HOUR, before, high, low, close))
        before = close
    return bars


def situation(learner: Learner) -> int:
    """0 to 3: fell or rose, and whether there is something to sell."""
    return 2 * (learner.price > learner.price_before) + (learner.held > 0)


def trade(learner: Learner, action: int) -> None:
    """0: hold nothing; 1: hold one."""
    if action and not learner.held:
        learner.buy(learner.pair, 1)
    elif learner.held and not action:
        learner.sell(learner.pair, 1)


def play(env: TradingEnv, worth: list[list[float]], random: Random, curiosity: float) -> Decimal:
    """One episode; what was earned. ``worth`` of each action in each situation is learned."""
    state, info = env.reset()
    first, done = info["equity"], False
    while not done:
        best = max((0, 1), key=lambda action: worth[state][action])
        action = random.randrange(2) if random.random() < curiosity else best
        after, reward, terminated, truncated, info = env.step(action)
        worth[state][action] += 0.1 * (reward + 0.5 * max(worth[after]) - worth[state][action])
        state, done = after, terminated or truncated
    return Decimal(info["equity"] - first)


def main() -> None:
    act, observe = ActWith(Discrete(2), trade), ObserveWith(Discrete(4), situation)
    env = history_env(swings, "1000 USD", pair="BTCUSD", act=act, observe=observe, seed=1)
    worth, random = [[0.0, 0.0] for _ in range(4)], Random(1)
    for episode in range(1, 11):
        print(f"episode {episode:2}: earned {play(env, worth, random, 0.3)} while learning")
    print(f"then, without trying anything new: earned {play(env, worth, random, 0.0)}")
    for state, name in enumerate(("fell, flat", "fell, long", "rose, flat", "rose, long")):
        print(f"  {name}: {'hold one' if worth[state][1] > worth[state][0] else 'hold none'}")
    env.close()


if __name__ == "__main__":
    main()
