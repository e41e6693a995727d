"""Whatever strategies do: the gains of all trades are what their accounts gained, exactly."""

from __future__ import annotations

from decimal import Decimal as D
from random import Random
from typing import Any

import pytest

import backtest
from backtest.analysis.result import RunResult
from backtest.analysis.trades.trades import Trades
from backtest.models import Asset, Bar, TradingPair
from backtest.money import add, mul
from tests.harness import M
from tests.random_trading import Wildest, random_rules
from tests.test_analysis.runs import busy_run
from tests.test_analysis.test_random_runs_verify import netting_run, random_run

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


ROUND = (("BTCUSD", 100), ("BTCEUR", 90), ("EURUSD", 1), ("ETHUSD", 100), ("ETHBTC", 1))
"""Pairs in which an asset is bought in one and sold in another."""


class Rounder(Wildest):
    """Does anything with any of these pairs."""

    async def run(self) -> None:
        """Nothing besides."""


def round_run(seed: int) -> RunResult:
    """Two strategies that buy in one pair what they sell in another; fees in three assets."""
    chance, data = Random(seed), {}
    for code, first in ROUND:
        price, bars = D(first), []
        for at in range(60):
            close = round(price * chance.randrange(96, 105) / 100, 4)
            ends = sorted((price, close))
            spread = round(ends[0] * chance.randrange(5) / 100, 4)
            prices = price, ends[1] + spread, ends[0] - spread, close
            bars.append(Bar(code, at * M, (at + 1) * M, *prices, D(chance.randrange(1, 30))))
            price = close
        quote = Asset(code[3:], 8 if code[3:] == "BTC" else 2)
        base = Asset(code[:3], 8 if code[:3] == "BTC" else 2 if code[:3] == "EUR" else 8)
        data[TradingPair(code, base, quote, D("0.0001"), D("0.01"))] = bars
    return backtest.run(
        {"one": Rounder(), "two": Rounder()},
        data=data,
        cash={"one": ["3000 USD", "2 BTC", "500 EUR"], "two": ["1000 USD", "5 ETH"]},
        accounts={"one": ["one"], "two": ["two"]},
        rules=random_rules(seed),
        seed=seed,
        netting=chance.random() < 0.5,
    )


def test_trades_of_each_account_and_quote_asset_add_up_where_pairs_share_assets(
    soak: bool,
) -> None:
    for seed in range(40 if soak else 5):
        result = round_run(seed)
        assert result.fills
        for trades in both(result):
            for account in ("one", "two"):
                for quote in ("USD", "EUR", "BTC"):
                    untraded = trades.untraded.get((account, quote), D(0))
                    won = trades.where(account=account, asset_code=quote).pnl.get(quote, D(0))
                    assert add(won, untraded.copy_negate()) == _gained(result, account, quote)


def _gained(result: RunResult, account: str, quote: str) -> D:
    """What came in of an asset through its pairs, with what they hold of their bases, or positions
    have won, at the last prices; of what was owned, what its price came to."""
    total = D(0)
    for row in result.ledger.rows():
        if (row.account, row.asset) == (account, quote) and row.order_id is not None:
            total = add(total, add(row.available, row.unavailable))
    prices, first = result.valuation.prices, result.valuation.first_prices
    for fill in result.fills:
        if result.account_name(fill.account_id) != account:
            continue
        pair = result.pairs[fill.pair]
        signed = fill.volume * fill.direction.sign
        if pair.quote.code == quote:
            total = add(total, mul(mul(signed, prices[fill.pair]), pair.contract_size))
            if fill.order_kind == "trading":
                cost = mul(mul(fill.price, fill.volume), pair.contract_size)
                cost = cost if fill.kind == "entry" else fill.cost or D(0)
                total = add(total, mul(cost, D(-fill.direction.sign)))
        if pair.base.code == quote and fill.order_kind == "spot":
            total = add(total, -signed)  # it came through the other pair
    for code, owned in (("BTCUSD", "BTC"), ("EURUSD", "EUR"), ("ETHUSD", "ETH")):
        if code[3:] == quote:
            own = D(result.config["cash"][account].get(owned, "0"))
            total = add(total, mul(own, add(prices[code], -first[code])))
    return total


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
