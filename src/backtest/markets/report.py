"""A market as text: what was run, what the price did, and what came of each population."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from backtest.analysis.report.refusals import refused_lines
from backtest.analysis.text import grouped, signed
from backtest.money import ONE, ZERO, add, mul, plain, round_half_even
from backtest.times import format_ns

if TYPE_CHECKING:
    from backtest.analysis.market.by_type import TypeFigures
    from backtest.markets.result import MarketResult

__all__ = ["market_report"]


def market_report(result: MarketResult) -> str:
    """Scenario, prices by pair, populations, receipt."""
    start, end = result.run.start_ns or 0, result.run.end_ns or 0
    scenario = result.scenario
    lines = [
        f"{scenario.name}: {len(result.strategies)} agents, seed {scenario.seed}",
        f"  {format_ns(start)} to {format_ns(end)}",
        f"  {result.messages:,} messages delivered",
        "",
    ]
    lines += ["Pairs", *_columns(_PAIRS, _pairs(result), left=1), ""]
    asset = result.cash_asset
    lines += [f"Populations, in {asset}", *_columns(_TYPES, _types(result), left=1), ""]
    fees = [f"{plain(both[0])} {code}" for code, both in _house(result, "fees").items()]
    lines += ["House", f"  fees       {', '.join(fees) or '0'}"]
    fund = [f"{plain(both[0])} {code}" for code, both in _house(result, "insurance").items()]
    if fund:
        lines.append(f"  insurance  {', '.join(fund)}")
    refused = refused_lines(result)
    if refused:
        lines += ["", "Refused, and the first of each reason", *refused]
    if result.notices:
        lines += ["", "Notices", *(f"  {notice}" for notice in result.notices)]
    lines += ["", "Receipt", f"  config     {result.config_sha256}"]
    lines.append(f"  journal    {result.journal_sha256}")
    return "\n".join(lines) + "\n"


_HUNDRED = Decimal(100)
_PAIRS = ("pair", "trades", "volume", "first", "low", "high", "last", "halts")
_TYPES = ("population", "agents", "trades", "maker", "volume", "profit", "winners", "fees", "liq.")


def _pairs(result: MarketResult) -> Iterable[Sequence[str]]:
    for code in result.pairs:
        trades = [one for one in result.trades if one.pair == code]
        prices = [one.price for one in trades]
        volume = ZERO
        for one in trades:
            volume = add(volume, one.volume)
        told = [prices[0], min(prices), max(prices), prices[-1]] if prices else []
        yield (
            code,
            f"{len(trades):,}",
            _amount(volume),
            *([plain(one) for one in told] or ["-"] * 4),
            str(len(result.halts[code])),
        )


def _types(result: MarketResult) -> Iterable[Sequence[str]]:
    for name, figures in result.by_type().items():
        yield _type(name, figures)


def _type(name: str, figures: TypeFigures) -> Sequence[str]:
    share = figures.maker_share
    return (
        name,
        str(figures.accounts),
        f"{figures.trades:,}",
        "-" if share is None else f"{plain(round_half_even(mul(share, _HUNDRED), ONE))} %",
        _amount(figures.volume),
        signed(figures.pnl),
        str(figures.winners),
        grouped(figures.fees),
        str(figures.liquidations),
    )


def _amount(volume: Decimal) -> str:
    return f"{Decimal(plain(volume)):,f}"


def _house(result: MarketResult, name: str) -> dict[str, tuple[Decimal, Decimal]]:
    return dict(result.ledger.balances().get(name, {}))


def _columns(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int) -> list[str]:
    """The rows below their head; the first ``left`` columns are words, the others numbers."""
    table = [head, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(head))]
    return [
        "  "
        + "  ".join(
            one.ljust(width) if at < left else one.rjust(width)
            for at, (one, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
