"""One page that stands alone: everything people look at of a market of agents (extra ``plot``)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

from backtest.analysis.market.bars import interval_bars
from backtest.analysis.market.by_type import TypeFigures, by_type
from backtest.analysis.market.fact_figures import fact_figures
from backtest.analysis.market.facts_of import facts_of_market
from backtest.analysis.market.figure_style import Figure, interval_for
from backtest.analysis.market.market_figures import depth_figure, price_figure
from backtest.analysis.market.page_text import SCRIPT, STYLE, script_json, table, tiles
from backtest.analysis.market.real_markets import Verdict
from backtest.analysis.market.samples import MarketRecord, PairRecord
from backtest.analysis.market.stylised_facts import StylisedFacts
from backtest.analysis.market.type_figures import result_figure, series_figure
from backtest.analysis.market.type_series import type_series
from backtest.analysis.text import grouped, signed
from backtest.errors import ConfigError, MissingExtra
from backtest.money import ZERO, add, mul, plain, round_half_even
from backtest.storage import check_file, make_folders, whole_file
from backtest.times import DAY, SECOND, format_ns

__all__ = [
    "MARK",
    "TAPE_LIMIT",
    "check_page",
    "market_page",
    "plotly_js",
    "write_page",
    "write_text",
]

TAPE_LIMIT = 50_000
"""Trades of a pair that the page's tape holds; the page says so when there were more."""
MARK = '<meta name="generator" content="backtest">'
"""By which a page of ours is known again."""
_CENT = Decimal("0.01")
_TAGS = {
    Verdict.AS_REAL: "good",
    Verdict.WEAKER: "part",
    Verdict.STRONGER: "part",
    Verdict.UNCLEAR: "part",
    Verdict.NOT_SEEN: "bad",
    Verdict.NOT_MEASURED: "none",
}


def plotly_js(what: str = "the page of a market") -> str:
    """The script plotly.js, from the package plotly. Raises `MissingExtra` without it, which says
    ``what`` needs it."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise MissingExtra("plotly", "plot", what) from None
    return str(get_plotlyjs())


def write_page(
    market: MarketRecord,
    path: str | os.PathLike[str],
    facts: Mapping[str, StylisedFacts] | None = None,
    *,
    force: bool = False,
) -> Path:
    """Write the page of a market to ``path``; its path.

    Folders on the way are made. The file appears whole or not at all, needs nothing beside it, and
    is the same for the same market and plotly. ``facts`` by pair, where they have been measured
    before. Raises `MissingExtra` without plotly and `ConfigError` when it cannot be written, or
    would replace what is no page of ours without ``force``.
    """
    target = check_page(path, force=force)
    return write_text(target, market_page(market, facts))


def write_text(target: Path, text: str) -> Path:
    """Write a page to ``target``, whole or not at all, with the folders on the way; its path.

    Raises `ConfigError` when it cannot be written.
    """
    try:
        make_folders(target.parent.resolve())
        with whole_file(target) as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"cannot write to {target}: {error.strerror or error}") from error
    return target


def check_page(path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Where to write, as `write_page` would take it, or `ConfigError`: to ask beforehand."""
    target = Path(path)
    try:
        if target.is_file() and not force:
            with target.open("rb") as file:
                if MARK.encode() not in file.read(1_000):
                    raise ConfigError(
                        f"{target} is there and is no page of ours: give another name, or --force "
                        "(force=True) to replace it"
                    )
        home = target.parent
        while not home.exists():
            home = home.parent
        check_file(home / target.name)
    except OSError as error:
        raise ConfigError(f"cannot write to {target}: {error.strerror or error}") from error
    return target


def market_page(market: MarketRecord, facts: Mapping[str, StylisedFacts] | None = None) -> str:
    """The page as text; see `write_page`."""
    library = plotly_js()
    figures: dict[str, Figure] = {}
    tapes: dict[str, Any] = {}
    body = [_head(market)]
    named = {f"p{place}": record for place, record in enumerate(market.pairs.values(), 1)}
    for name, record in named.items():
        body += _over_time(market, record, name, figures)
    body += _types(market, by_type(market), figures)
    for name, record in named.items():
        measured = (facts or {}).get(record.pair) or facts_of_market(
            record, market.start_ns, market.end_ns, sessions=market.sessions
        )
        body += _facts(record, name, measured, figures)
    for name, record in named.items():
        body += _tape(market, record, name, tapes)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        MARK,
        f"<title>{escape(market.title)}</title>",
        f"<style>{STYLE}</style>",
        f"<script>{library}</script>",
        "</head><body><main>",
        *body,
        "</main>",
        script_json("figures", figures),
        *(script_json(name, tape) for name, tape in tapes.items()),
        f"<script>{SCRIPT}</script>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


