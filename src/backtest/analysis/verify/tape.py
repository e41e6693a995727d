"""The tape of a market against the fills: each trade is an entry with both sides' fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from backtest.analysis.tables.exact import amount, text_of
from backtest.analysis.tables.tables import TAPE_COLUMNS
from backtest.analysis.tables.times import as_moment, moment_ns
from backtest.analysis.verify.lines import FillLine, Material, derived_id
from backtest.analysis.verify.verification import Finding

__all__ = ["tape"]


def tape(material: Material, finding: Finding) -> str:
    """Every trade is on the tape once, in order, with the fills' time, pair, price and volume, both
    accounts with their types and orders, and who took."""
    traded = (list(own) for _, own in groupby(material.fills, key=attrgetter("entry_id")))
    both = (own for own in traded if len({fill.direction for fill in own}) == 2)
    types = {
        account: strategy["population"]
        for strategy in material.facts["config"]["strategies"].values()
        for account in strategy["accounts"]
    }
    number = 0
    last: dict[str, str] = {}
    for number, row in enumerate(material.tables.rows("tape"), 1):
        line = dict(zip(TAPE_COLUMNS, row, strict=True))
        _trade(material, line, next(both, []), types, f"trade {number} of the tape", finding)
        last[line["pair"]] = line["price"]
    missing = sum(1 for _ in both)
    if missing:
        finding.wrong(f"{missing} trades are not on the tape")
    for pair, price in last.items():
        finding.differ(
            f"the last price of {pair}", material.facts["prices"]["last"].get(pair), price
        )
    return f"{number} trades"


def _trade(
    material: Material,
    line: Mapping[str, str],
    fills: Sequence[FillLine],
    types: Mapping[str, str],
    what: str,
    finding: Finding,
) -> None:
    if not fills:
        finding.wrong(f"{what} has no fills")
        return
    first = fills[0]
    entry = derived_id(material.run_id, f"entry/{line['entry']}")
    sides = {
        side: [fill for fill in fills if fill.direction == direction]
        for side, direction in (("buyer", "LONG"), ("seller", "SHORT"))
    }
    for name, found, expected in (
        ("entry", entry, first.entry_id),
        ("time", line["time"], first.time),
        ("time_ns", line["time_ns"], str(moment_ns(first.time))),
        ("pair", line["pair"], first.pair),
        ("price", line["price"], text_of(first.price)),
        ("volume", line["volume"], text_of(sum(fill.volume for fill in sides["buyer"]))),
    ):
        finding.differ(f"the {name} of {what}", found, expected)
    amount(line["volume"])
    makers = {side: own[0].maker for side, own in sides.items()}
    aggressor = {("false", "true"): "buy", ("true", "false"): "sell", ("true", "true"): ""}.get(
        (makers["buyer"], makers["seller"])
    )
    finding.differ(f"the aggressor of {what}", line["aggressor"], aggressor)
    for side, own in sides.items():
        if len({fill.maker for fill in own}) != 1:
            finding.wrong(f"the {side} of {what} is told to have taken and to have made")
        finding.differ(f"the {side} of {what}", line[side], own[0].account)
        finding.differ(
            f"the type of the {side} of {what}", line[f"{side}_type"], types.get(own[0].account, "")
        )
        if line[f"{side}_order"] not in _orders(material, own):
            finding.wrong(f"the {side}'s order of {what} is not the one that filled")


def _orders(material: Material, fills: Sequence[FillLine]) -> set[str]:
    """What filled on one side: the orders that opened something, and those that closed others'
    positions, which the fills name by their branch."""
    opened = {fill.order for fill in fills if fill.kind != "netting"}
    branches = {fill.closing for fill in fills if fill.kind == "netting"}
    if not branches:
        return opened
    time = as_moment(fills[0].time)
    closed = {
        order.id
        for branch in branches
        for order in material.offsets.get(branch, ())
        if order.filled == time and order.fill_price == fills[0].price
    }
    return opened | closed
