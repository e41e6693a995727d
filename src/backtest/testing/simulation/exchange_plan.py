"""A market of agents drawn from one seed: who trades what with whom, on which terms."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import attrs

from backtest.actors.exchange.market import MarketSpec
from backtest.models import Account, TradingPair, TradingRules
from backtest.models.account import MarginMode
from backtest.money import to_step

from .chance import draw_weighted, stream
from .plan import AgentPlan, Plan
from .world import (
    CASH,
    MINUTE,
    SECOND,
    draw_agents,
    draw_bounds,
    draw_fees,
    draw_latencies,
    draw_margin,
    draw_pair,
)

__all__ = ["MAKER", "draw_exchange", "is_exchange"]

D = Decimal
MAKER = "maker"
"""The agent that always quotes, and its account."""
EVERY = 5
"""Of so many seeds one is a market of agents."""
_CODES = (
    ("BTCUSD", "BTC", "USD"),
    ("ETHUSD", "ETH", "USD"),
    ("ETHBTC", "ETH", "BTC"),
    ("SOLUSD", "SOL", "USD"),
)


def is_exchange(seed: int, without: frozenset[str]) -> bool:
    """Whether the world of ``seed`` is a market of agents: every fifth is.

    ``without`` settles it: ``exchange`` leaves those markets out, ``history`` all others.
    """
    if "exchange" in without or "history" in without:
        return "exchange" not in without
    return seed % EVERY == EVERY - 1


def draw_exchange(seed: int, without: frozenset[str]) -> Plan:
    """The market of ``seed``; ``without`` as in `draw_plan`."""
    chance = stream(seed, "exchange/pairs")
    count = draw_weighted(chance, [(1, 5), (2, 3), (3, 1)])
    listed = list(_CODES[:1]) + chance.sample(_CODES[1:], count - 1)
    precisions = {
        code: draw_weighted(chance, [(2, 4), (8, 3), (0, 1), (4, 1), (12, 1)])
        for code in ("USD", "BTC", "ETH", "SOL")
    }
    step = chance.choice([SECOND, 10 * SECOND, MINUTE])
    specs: dict[str, MarketSpec] = {}
    for code, base, quote in listed:
        spec = _draw_spec(stream(seed, f"exchange/{code}"), code, base, quote, precisions, step)
        if f"pair:{code}" not in without:
            rules = draw_bounds(stream(seed, f"exchange/bounds/{code}"), spec.rules)
            specs[code] = attrs.evolve(spec, rules=rules)
    pairs = {code: spec.pair for code, spec in specs.items()}
    accounts, opening = _draw_money(seed, specs)
    if any(one.margin_mode == "cross" for one in accounts.values()):
        specs = {code: _strict(seed, spec) for code, spec in specs.items()}
    chance = stream(seed, "insurance")
    insurance = ((CASH, D(chance.randrange(1, 10**6))),) if chance.random() < 0.3 else ()
    agents = _draw_crowd(seed, [name for name in accounts if name != MAKER], step, without)
    return Plan(
        seed=seed,
        without=without,
        pairs=pairs,
        rules={code: spec.rules for code, spec in specs.items()},
        markets={},
        accounts=accounts,
        opening=opening,
        insurance=insurance,
        agents=agents,
        latencies=() if "latency" in without else draw_latencies(seed, step),
        step_ns=step,
        specs=specs,
    )


def _draw_spec(
    chance: Random, code: str, base: str, quote: str, precisions: Mapping[str, int], step: int
) -> MarketSpec:
    pair = draw_pair(chance, code, base, quote, precisions)
    ticks = chance.choice([50, 500, 2_000, 10_000, 10_000, 10_000, 1_000_000])
    rules = _draw_rules(chance, pair)
    if rules.spot_allowed:
        pair = attrs.evolve(pair, contract_size=D(1))
    return MarketSpec(
        pair=pair,
        rules=rules,
        reference_price=pair.price_increment * ticks,
        self_trade=chance.choice(["cancel_newest", "cancel_oldest", "cancel_both"]),
        band=D(chance.choice([1, 3, 10])) / 100 if chance.random() < 0.3 else None,
        halt_ns=step * chance.choice([1, 5, 20]),
        bar_ns=step * chance.choice([1, 10]),
    )


def _strict(seed: int, spec: MarketSpec) -> MarketSpec:
    """As a rule with so much to maintain that a whole account is called, now and then."""
    chance = stream(seed, f"exchange/strict/{spec.pair.code}")
    if chance.random() < 0.2 or spec.rules.spot_allowed:
        return spec
    rate = D(chance.choice([20, 50, 80])) / 100
    rules = attrs.evolve(spec.rules, maintenance_rate=rate, maintenance_tiers=None)
    return attrs.evolve(spec, rules=rules)


def _draw_rules(chance: Random, pair: TradingPair) -> TradingRules:
    spot = chance.random() < 0.35
    drawn: dict[str, Any] = {
        "fees": draw_fees(chance, pair),
        "leverage_kind": chance.choice(["MULTIPLIER"] * 8 + ["NONE"]),
        "max_leverage": chance.choice([None, D(3), D(20), D(100)]),
        "maintenance_rate": D(chance.choice([0, 5, 20, 100])) / 1000,
        "market_buffer": D(chance.choice([0, 1, 5, 5, 30])) / 100,
        "rollover_ns": chance.randrange(0, 24 * 60) * MINUTE,
        "spot_allowed": spot,
        "trading_allowed": not spot,
    }
    return draw_margin(chance, TradingRules.from_mapping(drawn))


def _draw_money(
    seed: int, specs: Mapping[str, MarketSpec]
) -> tuple[dict[str, Account], tuple[tuple[str, str, Decimal], ...]]:
    """Accounts of the crowd, and the maker's, whose money does not run out."""
    chance = stream(seed, "exchange/money")
    steps = {
        one.code: one.step for spec in specs.values() for one in (spec.pair.base, spec.pair.quote)
    }
    accounts: dict[str, Account] = {}
    opening: list[tuple[str, str, Decimal]] = []
    names = [f"account-{number}" for number in range(chance.choice([2, 3, 3, 5, 8]))]
    mixed = stream(seed, "exchange/cross").random() < 0.5
    for place, name in enumerate([*names, MAKER]):
        nets = name == MAKER or chance.random() < 0.8
        crosses = mixed and name != MAKER and stream(seed, f"exchange/{name}").random() < 0.6
        mode: MarginMode = "cross" if crosses else "isolated"
        accounts[name] = Account(UUID(int=100 + place), name, CASH, netting=nets, margin_mode=mode)
        size = draw_weighted(chance, [("enough", 6), ("tight", 4), ("huge", 1)])
        if name == MAKER:
            size = "endless"
        worth = {
            "tight": D(chance.randrange(100, 3_000)),
            "enough": D(chance.randrange(10_000, 1_000_000)),
            "huge": D(chance.randrange(1, 9)) * 10**10,
            "endless": D(10) ** 16,
        }[size]
        for code in sorted(steps):
            if code != CASH and name != MAKER and chance.random() < 0.3:
                continue
            opening.append((name, code, max(steps[code], to_step(worth, steps[code]))))
    return accounts, tuple(opening)


def _draw_crowd(
    seed: int, accounts: list[str], step: int, without: frozenset[str]
) -> tuple[AgentPlan, ...]:
    agents = []
    chance = stream(seed, "exchange/agents")
    drawn = draw_agents(seed, accounts, step, chance.choice([2, 3, 5, 8]))
    for one in drawn:
        if f"agent:{one.name}" not in without:
            agents.append(attrs.evolve(one, latency=None) if "latency" in without else one)
    maker = AgentPlan(
        name=MAKER,
        style="maker",
        accounts=(MAKER,),
        latency=None,
        inbox=100_000,
        eager=10,
        wary=True,
    )
    return (*agents, maker)