# -- sections --------------------------------------------------------------------------------------


def _head(market: MarketRecord) -> str:
    trades = sum(len(record.trades) for record in market.pairs.values())
    turnover = ZERO
    for record in market.pairs.values():
        for trade in record.trades:
            turnover = add(turnover, mul(trade.notional, record.contract_size))
    boxes = [
        ("agents", f"{len(market.types):,}"),
        ("trades", f"{trades:,}"),
        ("turnover" + _unit(market.cash_asset), _short(turnover)),
    ]
    taken = {
        (record.pair, one.position)
        for record in market.pairs.values()
        for one in record.liquidations
    }
    if taken:
        boxes.append(("positions liquidated", f"{len(taken):,}"))
    for record in market.pairs.values():
        if record.trades:
            prices = [trade.price for trade in record.trades]
            name = f" of {record.pair}" if len(market.pairs) > 1 else ""
            low, high = _price(min(prices), record), _price(max(prices), record)
            boxes.append((f"last price{name}", _price(prices[-1], record)))
            boxes.append((f"lowest to highest{name}", f"{low} – {high}"))
    notes = "".join(
        f"<div><b>{escape(name)}</b> {escape(value)}</div>" for name, value in market.notes.items()
    )
    return (
        f"<h1>{escape(market.title)}</h1><p>{escape(_period(market))}</p>{tiles(boxes)}"
        f'<div class="notes">{notes}</div>'
    )


def _over_time(
    market: MarketRecord, record: PairRecord, name: str, figures: dict[str, Figure]
) -> list[str]:
    interval = interval_for(market.end_ns - market.start_ns)
    bars = interval_bars(record.trades, market.start_ns, market.end_ns, interval, record.quotes)
    figures[f"{name}-price"] = price_figure(market, record, bars)
    band = f"The band is from low to high of each {interval / SECOND:g} s."
    parts = [
        f"<h2>{escape(record.pair)}: price, spread, volume</h2>",
        f"<p>{band} Drag to zoom: all pictures along time follow; double-click to go back.</p>",
        f'<div id="{name}-price"></div>',
        f"<h2>{escape(record.pair)}: depth of the book</h2>",
    ]
    depth = depth_figure(market, record)
    if depth is None:
        parts.append("<p>The book was not recorded.</p>")
    else:
        figures[f"{name}-depth"] = depth
        parts += [
            "<p>Volume that rested at each price: blue bids, orange offers, darker for more.</p>",
            f'<div id="{name}-depth"></div>',
        ]
    times = [market.start_ns, *(bar.close_ns for bar in bars)]
    series = type_series(record, market.types, times)
    figures[f"{name}-series"] = series_figure(market, record, series)
    parts += [
        f"<h2>{escape(record.pair)}: PnL and inventory by type of agent</h2>",
        (
            "<p>All agents of a type together: what they won by trading, at the last trade's "
            "price and after fees, and what they bought less what they sold. "
            "Click a name to hide it; double-click to see it alone.</p>"
        ),
        f'<div id="{name}-series"></div>',
    ]
    return parts


def _types(
    market: MarketRecord, types: Mapping[str, TypeFigures], figures: dict[str, Figure]
) -> list[str]:
    head = (
        "type", "agents", "PnL", "mean", "median", "winners", "fees", "trades", "as maker",
        "turnover", "liquidated",
    )  # fmt: skip
    rows = [
        (
            one.type, f"{one.accounts:,}", _money(one.pnl), _money(one.pnl_mean),
            _money(one.pnl_median), f"{one.winners:,}", _money(one.fees, sign=False),
            f"{one.trades:,}", _percent(one.maker_share), _short(one.turnover),
            f"{one.liquidations:,}",
        )
        for one in types.values()
    ]  # fmt: skip
    parts = [
        "<h2>What became of each type of agent</h2>",
        (
            f"<p>PnL of trading, from the ledger, after fees{_in(market.cash_asset)}; what came of "
            "what they held in the beginning is left out. "
            "A trade among agents of one type counts twice.</p>"
        ),
        table(head, rows, "tnnnnnnnnnn"),
    ]
    figure = result_figure(market, types)
    if figure is not None:
        figures["results"] = figure
        parts += [
            "<h3>PnL of single agents: worst, quarter, median, three quarters, best</h3>",
            '<div id="results"></div>',
        ]
    return parts


