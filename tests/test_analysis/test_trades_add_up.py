"""Whatever strategies do: the gains of all trades are what their accounts gained, exactly."""

from __future__ import annotations

from decimal import Decimal as D
from random import Random
from typing import Any

import pytest

import backtest
from backtest.analysis.result import RunResult
from backtest.analysis.trades.trades import Trades
from tests.random_trading import PAIRS, Wildest, random_bars, random_rules
from tests.test_analysis.runs import busy_run
from tests.test_analysis.test_random_runs_verify import random_run

METHODS = ("fifo", "average")


def both(result: RunResult) -> list[Trades]:
    return [result.trades_by(method) for method in METHODS]


def gained(trades: Trades) -> D:
    """What all trades brought, open ones at the last price, less charges that are of no trade."""
    return sum(trades.pnl.values(), D(0)) - sum(trades.untraded.values(), D(0))


def check(result: RunResult) -> None:
    for trades in both(result):
        assert gained(trades) == result.summary["profit"]
        for one in trades:
            assert one.pnl == one.gross_pnl - one.fees - one.financing + one.insured
            assert one.volume > 0
            assert one.exit_ns >= one.entry_ns
            assert one.worst_price is not None
            assert one.mae is not None
            assert one.mfe is not None
            assert one.mae <= 0 <= one.mfe
        _volumes(result, trades)


def _volumes(result: RunResult, trades: Trades) -> None:
    """Of each pair and kind: what fills opened and closed is what trades opened and closed."""
    for pair in result.pairs:
        for kind in ("spot", "trading"):
            own = trades.where(pair=pair, order_kind=kind)
            net = sum((one.volume * (1 if one.is_long else -1) for one in own.open), D(0))
            cash = result.config["cash"].values() if kind == "spot" else ()
            owned = sum((D(one.get(pair[:3], "0")) for one in cash), D(0))
            traded = sum(
                (
                    fill.volume * fill.direction.sign
                    for fill in result.fills
                    if fill.pair == pair and fill.order_kind == kind
                ),
                D(0),
            )
            assert net == owned + traded


def netting_run(seed: int) -> Any:
    """Two wild strategies, whose fills close what is open on the other side."""
    bars, chance = random_bars(seed), Random(seed)
    return backtest.run(
        {"one": Wildest(), "two": Wildest()},
        data={pair.code: [bar for bar in bars if bar.pair == pair.code] for pair in PAIRS},
        cash={"one": ["20000 USD", "3 BTC"], "two": ["500 USD"]},
        accounts={"one": ["one"], "two": ["two"]},
        rules=random_rules(seed),
        seed=seed,
        netting=True,
        margin_mode=chance.choice(["isolated", "cross"]),
    )


def test_trades_add_up_to_the_profit_of_random_runs(soak: bool) -> None:
    for seed in range(1000, 1200 if soak else 1006):
        check(random_run(seed))


def test_trades_add_up_to_the_profit_where_accounts_net(soak: bool) -> None:
    for seed in range(1000, 1200 if soak else 1006):
        check(netting_run(seed))


@pytest.mark.parametrize("seed", range(5, 8))
def test_trades_add_up_with_partial_fills_splits_fees_at_every_stage_and_shared_accounts(
    seed: int,
) -> None:
    check(busy_run(seed))


def test_trades_of_each_account_add_up_to_what_it_gained() -> None:
    result = busy_run(5)
    prices, first = result.valuation.prices, result.valuation.first_prices
    opening = {"a": D(3000), "b": 2000 + 5 * first["BTCUSD"], "c": D(1000)}
    for trades in both(result):
        for account, start in opening.items():
            own = result.balances[account]
            worth = sum(both for both in own["USD"].values())
            for base in ("BTC", "ETH"):
                worth += sum(own.get(base, {}).values()) * prices[f"{base}USD"]
            # What positions have won that are open: their gross PnL, for all else is paid.
            for one in trades.where(account=account, order_kind="trading", is_open=True):
                worth += _unrealised(result, one, trades)
            untraded = trades.untraded.get((account, "USD"), D(0))
            gained = sum((one.pnl for one in trades.where(account=account)), D(0)) - untraded
            assert gained == worth - start


def _unrealised(result: RunResult, trade: Any, trades: Trades) -> D:
    """Of a whole chain, by what its venue says that closes took of the cost."""
    if trade is not trades.where(root_id=trade.root_id, is_open=True)[0]:
        return D(0)  # the whole chain once
    value = D(0)
    for fill in result.fills:
        if str(fill.root_id) == trade.root_id:
            mark = result.valuation.prices[fill.pair]
            sign = fill.direction.sign
            cost = fill.price * fill.volume if fill.kind == "entry" else fill.cost
            assert cost is not None
            value += sign * (fill.volume * mark - cost)
    return value
