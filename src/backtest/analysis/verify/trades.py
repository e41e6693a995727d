"""The round trips of a run, matched again from its fills and transactions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import evolve

from backtest.analysis.metrics import percent, plain_summary, quotient, trade_figures
from backtest.analysis.statistics.arithmetic import STATISTICS
from backtest.analysis.statistics.trade_statistics import OneTrade
from backtest.analysis.tables.exact import ONE_UNIT, amount, text_of
from backtest.analysis.tables.tables import COLUMNS
from backtest.analysis.tables.times import moment_ns
from backtest.analysis.tables.trade_rows import trade_rows
from backtest.analysis.trades.excursions import Excursions
from backtest.analysis.trades.history import Charge, Execution, History, PairTerms
from backtest.analysis.trades.of_record import CHARGED, openings
from backtest.analysis.trades.rows import matched
from backtest.analysis.trades.trade import Trade
from backtest.analysis.verify.lines import FillLine, Material, derived_id, legs_of
from backtest.analysis.verify.verification import Finding
from backtest.analysis.verify.worth import worth
from backtest.money import plain

__all__ = ["RoundTrips", "figures", "ratio"]

_AT = {name: at for at, name in enumerate(COLUMNS["trades"])}
_SEEN = ("worst_price", "best_price")


class RoundTrips:
    """The trades that fills and transactions give, and what the table says of them."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self.trades: list[Trade] = []
        self.untraded: dict[tuple[str, str], Decimal] = {}

    def look(self, finding: Finding) -> str:
        """The table has these trades and no others, and their gains are what accounts gained.

        How far prices went is taken from the table: what it came to in money must follow.
        """
        self.trades, self.untraded = matched(_history(self._material))
        rows = list(self._material.tables.rows("trades"))
        finding.differ("the number of trades", len(rows), len(self.trades))
        told = [_as_told(trade, row) for trade, row in zip(self.trades, rows, strict=False)]
        _compare(finding, rows, told)
        self._gained(finding, rows)
        return f"{len(rows)} trades"

    def excursions(self, seen: Excursions, finding: Finding) -> str:
        """How far prices went while trades were open is what the data says."""
        rows = list(self._material.tables.rows("trades"))
        _compare(finding, rows, seen.trades())
        return f"of {len(rows)} trades"

    def _gained(self, finding: Finding, rows: list[tuple[str, ...]]) -> None:
        """Where each asset has one pair, which trades it for cash, the sum is the profit."""
        facts, pairs = self._material.facts, self._material.pairs.values()
        cash = facts["cash_asset"]
        bases = [one.base for one in pairs]
        if any(one.quote != cash for one in pairs) or len({*bases}) < len(bases):
            return
        gained = sum(amount(row[_AT["pnl"]]) for row in rows)
        untraded = sum(amount(plain(paid)) for paid in self.untraded.values())
        profit = facts["summary"]["profit"]
        finding.differ("the PnL of all trades", text_of(gained - untraded), profit)


def _as_told(trade: Trade, row: tuple[str, ...]) -> Trade:
    """``trade`` with the extremes that the table tells."""
    worst, best = (row[_AT[name]] for name in _SEEN)
    return evolve(
        trade,
        worst_price=Decimal(text_of(amount(worst))) if worst else None,
        best_price=Decimal(text_of(amount(best))) if best else None,
        excursions_from=row[_AT["excursions_from"]],
    )


def _compare(finding: Finding, rows: list[tuple[str, ...]], trades: list[Trade]) -> None:
    for found, expected in zip(rows, trade_rows(trades), strict=False):
        for name, text, right in zip(COLUMNS["trades"], found, expected, strict=True):
            if text != right:
                finding.differ(f"{name} of trade {expected[0]}", text, right)