def _facts(
    record: PairRecord, name: str, facts: StylisedFacts, figures: dict[str, Figure]
) -> list[str]:
    rows = [
        (
            title, measured, real,
            f'<span class="tag {_TAGS[Verdict(verdict)]}">{escape(verdict)}</span>', source,
        )
        for title, measured, real, verdict, source in facts.rows()
    ]  # fmt: skip
    parts = [
        f"<h2>{escape(record.pair)}: stylised facts</h2>",
        (f"<p>{len(facts.returns):,} returns of the {escape(facts.price)} over "
        f"{facts.interval_ns / SECOND:g} s each, {facts.orders:,} incoming orders. ± is half of "
        "the interval that holds 19 of 20 values where there is no such thing.</p>"),
        table(
            ("stylised fact", "measured", "real markets", "verdict", "source"),
            rows, "tnntw", raw=(3,),
        ),
    ]  # fmt: skip
    boxes = []
    for kind, title, figure in fact_figures(facts):
        figures[f"{name}-{kind}"] = figure
        boxes.append(f'<div><h3>{escape(title)}</h3><div id="{name}-{kind}"></div></div>')
    if boxes:
        parts.append(f'<div class="pair">{"".join(boxes)}</div>')
    return parts


def _tape(market: MarketRecord, record: PairRecord, name: str, tapes: dict[str, Any]) -> list[str]:
    accounts: dict[str, int] = {}
    kinds = {kind: place for place, kind in enumerate(dict.fromkeys(market.types.values()))}
    skipped = 11 if market.end_ns - market.start_ns <= DAY else 0
    rows = [
        (
            format_ns(trade.time_ns).removesuffix("+00:00").replace("T", " ")[skipped:],
            _price(trade.price, record),
            plain(trade.volume),
            {"buy": 1, "sell": 2, None: 0}[trade.aggressor],
            accounts.setdefault(trade.buyer, len(accounts)),
            accounts.setdefault(trade.seller, len(accounts)),
        )
        for trade in record.trades[:TAPE_LIMIT]
    ]
    tapes[f"{name}-tape"] = {
        "rows": rows,
        "accounts": list(accounts),
        "types": list(kinds),
        "type_of": [kinds[market.types[account]] for account in accounts],
    }
    told = ""
    if len(record.trades) > TAPE_LIMIT:
        told = f"<p>The first {TAPE_LIMIT:,} of {len(record.trades):,} trades.</p>"
    head = ("time (UTC)", "price", "volume", "taker", "buyer", "type", "seller", "type")
    return [
        f"<h2>{escape(record.pair)}: tape</h2>",
        told,
        (
            f'<div class="tape" data-tape="{name}-tape"><div class="tools">'
            '<input type="search" placeholder="agent or type" aria-label="agent or type">'
            '<select aria-label="taker"><option value="">all</option>'
            '<option value="1">buys</option><option value="2">sells</option>'
            '<option value="0">auctions</option></select>'
            '<button class="back">back</button><button class="next">next</button>'
            f'<span class="count"></span></div>{table(head, (), "tnnttttt")}</div>'
        ),
    ]


# -- words -----------------------------------------------------------------------------------------


def _period(market: MarketRecord) -> str:
    start, end = (
        format_ns(time - time % SECOND).removesuffix("+00:00").replace("T", " ")
        for time in (market.start_ns, market.end_ns)
    )
    if start[:10] == end[:10]:
        return f"{start[:10]}, {start[11:]} to {end[11:]} UTC; {', '.join(market.pairs)}"
    return f"{start} to {end} UTC; {', '.join(market.pairs)}"


def _price(price: Decimal, record: PairRecord) -> str:
    """A price with as many digits as the pair's increment has."""
    tick = record.price_increment
    places = 0 if tick is None else len(plain(tick).partition(".")[2])
    return grouped(price, places)


def _unit(asset: str) -> str:
    return f" ({asset})" if asset else ""


def _in(asset: str) -> str:
    return f", in {escape(asset)}" if asset else ""


def _money(value: Decimal | None, *, sign: bool = True) -> str:
    if value is None:
        return "–"
    cents = round_half_even(value, _CENT)
    return signed(cents) if sign else grouped(cents)


def _percent(share: Decimal | None) -> str:
    if share is None:
        return "–"
    return f"{grouped(round_half_even(mul(share, Decimal(100)), Decimal(1)), 0)} %"


def _short(value: Decimal) -> str:
    """A large sum in millions or billions, or whole."""
    for size, letter in ((10**9, "bn"), (10**6, "m")):
        if value.copy_abs() >= size * 10:
            return f"{float(value) / size:,.1f} {letter}"
    return grouped(round_half_even(value, Decimal(1)), 0)
