"""What ``run.json`` says, compared with what the tables give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from backtest.analysis.metrics import held, plain_summary, quotient
from backtest.analysis.statistics.figures import daily_of, days_of, figures_of
from backtest.analysis.tables.exact import amount, exact_product, text_of
from backtest.analysis.tables.times import moment_ns
from backtest.analysis.verify.journal import HOUSE, Journal
from backtest.analysis.verify.lines import Material, derived_id
from backtest.analysis.verify.trades import figures as figures_of_trades
from backtest.analysis.verify.verification import Finding
from backtest.analysis.verify.worth import reachable, worth
from backtest.money import mul, plain
from backtest.receipt import config_sha256, run_id_of
from backtest.times import DAY

__all__ = ["configuration", "journal_hash", "money", "summary"]

_OTHERS = frozenset(
    {
        "start", "end", "bars", "max_drawdown", "max_drawdown_percent", "sharpe", "sharpe_basis",
        "statistics", "exposure_percent",
    }
)  # fmt: skip
"""Figures of the summary that are looked at elsewhere, or hang on the data."""
_FACTS = frozenset(
    {"receipt", "config", "files", "cash_asset", "accounts", "prices", "balances", "summary"}
)
_BESIDE = frozenset({"kind", "version", "format", "tables", "sha256", "paths", "run_file"})
"""What a file has besides, a run whose paths were asked for, and one of the command line."""
_RECEIPT = frozenset(
    {
        "run_id", "seed", "versions", "config_sha256", "input_sha256", "source_sha256", "notices",
        "journal_sha256",
    }
)  # fmt: skip
_STAGES = {
    "FEE_CREATE": "create",
    "FEE_FILL": "fill",
    "FEE_CLOSE": "close",
    "FEE_CANCEL": "cancel",
    "FEE_OVERNIGHT": "overnight",
}


def configuration(material: Material, finding: Finding) -> str:
    """The configuration is the one the receipt was given for."""
    facts = material.facts
    receipt, config = facts["receipt"], facts["config"]
    finding.differ("the receipt's config_sha256", receipt["config_sha256"], config_sha256(config))
    finding.differ("the receipt's seed", receipt["seed"], config["seed"])
    inputs = {code: one["sha256"] for code, one in config["data"].items()}
    finding.differ("the receipt's input_sha256", receipt["input_sha256"], inputs)
    finding.differ("the receipt's source_sha256", receipt["source_sha256"], config["sources"])
    finding.differ("the receipt's run_id", receipt["run_id"], str(run_id_of(config)))
    if "market" not in config:  # where agents trade with each other there are no data
        finding.differ("the pairs of the data", sorted(inputs), sorted(config["pairs"]))
    _names(material, finding)
    return f"configuration {receipt['config_sha256'][:16]}, seed {receipt['seed']}"


def _names(material: Material, finding: Finding) -> None:
    """Nothing is missing and nothing is there besides; accounts have the ids of this run."""
    facts, config = material.facts, material.facts["config"]
    for what, found, wanted in (
        ("run.json", facts, _FACTS),
        ("the receipt", facts["receipt"], _RECEIPT),
        ("prices", facts["prices"], {"first", "last"}),
    ):
        missing = sorted(({*found} ^ wanted) - _BESIDE)
        if missing:
            finding.wrong(f"{missing[0]} is in {what} and must not be, or the other way round")
    step = 2 if "market" in config else 1  # agents of a market are numbered with their accounts
    number = 2
    for name, told in facts["accounts"].items():
        account = {"id": derived_id(material.run_id, f"party/{number}"), "house": name in HOUSE}
        finding.differ(f"the account {name}", told, account)
        number += 1 if name in HOUSE else step
    finding.differ("the accounts", sorted(facts["accounts"]), sorted({*config["cash"], *HOUSE}))
    for account, assets in facts["balances"].items():
        for asset, both in assets.items():
            finding.differ(
                f"what is told of {account}'s {asset}", sorted(both), ["available", "unavailable"]
            )


def journal_hash(material: Material, journal: Journal, finding: Finding) -> str:
    """The hash of the journal is the receipt's."""
    finding.differ(
        "the journal's SHA-256 in the receipt",
        material.facts["receipt"]["journal_sha256"],
        journal.sha256,
    )
    return f"SHA-256 {journal.sha256}"


