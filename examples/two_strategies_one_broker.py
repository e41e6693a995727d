"""Two strategies at one broker: each with its own account, then both on one.

Run it from the project's folder: python examples/two_strategies_one_broker.py
"""

from decimal import Decimal

import backtest
from backtest import RunResult
from backtest.data import synthetic_bars
from backtest.models import Fee, FeeKind, FeeStage, TradingRules
from backtest.strategies import Grid, SmaCross, Strategy

RULES = TradingRules(fees={FeeStage.FILL: (Fee(FeeKind.PERCENT_OF_NOTIONAL, Decimal("0.001")),)})


def strategies() -> dict[str, Strategy]:
    """One follows the trend, the other bets against it. New ones for each run."""
    return {
        "trend": SmaCross(fast=20, slow=60, volume="0.5"),
        "grid": Grid(levels=8, spacing="0.004", volume="0.2"),
    }


def show(title: str, result: RunResult) -> None:
    print(title)
    for name, strategy in result.strategies.items():
        # A fill carries the id of the agent that ordered it, whoever owns the account.
        own = [fill for fill in result.fills if fill.agent_id == strategy.agent_id]
        fees = sum(fill.fee for fill in own)
        account = result.accounts_of[name][0]
        print(f"  {name:6} on account {account:6} {len(own):4} fills, {fees:8.2f} USD in fees")
    for account, assets in result.balances.items():
        held = ", ".join(f"{sum(both.values()):.4f} {code}" for code, both in assets.items())
        print(f"  account {account:6} holds {held}")
    print(f"  together worth {result.final_equity:.2f} USD\n")


def main() -> None:
    bars = synthetic_bars("BTCUSD", 5_000, seed=4, volatility=0.002)
    apart = backtest.run(
        strategies(),
        data=bars,
        cash={"trend": "50000 USD", "grid": "50000 USD"},
        rules=RULES,
    )
    show("Each with 50000 USD of its own:", apart)
    shared = backtest.run(strategies(), data=bars, cash="100000 USD", rules=RULES)
    show("Both on one account of 100000 USD:", shared)


if __name__ == "__main__":
    main()
