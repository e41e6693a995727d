"""The tables of the page as HTML: whatever comes from the user is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any

from backtest.analysis.market.page_text import table
from backtest.analysis.metrics import flows_of
from backtest.analysis.page.money import Headroom, Receipts
from backtest.analysis.page.verdict import Doubt, cents
from backtest.analysis.record import RunRecord
from backtest.analysis.report.path_interval import PathInterval, path_lines
from backtest.analysis.report.refusals import Refusals
from backtest.analysis.statistics.arithmetic import STATISTICS
from backtest.analysis.statistics.benchmark import Comparison
from backtest.analysis.text import grouped, moment, signed
from backtest.analysis.verify.verification import Verification
from backtest.analysis.worth import Confidence, Costs
from backtest.money import ZERO, add
from backtest.times import format_ns, from_ns

__all__ = [
    "comparison_table",
    "costs_table",
    "doubts_list",
    "fees_tables",
    "headroom_table",
    "interval_text",
    "money_table",
    "monthly_table",
    "reconciliation",
    "refusals_table",
    "statistics_table",
]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FULL = Decimal("0.1")
"""A return of that much or more has the full colour."""


def doubts_list(doubts: Sequence[Doubt]) -> str:
    """What was not verified, point by point; long lists open with a click."""
    lines = []
    for doubt in doubts:
        kind = ' class="bad"' if doubt.bad else ""
        if not doubt.more:
            lines.append(f"<li{kind}>{escape(doubt.what)}</li>")
            continue
        more = "".join(f"<li>{escape(one)}</li>" for one in doubt.more)
        opened = " open" if doubt.bad else ""
        lines.append(
            f"<li{kind}><details{opened}><summary>{escape(doubt.what)} ({len(doubt.more)})"
            f"</summary><ul>{more}</ul></details></li>"
        )
    return f'<ul class="doubts">{"".join(lines)}</ul>'


def comparison_table(figures: Mapping[str, Any], beside: Comparison | None) -> str:
    """The key figures beside those of buying and holding."""
    cash, held, more = figures["cash_asset"], figures["buy_and_hold"], figures["statistics"]
    unit = f" {cash}"
    rows = [
        ("final equity" + unit, cents(figures["final_equity"]), cents(held["final_equity"])),
        ("return %", cents(figures["return_percent"], sign=True),
         cents(held["return_percent"], sign=True)),
        ("deepest fall %", cents(figures["max_drawdown_percent"]), ""),
        ("exposure, % of the bars", cents(figures["exposure_percent"]), "100.00"),
        ("growth % a year", cents(more["cagr_percent"], sign=True), ""),
        ("volatility % a year", cents(more["volatility_percent"]), ""),
        ("Sharpe ratio", cents(more["sharpe"]), ""),
    ]  # fmt: skip
    if beside is not None:
        rows += [
            ("beta to it", cents(beside.beta), "1.00"),
            ("alpha % a year",
             cents(None if beside.alpha is None else STATISTICS.scaleb(beside.alpha, Decimal(2)),
                   sign=True), "0.00"),
            ("information ratio", cents(beside.information_ratio), ""),
        ]  # fmt: skip
    head = ("", "this run", "buy and hold")
    return table(head, [row for row in rows if row[1] != "–" or row[2]], "tnn")


def statistics_table(
    figures: Mapping[str, Any], turnover: Decimal | None, chance: Confidence
) -> str:
    """All other statistics, of days, of trades, and what they may be worth."""
    more, trades = figures["statistics"], figures["trade_statistics"]
    days = [
        (f"{name.removesuffix('_percent').replace('_', ' ')}"
         + (" %" if name.endswith("_percent") else ""), cents(value))
        for name, value in more.items()
        if isinstance(value, Decimal)
    ]  # fmt: skip
    days += [("turnover, times of equity", cents(turnover))] if turnover is not None else []
    won = [
        ("trades over", f"{figures['trades']:,}"),
        ("won %", cents(figures["win_rate_percent"])),
        ("profit factor", cents(figures["profit_factor"])),
    ]
    for name, value in trades.items():
        if value is None:
            continue
        shown = cents(value) if isinstance(value, Decimal) else f"{value:,}"
        label = name.replace("_percent", " %").replace("_seconds", ", s").replace("_", " ")
        won.append((label, shown))
    worth = [
        (f"{name}, 95 % interval", f"{one.low * scale:,.2f} to {one.high * scale:,.2f}")
        for name, one, scale in (
            ("Sharpe ratio", chance.sharpe, 1), ("growth % a year", chance.cagr, 100)
        )
        if one is not None
    ]  # fmt: skip
    for name, number in (
        ("probability that the true Sharpe ratio is above 0", chance.probabilistic_sharpe),
        (f"the same, deflated for {chance.trials} trials", chance.deflated_sharpe),
    ):
        if number is not None:
            worth.append((name, f"{number:.3f}"))
    boxes = []
    named = (("Of days", days), ("Of trades", won), ("What it may be worth", worth))
    for title, rows in named:
        if rows:
            boxes.append(f"<div><h3>{title}</h3>{table(('', ''), rows, 'tn')}</div>")
    return f'<div class="beside">{"".join(boxes)}</div>'


def monthly_table(returns: Sequence[tuple[int, Decimal]]) -> str:
    """Returns by year and month, in percent, and those of the years."""
    years: dict[int, dict[int, Decimal]] = {}
    for end, share in returns:
        day = from_ns(end - 1)
        years.setdefault(day.year, {})[day.month] = share
    rows = []
    for year, months in years.items():
        grown = Decimal(1)
        for share in months.values():
            grown = STATISTICS.multiply(grown, STATISTICS.add(Decimal(1), share))
        cells = [_coloured(months.get(month)) for month in range(1, 13)]
        cells.append(_coloured(STATISTICS.subtract(grown, Decimal(1))))
        rows.append(f"<tr><th>{year}</th>{''.join(cells)}</tr>")
    head = "".join(f'<th class="n">{name}</th>' for name in (*_MONTHS, "year"))
    return (
        f'<div class="scroll"><table class="months"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _coloured(share: Decimal | None) -> str:
    if share is None:
        return "<td></td>"
    percent = STATISTICS.scaleb(share, Decimal(2))
    much = min(_strength(share), 70)
    side = "up" if share > ZERO else "down" if share < ZERO else "even"
    return f'<td class="n {side}" style="--much:{much}%">{cents(percent)}</td>'


def _strength(share: Decimal) -> int:
    return int(STATISTICS.multiply(STATISTICS.divide(share.copy_abs(), _FULL), Decimal(70)))


def fees_tables(figures: Mapping[str, Any], receipts: Sequence[Receipts]) -> str:
    """Fees by stage, and the accounts that got them."""
    paid = [
        (stage, asset, grouped(amount))
        for stage, assets in figures["fees"].items()
        for asset, amount in assets.items()
    ]
    if not paid:
        return "<p>No fees were charged.</p>"
    paid += [("all", asset, grouped(amount)) for asset, amount in figures["fees_total"].items()]
    got = [(one.stage, one.account, one.asset, grouped(one.amount)) for one in receipts]
    return (
        '<div class="beside">'
        f"<div><h3>Paid, by stage</h3>{table(('stage', 'asset', 'paid'), paid, 'ttn')}</div>"
        "<div><h3>Who got them</h3>"
        f"{table(('stage', 'account', 'asset', 'received'), got, 'tttn')}</div></div>"
    )


def costs_table(costs: Sequence[Costs], figures: Mapping[str, Any]) -> str:
    """The result with other fees; empty where there were none."""
    if not figures["fees_total"]:
        return ""
    rows = [
        (f"× {grouped(one.factor, 0)}", cents(one.final_equity), cents(one.profit, sign=True))
        for one in costs
    ]
    return "<h3>The same fills with other fees</h3>" + table(
        ("all fees", f"final equity {figures['cash_asset']}", "profit"), rows, "tnn"
    )


def refusals_table(refusals: Sequence[Refusals]) -> str:
    """Orders refused, by reason."""
    if not refusals:
        return "<p>None was refused.</p>"
    rows = [
        (one.reason.value, f"{one.count:,}", moment(format_ns(one.time)), one.strategy, one.detail)
        for one in refusals
    ]
    return table(("reason", "times", "first at (UTC)", "by", "the first said"), rows, "tnttw")


def interval_text(interval: PathInterval | None, figures: Mapping[str, Any]) -> str:
    """Between what the result lies over the path policies, if it was asked."""
    if interval is None:
        return (
            f"<p>It was not asked: {figures['ambiguous_fills']:,} of {figures['fills']:,} fills "
            "are flagged ambiguous. <code>result.path_interval()</code> before the page, or "
            "<code>backtest run --paths</code>, repeats the run under each path policy where one "
            "may differ.</p>"
        )
    return f"<pre>{escape(chr(10).join(path_lines(interval)))}</pre>"


def headroom_table(headrooms: Sequence[Headroom]) -> str:
    """What accounts had free at the worst moment."""
    if not headrooms:
        return "<p>Nothing was ever held in reserve.</p>"
    rows = []
    for one in headrooms:
        share = one.least_share
        rows.append(
            (
                one.account, one.asset, grouped(one.lowest), moment(format_ns(one.lowest_ns)),
                "–" if share is None else cents(STATISTICS.scaleb(share, Decimal(2))),
                grouped(one.highest_held), moment(format_ns(one.highest_held_ns)),
            )
        )  # fmt: skip
    return table(
        ("account", "asset", "least available", "at (UTC)", "least % free",
         "most in reserve", "at (UTC)"),
        rows, "ttntnnt",
    )  # fmt: skip


def money_table(record: RunRecord, names: Mapping[str, str]) -> str:
    """Per asset, every kind of transaction of the agents and what it sums to."""
    rows = []
    for asset, kinds in flows_of(record).items():
        total = ZERO
        for kind, change in kinds.items():
            total = add(total, change)
            rows.append((asset, names.get(kind, kind), signed(change)))
        rows.append((asset, "= final balance", signed(total)))
    return table(("asset", "what", "received"), rows, "ttn")


def reconciliation(
    balances: Sequence[tuple[str, str, Decimal, Decimal]], verification: Verification
) -> str:
    """Whether transactions give the balances, account by account, and all checks of the run."""
    rows = [
        (account, asset, grouped(sums), grouped(balance), "same" if sums == balance else "DIFFERS")
        for account, asset, sums, balance in balances
    ]
    checks = [("ok" if one.ok else "FAILED", one.name, one.outcome) for one in verification.checks]
    by_asset: dict[str, Decimal] = {}
    for _, asset, sums, _ in balances:
        by_asset[asset] = add(by_asset.get(asset, ZERO), sums)
    zero = all(not one for one in by_asset.values())
    told = "All accounts together hold nothing, per asset: what one has, another gave."
    if not zero:
        told = "All accounts together do NOT sum to zero."
    return (
        f"<p>{told}</p>"
        + table(("account", "asset", "sum of transactions", "balance", ""), rows, "ttnnt")
        + "<h3>Checks</h3>"
        + table(("", "check", "outcome"), checks, "ttw")
    )