def money(material: Material, journal: Journal, finding: Finding) -> str:
    """What all accounts but the world's hold is what came in, and that is what was paid in."""
    config = material.facts["config"]
    paid: dict[str, int] = {}
    for owned in (*config["cash"].values(), config["insurance_fund"]):
        for asset, text in owned.items():
            paid[asset] = paid.get(asset, 0) + amount(plain(Decimal(text)))
    held: dict[str, int] = {}
    for (account, asset), (available, unavailable) in journal.held.items():
        if account != "world":
            held[asset] = held.get(asset, 0) + available + unavailable
    for asset in sorted({*paid, *held, *journal.came_in}):
        came = journal.came_in.get(asset, 0)
        finding.differ(f"what came in of {asset}", text_of(came), text_of(paid.get(asset, 0)))
        finding.differ(
            f"what all accounts hold of {asset}", text_of(held.get(asset, 0)), text_of(came)
        )
    there = [f"{text_of(units)} {asset}" for asset, units in sorted(paid.items()) if units]
    return f"{', '.join(there) or 'nothing'} came in and is there"


# -- summary ---------------------------------------------------------------------------------------


def summary(material: Material, journal: Journal, finding: Finding) -> str:
    """The figures that follow from the tables are those of the summary."""
    told = material.facts["summary"]
    rejected = [event for event in material.events if event.kind == "rejected"]
    figures: dict[str, Any] = {
        "orders": len(material.orders),
        "orders_accepted": sum(event.kind == "accepted" for event in material.events),
        "orders_by_status": dict(Counter(order.status for order in material.orders)),
        "fills": len(material.fills),
        "ambiguous_fills": sum(fill.ambiguous == "true" for fill in material.fills),
        "rejections": len(rejected),
        "rejections_by_reason": dict(Counter(event.reason for event in rejected)),
        "liquidations": sum(event.kind == "liquidated" for event in material.events),
        "transactions": journal.rows,
        **_costs(material, journal),
        **_equity(material, journal),
        **_return(material, journal),
        "buy_and_hold": _held(material, journal),
        **figures_of_trades(material),
    }
    for name in sorted(({*figures} | _OTHERS) ^ {*told}):
        finding.wrong(f"{name} is in the summary and must not be, or the other way round")
    for name, value in figures.items():
        finding.differ(f"{name} in the summary", told[name], value)
    _curve(material, told, finding)
    return (
        f"final equity {told['final_equity']} {told['cash_asset']}, and {len(figures)} more figures"
    )


def _fees(journal: Journal, material: Material) -> dict[str, dict[str, str]]:
    sums: dict[str, dict[str, int]] = {stage: {} for stage in _STAGES.values()}
    for by_kind in journal.by_order.values():
        for (kind, asset), (total, _) in by_kind.items():
            if kind in _STAGES:
                stage = sums[_STAGES[kind]]
                stage[asset] = stage.get(asset, 0) - total
    return {
        stage: {asset: text_of(units) for asset, units in assets.items() if units}
        for stage, assets in sums.items()
    }


def _costs(material: Material, journal: Journal) -> dict[str, Any]:
    """Fees by stage and in all, and what nobody paid for."""
    fees = _fees(journal, material)
    total: dict[str, int] = {}
    for assets in fees.values():
        for asset, text in assets.items():
            total[asset] = total.get(asset, 0) + amount(text)
    insured = {
        asset: both[0] for (account, asset), both in journal.held.items() if account == "insurance"
    }
    return {
        "fees": fees,
        "fees_total": {asset: text_of(units) for asset, units in total.items()},
        "uncovered_loss": {asset: text_of(-units) for asset, units in insured.items() if units < 0},
    }