def _history(material: Material) -> History:
    facts = material.facts
    pairs = {
        code: PairTerms(one.base, one.quote, _number(one.quote_step), _number(one.contract_size))
        for code, one in material.pairs.items()
    }
    first, last = (
        {code: Decimal(text) for code, text in facts["prices"][name].items()}
        for name in ("first", "last")
    )
    charges: list[Charge] = []
    numbers: dict[str, int] = {}
    for row in material.tables.rows("transactions"):
        leg = legs_of(row)
        numbers.setdefault(derived_id(material.run_id, f"entry/{leg.entry}"), int(leg.entry))
        order, what = material.order_by_id.get(leg.order), CHARGED.get(leg.kind)
        if order is not None and what is not None and leg.account in material.agents:
            change = leg.available + leg.unavailable
            paid = _number(change if what == "insured" else -change)
            charges.append(
                Charge(leg.entry_id, leg.account, order.pair, order.id, order.root, what, paid)
            )
    return History(
        executions=[_execution(material, fill) for fill in material.fills],
        charges=charges,
        numbers=numbers,
        pairs=pairs,
        marks=last,
        opening=list(openings(facts["config"]["cash"], pairs, first, facts["cash_asset"])),
        netting=material.netting,
        chains={order.branch: order.root for order in material.orders},
        start_ns=moment_ns(facts["summary"]["start"]),
        end_ns=moment_ns(facts["summary"]["end"]),
    )


def _execution(material: Material, fill: FillLine) -> Execution:
    cost = None
    if fill.order_kind == "trading" and fill.kind != "entry":
        cost = _number(material.positions.closes[fill.entry_id, fill.order].cost)
    when = moment_ns(fill.executed_at or fill.time)
    return Execution(
        fill.entry_id,
        fill.order,
        fill.root,
        fill.branch,
        fill.closing,
        fill.account,
        fill.strategy,
        fill.pair,
        fill.order_kind,
        fill.kind,
        fill.direction == "LONG",
        _number(fill.price),
        _number(fill.volume),
        _number(fill.notional),
        _number(fill.fee),
        _number(fill.pnl) if fill.pnl_text else None,
        cost,
        when,
        when,
        when if fill.executed_at else moment_ns(fill.bar_open),
    )


def _number(units: int) -> Decimal:
    return Decimal(text_of(units))


# -- figures ---------------------------------------------------------------------------------------


def figures(material: Material) -> dict[str, Any]:
    """The figures of the trades that are over, as the summary has them, from their table."""
    last = {code: amount(text) for code, text in material.facts["prices"]["last"].items()}
    won = lost = wins = losses = 0
    known: list[OneTrade] = []
    for row in material.tables.rows("trades"):
        if row[_AT["is_open"]] == "true":
            continue
        asset, pnl = row[_AT["asset_code"]], amount(row[_AT["pnl"]])
        value = worth(material, {asset: pnl}, last)
        known.append(_one(row, value))
        if value > 0:
            wins, won = wins + 1, won + value
        elif value < 0:
            losses, lost = losses + 1, lost - value
    told = trade_figures(known)
    return {
        "trades": len(known),
        "wins": wins,
        "losses": losses,
        "win_rate_percent": ratio(wins, len(known), of_hundred=True),
        "profit_factor": ratio(won, lost),
        "trade_pnl": text_of(won - lost),
        "trade_statistics": plain_summary(told["trade_statistics"]),
    }


def _one(row: tuple[str, ...], value: int) -> OneTrade:
    """A trade from its row, having brought ``value`` in the cash asset."""
    percent, seconds = row[_AT["return_percent"]], row[_AT["duration_seconds"]]
    return OneTrade(
        _number(value),
        STATISTICS.scaleb(Decimal(percent), Decimal(-2)) if percent else None,
        amount(seconds) * 10**9 // ONE_UNIT,
    )


def ratio(part: int, whole: int, *, of_hundred: bool = False) -> str | None:
    """A share as the summary spells it; None of nothing."""
    if not whole:
        return None
    share = quotient(Decimal(text_of(part)), Decimal(text_of(whole)))
    share = percent(share) if of_hundred else share
    return None if share is None else plain(share)
