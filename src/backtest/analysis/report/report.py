"""The report of a run: what happened, what it earned, where every cent went."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from backtest.analysis.by_strategy import pnl_by_strategy
from backtest.analysis.metrics import COVERED, flows_of
from backtest.analysis.record import RunRecord
from backtest.analysis.report.path_interval import PathInterval, path_lines
from backtest.analysis.report.refusals import refused_lines
from backtest.analysis.report.waiting import waiting
from backtest.analysis.text import columns, grouped, moment, money_column, signed
from backtest.models import OrderStatus, TradingOrder
from backtest.money import ZERO, add, round_half_even
from backtest.services.margin.linear import unrealised_pnl
from backtest.strategies.parameters import parameters_of

__all__ = ["FLOWS", "report"]

FLOWS = {
    "ADJUSTMENT": "paid in",
    "FILL_BUY": "paid for buys",
    "FILL_SELL": "delivered for sells",
    "SPOT_EXCHANGE": "received in exchange",
    "CLOSE_PNL": "realised PnL of positions",
    COVERED: "borne by the insurance",
    "FEE_CREATE": "create fees",
    "FEE_FILL": "fill fees",
    "FEE_CLOSE": "close fees",
    "FEE_CANCEL": "cancel fees",
    "FEE_OVERNIGHT": "overnight charges",
}
"""Kinds of transactions of the agents in words, in the order in which they are told."""
_CENT = Decimal("0.01")
_SHOWN = 20
"""So many strategies are told one by one; a market has thousands."""
_UNDEFINED = "not defined"


def report(
    record: RunRecord, figures: Mapping[str, Any], interval: PathInterval | None = None
) -> str:
    """The report as text, with its ``figures``; the same run gives the same text."""
    lines = [
        *_head(record, figures),
        "",
        "Summary",
        *_summary(figures),
        "",
        "Fees by stage",
        *_fees(figures["fees"]),
        "",
        "Where the money went",
        *_flows(record),
        "",
        "Balances",
        *_balances(record),
    ]
    if len(record.strategies) > 1 and len(record.strategies) <= _SHOWN:
        lines += ["", "Profit of each strategy", *_of_strategies(record)]
    if interval is not None:
        told = (f"  {line}" for line in path_lines(interval))
        lines += ["", "Over the path policies", *told]
    positions = _positions(record)
    if positions:
        lines += ["", "Open positions", *positions]
    pending = waiting(record)
    if pending:
        lines += ["", "Pending at the end", *(f"  {line}" for line in pending)]
    refused = refused_lines(record)
    if refused:
        lines += ["", "Refused, and the first of each reason", *refused]
    if record.notices:
        lines += ["", "Notices", *(f"  {notice}" for notice in record.notices)]
    return "\n".join([*lines, "", "Receipt", *_receipt(record)]) + "\n"


def _head(record: RunRecord, figures: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, strategy in record.strategies.items():
        parameters = ", ".join(f"{key}={value}" for key, value in parameters_of(strategy).items())
        lines.append(f"{type(strategy).__name__}({parameters})")
        accounts = record.accounts_of[name]
        if len(record.strategies) > 1 or accounts != ("main",):
            lines[-1] += f" as {name!r} on {', '.join(accounts)}"
    period = f"{moment(figures['start'])} to {moment(figures['end'])} UTC"
    given = f"{figures['bars']:,} bars"
    if record.ticks:
        ticks = f"{record.ticks:,} quotes and trades"
        given = f"{given} and {ticks}" if figures["bars"] else ticks
    warmup = (record.config.get("range") or {}).get("warmup")
    seen = f", with those of the warm-up before ({warmup})" if warmup else ""
    lines.append(f"{period}: {given} of {', '.join(record.pairs)}{seen}")
    return lines


def _summary(figures: Mapping[str, Any]) -> list[str]:
    cash = figures["cash_asset"]
    start, final = money_column([figures["start_equity"], figures["final_equity"]])
    gained = figures["return_percent"]
    profit, fall = signed(figures["profit"]), grouped(figures["max_drawdown"])
    deepest = grouped(figures["max_drawdown_percent"])
    rows = [
        ("start equity", f"{start} {cash}"),
        ("final equity", f"{final} {cash}"),
        ("return", f"{_UNDEFINED if gained is None else f'{signed(gained)} %'}  ({profit} {cash})"),
        ("max drawdown", f"{deepest} %  ({fall} {cash})"),
        ("buy and hold", _held(figures)),
        *_yearly(figures["statistics"]),
        ("exposure", f"{_short(figures['exposure_percent'])} % of the bars"),
        ("trades", _trades(figures)),
        ("orders", _counted(figures["orders"], figures["orders_by_status"])),
        ("fills", f"{figures['fills']:,}" + _of(figures["ambiguous_fills"], "ambiguous")),
        ("refused", _counted(figures["rejections"], figures["rejections_by_reason"])),
    ]
    if figures["liquidations"]:
        rows.append(("liquidations", f"{figures['liquidations']:,}"))
    for asset, amount in figures["uncovered_loss"].items():
        rows.append(("uncovered loss", f"{grouped(amount)} {asset}, beyond the insurance fund"))
    if figures["unpriced_assets"]:
        rows.append(("not counted", f"{', '.join(figures['unpriced_assets'])}: no price in {cash}"))
    return columns(rows)


def _held(figures: Mapping[str, Any]) -> str:
    """What the same money came to in the same data, held from beginning to end."""
    held = figures["buy_and_hold"]
    if held["return_percent"] is None:
        return _UNDEFINED
    final = grouped(round_half_even(held["final_equity"], _CENT))
    gained = signed(round_half_even(held["return_percent"], _CENT))
    return f"{gained} %  ({final} {figures['cash_asset']} in the end, without fees)"


def _yearly(statistics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What tells of a year, and of how many days one has; or why nothing does."""
    if statistics["not_annualised"]:
        return [("Sharpe", f"not annualised: {statistics['not_annualised']}")]
    days = f"annualised, {statistics['days_of_a_year']} days"
    growth, spread = (_short(statistics[f"{one}_percent"]) for one in ("cagr", "volatility"))
    ratios = (f"{one} {_short(statistics[one.lower()])}" for one in ("Sortino", "Calmar"))
    return [
        ("growth", f"{growth} % a year, volatility {spread} %  ({days})"),
        ("Sharpe", f"{_short(statistics['sharpe'])}, {', '.join(ratios)}  ({days})"),
    ]