def _return(material: Material, journal: Journal) -> dict[str, Any]:
    """The profit as a share, how long it took, and what of it has no price."""
    told, equity = material.facts["summary"], _equity(material, journal)
    start, profit = Decimal(equity["start_equity"]), Decimal(equity["profit"])
    gained = quotient(profit, start) if start > 0 else None
    length = moment_ns(told["end"]) - moment_ns(told["start"])
    days = quotient(Decimal(length), Decimal(DAY))
    owned: dict[str, int] = {}
    for (account, asset), both in journal.held.items():
        if account in material.agents:
            owned[asset] = owned.get(asset, 0) + sum(both)
    last = {code: amount(text) for code, text in material.facts["prices"]["last"].items()}
    priced = reachable(material, last)
    return {
        "cash_asset": material.facts["cash_asset"],
        "days": None if days is None else plain(days),
        "return": None if gained is None else plain(gained),
        "return_percent": None if gained is None else plain(mul(gained, Decimal(100))),
        "unpriced_assets": [
            asset for asset, units in owned.items() if units and asset not in priced
        ],
    }


def _equity(material: Material, journal: Journal) -> dict[str, str]:
    """Start, final equity and profit, from the opening, the folded balances and the positions."""
    facts = material.facts
    last = {code: amount(text) for code, text in facts["prices"]["last"].items()}
    first = {code: amount(text) for code, text in facts["prices"]["first"].items()}
    opened: dict[str, int] = {}
    left: dict[str, int] = {}
    for owned in facts["config"]["cash"].values():
        for asset, text in owned.items():
            opened[asset] = opened.get(asset, 0) + amount(text)
    for (account, asset), (available, unavailable) in journal.held.items():
        if account in material.agents:
            left[asset] = left.get(asset, 0) + available + unavailable
    for code, volume, cost in material.positions.open():
        if code in last:
            pair = material.pairs[code]
            worth_now = exact_product(exact_product(last[code], volume), pair.contract_size)
            left[pair.quote] = left.get(pair.quote, 0) + worth_now - cost
    start, final = worth(material, opened, first), worth(material, left, last)
    return {
        "start_equity": text_of(start),
        "final_equity": text_of(final),
        "profit": text_of(final - start),
    }


def _held(material: Material, journal: Journal) -> dict[str, Any]:
    """What buying and holding came to, from the opening and the first and last prices."""
    first, last = (
        {code: Decimal(text) for code, text in material.facts["prices"][name].items()}
        for name in ("first", "last")
    )
    return plain_summary(held(Decimal(_equity(material, journal)["start_equity"]), first, last))


def _curve(material: Material, told: Mapping[str, Any], finding: Finding) -> None:
    """The table of equity ends with the final equity, and gives the statistics again."""
    samples: list[tuple[int, Decimal]] = []
    peak, fall = 0, 0
    for row in material.tables.rows("equity"):
        units = amount(row[1])
        if samples and moment_ns(row[0]) <= samples[-1][0]:
            finding.wrong(f"the table of equity is not in the order of time at {row[0]}")
        samples.append((moment_ns(row[0]), Decimal(row[1])))
        peak = max(peak, units)
        fall = max(fall, peak - units)
    if samples:
        finding.differ("the last row of equity", plain(samples[-1][1]), told["final_equity"])
    if amount(told["max_drawdown"]) < fall:
        finding.wrong(
            f"the maximal drawdown is {told['max_drawdown']}, but equity fell by {text_of(fall)}"
        )
    _statistics(material, samples, told, finding)


def _statistics(
    material: Material,
    samples: list[tuple[int, Decimal]],
    told: Mapping[str, Any],
    finding: Finding,
) -> None:
    """All statistics again, from the table of equity, over the days of the pairs' calendar."""
    first, last = moment_ns(told["start"]), moment_ns(told["end"])
    rules = material.facts["config"]["rules"].values()
    calendar = days_of((one["calendar"] for one in rules), first, last)
    daily = daily_of(samples, Decimal(told["start_equity"]), first, last, calendar)
    statistics = plain_summary(figures_of(daily))
    for name in sorted({*statistics} ^ {*told["statistics"]}):
        finding.wrong(f"{name} is in the statistics and must not be, or the other way round")
    for name, value in statistics.items():
        finding.differ(f"{name} in the statistics", told["statistics"].get(name), value)
    finding.differ("the Sharpe ratio", told["sharpe"], statistics["sharpe"])
    finding.differ("the basis of the Sharpe ratio", told["sharpe_basis"], daily.annual.basis)
