"""The sections of the page in their order, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape

from backtest.analysis.market.page_text import tiles
from backtest.analysis.page import sections
from backtest.analysis.page.content import Content
from backtest.analysis.page.money import fee_receipts, reconciled
from backtest.analysis.page.verdict import cents, not_verified, title_of, verdict
from backtest.analysis.period_returns import period_returns
from backtest.analysis.report.refusals import refusals_of
from backtest.analysis.report.report import FLOWS
from backtest.analysis.statistics.benchmark import Comparison
from backtest.analysis.text import moment
from backtest.analysis.worth import beside_buy_and_hold, costs, turnover
from backtest.errors import ConfigError

__all__ = ["body_of"]

_FACTORS = (Decimal("0.5"), Decimal(2))


def body_of(content: Content) -> str:
    """All sections."""
    parts = [
        _head(content),
        _key_figures(content),
        _over_time(content),
        _prices(content),
        _periods(content),
        _trades(content),
        _orders(content),
        _money(content),
    ]
    return "\n".join(parts)


def _section(name: str, title: str, *parts: str) -> str:
    return f'<section id="{name}"><h2>{escape(title)}</h2>{"".join(parts)}</section>'


def _picture(name: str, label: str, height: int) -> str:
    return (
        f'<div class="picture" id="{name}" role="img" aria-label="{escape(label)}" '
        f'style="min-height:{height}px"></div>'
    )


def _head(content: Content) -> str:
    record, figures = content.record, content.figures
    doubts = not_verified(
        record, figures, content.verification, content.material.interval, content.chance
    )
    ok = content.verification.ok
    checks = len(content.verification.checks)
    proof = f"All {checks} checks of the ledger and the tables passed." if ok else (
        f"{sum(not one.ok for one in content.verification.checks)} of {checks} checks "
        "failed."
    )  # fmt: skip
    given = f"{figures['bars']:,} bars" if figures["bars"] else f"{record.ticks:,} ticks"
    period = f"{moment(figures['start'])} to {moment(figures['end'])} UTC, {given}"
    return (
        f"<header><h1>{escape(title_of(record))}</h1><p>{escape(period)}</p>"
        f'<p class="verdict">{escape(verdict(record, figures))}</p>'
        f'<p class="{"proof" if ok else "proof bad"}">{proof}</p></header>'
        + _section("doubts", "What was not verified", sections.doubts_list(doubts))
    )


def _key_figures(content: Content) -> str:
    record, figures = content.record, content.figures
    cash = figures["cash_asset"]
    beside: Comparison | None = None
    why = ""
    try:
        beside = beside_buy_and_hold(record, None if content.held is None else content.held.samples)
    except ConfigError as error:
        told = str(error)
        why = f"<p>{escape(told[:1].upper() + told[1:])}.</p>"
    boxes = [
        (f"profit {cash}", cents(figures["profit"], sign=True)),
        ("return %", cents(figures["return_percent"], sign=True)),
        ("deepest fall %", cents(figures["max_drawdown_percent"])),
        ("trades over", f"{figures['trades']:,}"),
        ("won %", cents(figures["win_rate_percent"])),
        ("profit factor", cents(figures["profit_factor"])),
    ]
    more = sections.statistics_table(figures, turnover(record), content.chance)
    return _section(
        "figures",
        "Key figures, beside buying and holding the same data",
        tiles(boxes),
        sections.comparison_table(figures, beside),
        why,
        f"<details><summary>All figures, and what they may be worth</summary>{more}"
        f"{sections.costs_table(costs(record, _FACTORS), figures)}</details>",
    )


_MOVES = (("all", "whole"), ("out", "−"), ("in", "+"), ("back", "◀"), ("on", "▶"))


def _moves() -> str:
    """Buttons that move all pictures along time: a finger has no double-click."""
    words = {"out": "further out", "in": "closer", "back": "earlier", "on": "later"}
    buttons = "".join(
        f'<button type="button" data-move="{name}" aria-label="{words.get(name, text)}">{text}'
        "</button>"
        for name, text in _MOVES
    )
    return f'<div class="tools">{buttons}</div>'


def _over_time(content: Content) -> str:
    curve, rows = content.curve, len(content.curve)
    told = (
        f"{rows:,} values of equity, one for each moment with news of the market."
        if curve.basis == "event"
        else f"Equity at the ends of hours: {curve.why}."
    )
    exposure = (
        _picture("exposure", "exposure as share of equity", 180)
        if curve.basis == "event"
        else f"<p>Between hours it is not known: {escape(curve.why)}.</p>"
    )
    return _section(
        "curve",
        "Equity and drawdown",
        f"<p>{escape(told)} The band is from the lowest to the highest of neighbours. Drag to "
        "zoom: all pictures along time follow; double-click to go back.</p>",
        _moves(),
        _picture("equity", "equity, beside buy and hold", 340),
        _picture("fall", "drawdown in percent", 150),
    ) + _section(
        "exposed",
        "Exposure",
        "<p>What is held that moves with the market, as a share of equity: net is longs less "
        "shorts, gross both together (the most of neighbours).</p>",
        exposure,
    )


def _prices(content: Content) -> str:
    if content.no_prices:
        told = f"<p>There are no prices: {escape(content.no_prices)}.</p>"
        return _section("prices", "Price, fills, stops and targets", told)
    pictures = "".join(
        f'<h3>{escape(code)}</h3><p class="told" id="told-{at}"></p>'
        + _picture(f"price-{at}", "price with fills", 380)
        for at, code in enumerate(content.pairs)
    )
    return _section(
        "prices",
        "Price, fills, stops and targets",
        "<p>▲ bought, ▼ sold, at the time it happened; a fill inside a bar, whose moment nobody "
        "knows, stands in the middle of it. Far out, one mark stands for all neighbours: zoom in "
        "for each one, for stops and targets (as they were last set), and for single bars around "
        "trades. Click on a fill for the story of its trade.</p>",
        _moves(),
        pictures,
    )


def _periods(content: Content) -> str:
    try:
        months = sections.monthly_table(period_returns(content.record, "month"))
    except ConfigError as error:
        months = f"<p>{escape(str(error))}.</p>"
    rolling = content.rolling
    if "why" in rolling:
        picture = f"<p>It is not drawn: {escape(rolling['why'])}.</p>"
    else:
        picture = (
            f"<p>Of the last {rolling['window']} daily returns each, annualised.</p>"
            + _picture("rolling", "rolling Sharpe ratio", 220)
        )
    return _section("months", "Returns by month, in percent", months) + _section(
        "rolled", "Rolling Sharpe ratio", picture
    )


def _trades(content: Content) -> str:
    trades = content.trades
    if not len(trades):
        return _section("trades", "Trades", "<p>There were none.</p>")
    left_out = content.stories.left_out
    told = (
        f"The page had no room for the stories of {left_out:,} of {len(trades):,} trades, those "
        f"that won and lost least, or that many others are part of: "
        f"<code>result.explain(ID)</code> or <code>python -m backtest explain DIR ID</code> "
        "tells them. "
        if left_out
        else ""
    )
    return _section(
        "trades",
        "Trades",
        f"<p>Round trips, matched oldest first. A click on one shows its story, from the market "
        f"event to the last transaction. {told}Numbers have ten digits here; "
        "<code>trades.csv</code> has all.</p>",
        _tools(content.pairs),
        '<div class="scroll"><table id="trade-table"><thead></thead><tbody></tbody></table></div>',
        '<div class="beside"><div><h3>Worst while it was open (MAE) against PnL</h3>',
        _picture("mae", "MAE against PnL", 280),
        "</div><div><h3>Best while it was open (MFE) against PnL</h3>",
        _picture("mfe", "MFE against PnL", 280),
        "</div><div><h3>How long trades were held</h3>",
        _picture("holding", "holding times", 280),
        "</div><div><h3>PnL of trades</h3>",
        _picture("pnl", "distribution of PnL", 280),
        "</div></div>",
    )


def _tools(pairs: Sequence[str]) -> str:
    chosen = "".join(
        f'<option value="{at}">{escape(code)}</option>' for at, code in enumerate(pairs)
    )
    return (
        '<div class="tools" id="trade-tools">'
        '<input type="search" placeholder="number, exit, account" aria-label="filter trades">'
        f'<select aria-label="pair"><option value="">all pairs</option>{chosen}</select>'
        '<select aria-label="side"><option value="">long and short</option>'
        '<option value="1">long</option><option value="0">short</option></select>'
        '<select aria-label="outcome"><option value="">won and lost</option>'
        '<option value="won">won</option><option value="lost">lost</option>'
        '<option value="open">open</option></select>'
        '<button type="button" class="back">back</button>'
        '<button type="button" class="next">next</button><span class="count"></span></div>'
    )


def _orders(content: Content) -> str:
    figures = content.figures
    statuses = "".join(
        f"<span>{count:,} {escape(name.lower())}</span>"
        for name, count in figures["orders_by_status"].items()
    )
    return _section(
        "refused",
        "Orders refused, by reason",
        f'<p class="counts"><span>{figures["orders"]:,} orders</span>{statuses}'
        f"<span>{figures['rejections']:,} refused</span></p>",
        sections.refusals_table(refusals_of(content.record)),
    ) + _section(
        "interval",
        "Over the path policies",
        sections.interval_text(content.material.interval, figures),
    )


def _money(content: Content) -> str:
    record, figures = content.record, content.figures
    free = _picture("free", "money free to trade with", 200) if content.headrooms else ""
    return (
        _section("fees", "Fees", sections.fees_tables(figures, fee_receipts(record)))
        + _section(
            "headroom",
            "Margin headroom",
            "<p>What accounts had available beside what orders and positions held in reserve, "
            "after every entry of the ledger. Unrealised PnL is not in it.</p>",
            sections.headroom_table(content.headrooms),
            free,
        )
        + _section(
            "ledger",
            "The ledger",
            "<h3>Where the money went</h3>",
            sections.money_table(record, FLOWS),
            "<h3>Reconciliation</h3>",
            sections.reconciliation(reconciled(record), content.verification),
        )
        + _section("receipt", "Receipt", _receipt(content))
    )


def _receipt(content: Content) -> str:
    receipt = content.record.receipt
    rows = [("seed", str(receipt["seed"])), ("run", receipt["run_id"])]
    rows += [(f"{name}", version) for name, version in receipt["versions"].items()]
    rows += [("configuration", receipt["config_sha256"]), ("journal", receipt["journal_sha256"])]
    rows += [(f"input {code}", digest) for code, digest in receipt["input_sha256"].items()]
    rows += [(f"source {name}", digest) for name, digest in receipt["source_sha256"].items()]
    files = content.record.files
    rows += [(f"file {code}", name) for code, names in files.items() for name in names]
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f"<dl>{lines}</dl>"