def _short(value: Decimal | None) -> str:
    return _UNDEFINED if value is None else grouped(round_half_even(value, _CENT))


def _trades(figures: Mapping[str, Any]) -> str:
    if not figures["trades"]:
        return "0"
    rate, factor = _short(figures["win_rate_percent"]), _short(figures["profit_factor"])
    return f"{figures['trades']:,}, {figures['wins']:,} won ({rate} %), profit factor {factor}"


def _counted(total: int, parts: Mapping[str, int]) -> str:
    told = ", ".join(f"{count:,} {name.lower()}" for name, count in parts.items())
    return f"{total:,}" + (f": {told}" if told else "")


def _of(count: int, what: str) -> str:
    return f", {count:,} {what}" if count else ""


def _fees(fees: Mapping[str, Mapping[str, Decimal]]) -> list[str]:
    paid = [
        (stage, asset, amount) for stage, assets in fees.items() for asset, amount in assets.items()
    ]
    if not paid:
        return ["  none"]
    texts = money_column([amount for _, _, amount in paid])
    return columns(
        [(stage, f"{text} {asset}") for (stage, asset, _), text in zip(paid, texts, strict=True)]
    )


def _flows(record: RunRecord) -> list[str]:
    """Per asset, every kind of transaction and what it sums to: together the final balance."""
    lines = []
    for asset, kinds in flows_of(record).items():
        total = ZERO
        for change in kinds.values():
            total = add(total, change)
        named = [(label, kinds[kind]) for kind, label in FLOWS.items() if kind in kinds]
        texts = money_column([*(change for _, change in named), total], sign=True)
        rows = [(label, text) for (label, _), text in zip(named, texts, strict=False)]
        lines.append(f"  {asset}")
        lines += columns([*rows, ("= final balance", texts[-1])], indent="    ")
    return lines or ["  there was none"]


def _balances(record: RunRecord) -> list[str]:
    rows = []
    for account, assets in record.balances.items():
        for asset, both in assets.items():
            worth = ""
            if asset != record.cash_asset:
                total = add(both["available"], both["unavailable"])
                value = record.valuation.worth(asset, total)
                worth = (
                    "no price" if value is None else f"worth {grouped(value)} {record.cash_asset}"
                )
            rows.append(
                (
                    account,
                    asset,
                    f"available {grouped(both['available'])}",
                    f"in reserve {grouped(both['unavailable'])}",
                    worth,
                )
            )
    return columns(rows) or ["  none"]


def _of_strategies(record: RunRecord) -> list[str]:
    """What each strategy won or lost; together the profit of the run."""
    gained = pnl_by_strategy(record)
    total = ZERO
    for amount in gained.values():
        total = add(total, amount)
    texts = money_column([*gained.values(), total], sign=True)
    names = [*(name or "assets of the opening" for name in gained), "= profit"]
    cash = record.cash_asset
    return columns([(name, f"{text} {cash}") for name, text in zip(names, texts, strict=True)])


def _positions(record: RunRecord) -> list[str]:
    rows = []
    for order in record.records.orders:
        if not isinstance(order, TradingOrder) or order.status is not OrderStatus.FILLED:
            continue
        mark = record.valuation.prices[order.trading_pair_code]
        price, volume = order.fill_price or ZERO, order.volume
        gain = unrealised_pnl(order.direction.sign, price, mark, volume, order.contract_size)
        asset = record.pairs[order.trading_pair_code].quote.code
        rows.append(
            (
                record.account_name(order.account_id),
                order.direction.value.lower(),
                f"{grouped(volume, 0)} {order.trading_pair_code}",
                f"at {grouped(price)}",
                f"margin {grouped(order.margin_reserved)}",
                f"now {grouped(mark)}: {signed(gain)} {asset}",
            )
        )
    return columns(rows)


def _receipt(record: RunRecord) -> list[str]:
    receipt = record.receipt
    rows = [
        ("seed", str(receipt["seed"])),
        ("run", receipt["run_id"]),
        ("versions", ", ".join(f"{name} {number}" for name, number in receipt["versions"].items())),
        ("config", receipt["config_sha256"]),
        *((f"input {code}", digest) for code, digest in receipt["input_sha256"].items()),
        *((f"source {name}", digest) for name, digest in receipt["source_sha256"].items()),
        ("journal", receipt["journal_sha256"]),
    ]
    return columns(rows)
