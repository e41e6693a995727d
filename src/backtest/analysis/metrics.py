"""The figures of a run: what it earned, what it risked, what it cost.

Money is exact. Shares and statistics are derived from it and rounded half-even to six digits. What
is not defined is None, never 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from backtest.actors import EventKind
from backtest.analysis.record import RunRecord
from backtest.analysis.statistics.arithmetic import STATISTICS, total
from backtest.analysis.statistics.figures import Daily, daily_of, days_of, figures_of
from backtest.analysis.statistics.trade_statistics import (
    OneTrade,
    figures_of_trades,
    trade_statistics,
)
from backtest.analysis.trades.of_record import trades_of
from backtest.analysis.trades.trade import Trade
from backtest.models import OrderStatus, TransactionType
from backtest.money import ZERO, add, mul, plain, round_half_even, sub
from backtest.times import DAY, format_ns

__all__ = [
    "COVERED",
    "buy_and_hold",
    "daily",
    "flows_of",
    "held",
    "percent",
    "plain_summary",
    "quotient",
    "rounded",
    "start_equity",
    "summarise",
    "trade_figures",
]

_PLACES = Decimal("0.000001")
_STAGES = ("create", "fill", "close", "cancel", "overnight")
COVERED = "COVERED"
"""The kind of flow by which the insurance account bears what an account lost beyond its margin."""

Flows = dict[str, dict[str, Decimal]]


def summarise(record: RunRecord) -> dict[str, Any]:
    """All figures of a run by name; money and shares are `Decimal`, or None where undefined."""
    valuation = record.valuation
    start, final = start_equity(record), record.final_equity
    profit = sub(final, start)
    span = valuation.last_ns - valuation.first_ns
    touched, bars = Decimal(valuation.touched), Decimal(valuation.moments)
    flows = flows_of(record)
    days = daily(record)
    statistics = figures_of(days)
    events = Counter(event.kind for event in record.records.events)
    reasons = Counter(
        event.reason.value
        for event in record.records.events
        if event.kind is EventKind.REJECTED and event.reason is not None
    )
    statuses = Counter(order.status for order in record.records.orders)
    gained = _share(profit, start)
    fees = _fees(flows)
    return {
        "start": format_ns(record.run.start_ns or 0),
        "end": format_ns(record.run.end_ns or 0),
        "days": quotient(Decimal(span), Decimal(DAY)),
        "bars": record.bars,
        "cash_asset": record.cash_asset,
        "start_equity": start,
        "final_equity": final,
        "profit": profit,
        "return": gained,
        "return_percent": percent(gained),
        "max_drawdown": valuation.max_drawdown,
        "max_drawdown_percent": percent(rounded(valuation.max_drawdown_rate)),
        "sharpe": statistics["sharpe"],
        "sharpe_basis": days.annual.basis,
        "statistics": statistics,
        "buy_and_hold": buy_and_hold(record),
        "exposure_percent": percent(quotient(touched, bars)),
        **trade_figures(_in_cash(record, trades_of(record)[0])),
        "orders": len(record.records.orders),
        "orders_by_status": {
            status.value: statuses[status] for status in OrderStatus if statuses[status]
        },
        "orders_accepted": events[EventKind.ACCEPTED],
        "fills": len(record.records.fills),
        "ambiguous_fills": sum(fill.ambiguous for fill in record.records.fills),
        "rejections": events[EventKind.REJECTED],
        "rejections_by_reason": dict(sorted(reasons.items())),
        "liquidations": events[EventKind.LIQUIDATED],
        "transactions": record.ledger.transactions,
        "fees": fees,
        "fees_total": _total(fees),
        "uncovered_loss": _uncovered(record),
        "unpriced_assets": valuation.unpriced(),
    }


def plain_summary(figures: Mapping[str, Any]) -> dict[str, Any]:
    """``figures`` as JSON takes them: numbers that are `Decimal` as text."""
    return {name: _plain(value) for name, value in figures.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value


# -- equity ----------------------------------------------------------------------------------------


def start_equity(record: RunRecord) -> Decimal:
    """What the agents owned when the run began, in the cash asset.

    Assets other than cash count at the first price of their pair; what has none counts nothing.
    """
    cash: Mapping[str, Mapping[str, str]] = record.config["cash"]
    amounts: dict[str, Decimal] = {}
    for owned in cash.values():
        for asset, text in owned.items():
            amounts[asset] = add(amounts.get(asset, ZERO), Decimal(text))
    return record.valuation.worth_of(amounts, record.valuation.first_prices)


def buy_and_hold(record: RunRecord) -> dict[str, Any]:
    """What the opening equity had become, had it bought and held what the run had data of.

    Equal parts of it in each pair at the pair's first price, sold at its last: no fees, no spread,
    nothing rounded to increments. A pair counts in its own quote asset. None without prices.
    """
    valuation = record.valuation
    return held(start_equity(record), valuation.first_prices, valuation.prices)


def held(
    start: Decimal, first: Mapping[str, Decimal], last: Mapping[str, Decimal]
) -> dict[str, Any]:
    """The same, of an opening equity and prices by pair."""
    growths = [
        STATISTICS.divide(last[code], price) for code, price in first.items() if price > ZERO
    ]
    if not growths or start <= ZERO:
        return {"final_equity": None, "return_percent": None}
    grown = STATISTICS.divide(total(growths), Decimal(len(growths)))
    gained = STATISTICS.subtract(grown, Decimal(1))
    return {
        "final_equity": rounded(STATISTICS.multiply(start, grown)),
        "return_percent": percent(rounded(gained)),
    }


def daily(record: RunRecord) -> Daily:
    """The days of a run: equity at the end of each, of the calendar that its pairs have."""
    valuation = record.valuation
    first, last = valuation.first_ns, valuation.last_ns
    calendar = days_of((rules.calendar for rules in record.rules.values()), first, last)
    return daily_of(valuation.samples, start_equity(record), first, last, calendar)


# -- trades ----------------------------------------------------------------------------------------


def trade_figures(known: Sequence[OneTrade]) -> dict[str, Any]:
    """Of trades that are over, in the order in which they were: their PnL in the cash asset."""
    found = trade_statistics(known)
    return {
        "trades": found.trades,
        "wins": found.wins,
        "losses": found.losses,
        "win_rate_percent": percent(quotient(Decimal(found.wins), Decimal(found.trades))),
        "profit_factor": quotient(found.won, found.lost),
        "trade_pnl": sub(found.won, found.lost),
        "trade_statistics": figures_of_trades(found),
    }


def _in_cash(record: RunRecord, trades: Sequence[Trade]) -> list[OneTrade]:
    """The trades that are over: what is in another asset counts at its last price."""
    return [
        one.in_figures(record.valuation.worth(one.asset_code, one.pnl) or ZERO)
        for one in trades
        if not one.is_open
    ]


# -- money -----------------------------------------------------------------------------------------


def flows_of(record: RunRecord) -> Flows:
    """What the agents' accounts received (or gave, negative) in all, by asset and kind.

    Kinds are those of the transactions by name, and `COVERED`. Reserves move money within an
    account and do not show. The sums per asset are the final balances.
    """
    agents = {name for name, account in record.accounts.items() if not account.is_house}
    flows: Flows = {}
    for entry in record.ledger.entries:
        for account, asset, kind, available, unavailable in entry.legs:
            if account in agents:
                change = add(available, unavailable)
                if change:
                    name = kind.value
                    if kind is TransactionType.ADJUSTMENT and entry.order_id is not None:
                        name = COVERED
                    kinds = flows.setdefault(asset, {})
                    kinds[name] = add(kinds.get(name, ZERO), change)
    return flows


def _fees(flows: Flows) -> dict[str, dict[str, Decimal]]:
    """Fees paid by stage and asset; a rebate or income is negative."""
    return {
        stage: {
            asset: kinds[name].copy_negate() for asset, kinds in flows.items() if kinds.get(name)
        }
        for stage in _STAGES
        for name in (f"FEE_{stage.upper()}",)
    }


def _total(fees: Mapping[str, Mapping[str, Decimal]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for assets in fees.values():
        for asset, amount in assets.items():
            total[asset] = add(total.get(asset, ZERO), amount)
    return total


def _uncovered(record: RunRecord) -> dict[str, Decimal]:
    """What the insurance account is short of: losses that nobody paid for."""
    return {
        asset: sub(available, ZERO).copy_negate()
        for asset, (available, _) in record.ledger.balances()["insurance"].items()
        if available < ZERO
    }


# -- ratios ----------------------------------------------------------------------------------------


def rounded(value: Decimal) -> Decimal:
    """To six digits, halves to even."""
    return round_half_even(value, _PLACES)


def quotient(part: Decimal, whole: Decimal) -> Decimal | None:
    """A share, rounded; None of nothing."""
    return rounded(STATISTICS.divide(part, whole)) if whole else None


def _share(part: Decimal, whole: Decimal) -> Decimal | None:
    return quotient(part, whole) if whole > ZERO else None


def percent(share: Decimal | None) -> Decimal | None:
    """A share in hundredths."""
    return None if share is None else mul(share, Decimal(100))
