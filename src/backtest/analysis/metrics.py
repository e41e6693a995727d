"""The figures of a run: what it earned, what it risked, what it cost.

Money is exact. Shares and statistics are derived from it and rounded half-even to six digits; the
square root of the Sharpe ratio is `Decimal`'s own. What is not defined is None, never 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import pairwise
from typing import Any

from backtest.actors import EventKind
from backtest.analysis.record import RunRecord
from backtest.analysis.trades.of_record import trades_of
from backtest.analysis.trades.trade import Trade
from backtest.models import OrderStatus, TransactionType
from backtest.money import ZERO, add, mul, plain, round_half_even, sub
from backtest.times import DAY, HOUR, format_ns

__all__ = [
    "COVERED",
    "flows_of",
    "percent",
    "plain_summary",
    "quotient",
    "rounded",
    "sharpe_ratio",
    "start_equity",
    "summarise",
]

_STATISTICS = Context(prec=34, rounding=ROUND_HALF_EVEN)
_PLACES = Decimal("0.000001")
_STAGES = ("create", "fill", "close", "cancel", "overnight")
COVERED = "COVERED"
"""The kind of flow by which the insurance account bears what an account lost beyond its margin."""
LONG_SPAN = 30 * DAY
"""From this span on, the Sharpe ratio is taken from daily equity; below it from hourly."""

Flows = dict[str, dict[str, Decimal]]


def summarise(record: RunRecord) -> dict[str, Any]:
    """All figures of a run by name; money and shares are `Decimal`, or None where undefined."""
    valuation = record.valuation
    start, final = start_equity(record), record.final_equity
    profit = sub(final, start)
    span = valuation.last_ns - valuation.first_ns
    touched, bars = Decimal(valuation.touched), Decimal(valuation.moments)
    flows = flows_of(record)
    sharpe, basis = sharpe_ratio(valuation.samples, start, valuation.first_ns, valuation.last_ns)
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
        "sharpe": sharpe,
        "sharpe_basis": basis,
        "exposure_percent": percent(quotient(touched, bars)),
        **_trade_figures(record, trades_of(record)[0]),
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


def sharpe_ratio(
    samples: Sequence[tuple[int, Decimal]], start: Decimal, first_ns: int, last_ns: int
) -> tuple[Decimal | None, str]:
    """The annualised Sharpe ratio, and what it was taken from: ``daily`` or ``hourly`` equity.

    Mean of the returns per period over their standard deviation (of a sample: n - 1), times the
    square root of the periods in a year: 365 days, or 8 760 hours, as there are markets that never
    close. The riskless rate is taken as 0. A period is a UTC day when the run spans 30 days or
    more, else an hour; its end belongs to it. A period in which nothing changed returned 0. Source:
    W. F. Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21 (1), 1994.

    ``samples`` are ``(nanoseconds, equity)``, the last of a period counts. None when there are
    fewer than two periods, when the returns do not vary, or when equity was not above zero
    throughout.
    """
    length, basis, periods = (DAY, "daily", 365) if last_ns - first_ns >= LONG_SPAN else (
        HOUR, "hourly", 8_760,
    )  # fmt: skip
    equities = _at_ends(samples, start, first_ns, last_ns, length)
    if len(equities) < 3 or min(equities) <= ZERO:
        return None, basis
    context = _STATISTICS
    returns = [
        context.subtract(context.divide(after, before), Decimal(1))
        for before, after in pairwise(equities)
    ]
    count = Decimal(len(returns))
    mean = context.divide(_sum(returns), count)
    squares = [context.power(context.subtract(one, mean), 2) for one in returns]
    variance = context.divide(_sum(squares), Decimal(len(returns) - 1))
    if not variance:
        return None, basis
    ratio = context.divide(mean, context.sqrt(variance))
    return rounded(context.multiply(ratio, context.sqrt(Decimal(periods)))), basis


def _at_ends(
    samples: Sequence[tuple[int, Decimal]],
    start: Decimal,
    first_ns: int,
    last_ns: int,
    length: int,
) -> list[Decimal]:
    """Equity at the start and at the end of each period; the end belongs to the period."""
    ends = {(time - 1) // length: equity for time, equity in samples}
    equities = [start]
    for period in range(first_ns // length, (last_ns - 1) // length + 1):
        equities.append(ends.get(period, equities[-1]))
    return equities


def _sum(values: Sequence[Decimal]) -> Decimal:
    total = ZERO
    for value in values:
        total = _STATISTICS.add(total, value)
    return total


# -- trades ----------------------------------------------------------------------------------------


def _trade_figures(record: RunRecord, trades: Sequence[Trade]) -> dict[str, Any]:
    """Of the trades that are over, in the cash asset: another asset counts at its last price."""
    won = lost = ZERO
    wins = losses = 0
    trades = [trade for trade in trades if not trade.is_open]
    for trade in trades:
        pnl = record.valuation.worth(trade.asset_code, trade.pnl) or ZERO
        if trade.pnl > ZERO:
            wins, won = wins + 1, add(won, pnl)
        elif trade.pnl < ZERO:
            losses, lost = losses + 1, add(lost, pnl.copy_negate())
    count = len(trades)
    return {
        "trades": count,
        "wins": wins,
        "losses": losses,
        "win_rate_percent": percent(quotient(Decimal(wins), Decimal(count))),
        "profit_factor": quotient(won, lost),
        "trade_pnl": sub(won, lost),
    }


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
    return rounded(_STATISTICS.divide(part, whole)) if whole else None


def _share(part: Decimal, whole: Decimal) -> Decimal | None:
    return quotient(part, whole) if whole > ZERO else None


def percent(share: Decimal | None) -> Decimal | None:
    """A share in hundredths."""
    return None if share is None else mul(share, Decimal(100))
