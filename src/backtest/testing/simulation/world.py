"""A whole system drawn from one seed: pairs, rules, money, agents, latencies, faults."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any

import attrs

from backtest.actors import Latency, UniformLatency
from backtest.actors.kernel.latency import FixedLatency
from backtest.models import Account, Asset, Fee, FeeStage, Funding, TradingPair, TradingRules
from backtest.money import to_step

from .chance import draw_weighted, power, stream
from .plan import AgentPlan, MarketPlan, Plan

__all__ = [
    "draw_agents",
    "draw_bounds",
    "draw_fees",
    "draw_history",
    "draw_latencies",
    "draw_margin",
    "draw_pair",
]

D = Decimal
MS = 1_000_000
SECOND = 1_000 * MS
MINUTE = 60 * SECOND
CASH = "USD"

_CODES = (
    ("BTCUSD", "BTC", "USD"),
    ("ETHUSD", "ETH", "USD"),
    ("ETHBTC", "ETH", "BTC"),
    ("EURUSD", "EUR", "USD"),
    ("XAUEUR", "XAU", "EUR"),
    ("BTCEUR", "BTC", "EUR"),
    ("SOLUSD", "SOL", "USD"),
    ("SOLETH", "SOL", "ETH"),
    ("ADAUSD", "ADA", "USD"),
    ("XRPUSD", "XRP", "USD"),
    ("DOTUSD", "DOT", "USD"),
    ("LTCUSD", "LTC", "USD"),
    ("XLMUSD", "XLM", "USD"),
)
STYLES = ("patient", "wild", "hasty", "bad")


def draw_history(seed: int, without: frozenset[str] = frozenset()) -> Plan:
    """The world of ``seed`` on data. ``without`` leaves things out (``agent:1``, ``pair:ETHBTC``,
    ``latency``, ``fault:drop``): all that is left stays as it is."""
    from uuid import UUID

    chance = stream(seed, "pairs")
    count = draw_weighted(chance, [(1, 4), (2, 4), (3, 3), (4, 2), (12, 1)])
    listed = list(_CODES[:1]) + chance.sample(_CODES[1:], count - 1)
    precisions = {
        code: draw_weighted(chance, [(2, 3), (8, 3), (0, 1), (4, 1), (12, 1), (18, 1)])
        for code in sorted({asset for one in _CODES for asset in one[1:]})
    }
    pairs, markets = {}, {}
    step = chance.choice([SECOND, MINUTE, MINUTE, 15 * MINUTE])
    for code, base, quote in listed:
        own = stream(seed, f"pair/{code}")
        pair = draw_pair(own, code, base, quote, precisions)
        if stream(seed, f"contract/{code}").random() < 0.6:
            pair = attrs.evolve(pair, contract_size=D(1))  # which is what spot orders ask for
        if f"pair:{code}" not in without:
            pairs[code] = pair
            feed = stream(seed, f"feed/{code}").choice(["bars"] * 7 + ["quotes", "trades", "both"])
            if feed == "quotes":
                beside = ["quotes", "quotes and trades", "quotes and bars"]
                feed = stream(seed, f"beside/{code}").choice(beside)
            markets[code] = _draw_market(own, step, feed)
    rules = {code: _draw_rules(stream(seed, f"rules/{code}"), pairs[code]) for code in pairs}
    rules = {code: draw_margin(stream(seed, f"margin/{code}"), rules[code]) for code in pairs}
    rules = {code: draw_bounds(stream(seed, f"bounds/{code}"), rules[code]) for code in pairs}
    account_kinds, opening = _draw_money(seed, pairs, markets)
    accounts = {
        name: Account(UUID(int=100 + place), name, CASH, **kind)
        for place, (name, kind) in enumerate(account_kinds.items())
    }
    if any(one.margin_mode == "cross" for one in accounts.values()):
        markets = {code: _deep(market) for code, market in markets.items()}
        rules = {
            code: attrs.evolve(own, participation=D(1) if own.participation else None)
            for code, own in rules.items()
        }
    chance = stream(seed, "insurance")
    insurance = ((CASH, D(chance.randrange(1, 10**6))),) if chance.random() < 0.3 else ()
    agents = tuple(
        one for one in draw_agents(seed, list(accounts), step) if f"agent:{one.name}" not in without
    )
    if "latency" in without:
        agents = tuple(attrs.evolve(one, latency=None) for one in agents)
    return Plan(
        seed=seed,
        without=without,
        pairs=pairs,
        rules=rules,
        markets=markets,
        accounts=accounts,
        opening=tuple(opening),
        insurance=insurance,
        agents=agents,
        latencies=() if "latency" in without else draw_latencies(seed, step),
        step_ns=step,
    )


# -- the parts -------------------------------------------------------------------------------------


def draw_pair(
    chance: Random, code: str, base: str, quote: str, precisions: Mapping[str, int]
) -> TradingPair:
    return TradingPair(
        code,
        Asset(base, precisions[base]),
        Asset(quote, precisions[quote]),
        price_increment=chance.choice([D("0.01"), D("0.5"), D("0.25"), D(5), power(chance, -8, 0)]),
        volume_increment=chance.choice([D(1), D("0.001"), D("0.25"), power(chance, -8, 1)]),
        contract_size=chance.choice([D(1), D(1), D(1), D(10), D("0.1"), D("0.01"), D(100)]),
        min_notional=chance.choice([D(0), D(0), D(0), D(1)]),
    )


def _draw_market(chance: Random, step: int, feed: str) -> MarketPlan:
    length = step * chance.choice([1, 1, 1, 2, 5])
    return MarketPlan(
        length_ns=length if feed == "bars" else step,
        first=chance.choice([3, 50, 2_000, 10_000, 10_000, 10_000, 1_000_000, 10**9]),
        swing=chance.choice([5, 30, 30, 100, 400, 1500]),
        gaps=chance.choice([0, 20, 150]),
        holes=chance.choice([0, 0, 50, 400]),
        flats=chance.choice([0, 50, 300]),
        volume=chance.choice(["none", "thin", "thick", "mixed", "mixed"]),
        feed=feed,
    )


def _deep(market: MarketPlan) -> MarketPlan:
    """The market with volume enough for most orders.

    On cross margin an account is rehearsed as a whole on every bar, which takes time with the
    square of its positions and more; in thin markets one order makes dozens of them.
    """
    return attrs.evolve(market, volume="none" if market.volume == "none" else "deep")


_FEE_KINDS = ("flat_per_trade", "flat_per_volume", "percent_of_notional", "percent_of_margin")
_STAGES = ("create", "fill", "close", "cancel", "overnight_pending", "overnight_filled")


def draw_fees(chance: Random, pair: TradingPair) -> dict[str, list[dict[str, Decimal]]]:
    fees: dict[str, list[dict[str, Decimal]]] = {}
    for stage in _STAGES:
        if chance.random() < 0.55:
            continue
        tables: list[dict[str, Decimal]] = []
        for _ in range(draw_weighted(chance, [(1, 5), (2, 1)])):
            kind = chance.choice(_FEE_KINDS)
            rate = D(chance.randrange(1, 400)) / 100_000
            if kind == "flat_per_trade":
                rate = D(chance.randrange(1, 500)) / 100
            elif kind == "flat_per_volume":
                rate *= pair.price_increment * 100
            if stage.startswith("overnight") and chance.random() < 0.3:
                rate = -rate
            table = {kind: rate}
            if stage in ("fill", "close") and chance.random() < 0.4:
                table["maker"] = chance.choice([rate / 2, D(0), -rate / 2])
            tables.append(table)
        fees[stage] = tables
    return fees


def _draw_rules(chance: Random, pair: TradingPair) -> TradingRules:
    tick = pair.price_increment
    drawn: dict[str, Any] = {
        "fees": draw_fees(chance, pair),
        "leverage_kind": chance.choice(["MULTIPLIER"] * 6 + ["NONE", "FLAT_MARGIN_PER_VOLUME"]),
        "max_leverage": chance.choice([None, D(3), D(20), D(100)]),
        "margin_per_volume": tick * chance.choice([100, 1000, 5000]),
        "maintenance_rate": D(chance.choice([0, 0, 5, 20, 100])) / 1000,
        "market_buffer": D(chance.choice([0, 1, 5, 5, 30])) / 100,
        "participation": chance.choice([None, D(1), D(1), D("0.3"), D("0.01")]),
        "slippage": tick * chance.choice([0, 0, 0, 1, 7]),
        "slippage_rate": D(chance.choice([0, 0, 0, 1, 20])) / 10_000,
        "slippage_beyond_bar": chance.random() < 0.1,
        "penetration_ticks": chance.choice([0, 0, 0, 1, 3]),
        "path": chance.choice(
            ["pessimistic"] * 5 + ["adaptive", "open_high_low_close", "open_low_high_close"]
        ),
        "fill_on": chance.choice(["next_open"] * 4 + ["this_close", "next_close"]),
        "rollover_ns": chance.randrange(0, 24 * 60) * MINUTE,
        "min_margin": chance.choice([None, None, None, D(1)]),
        "spot_allowed": chance.random() < 0.95,
        "trading_allowed": chance.random() < 0.95,
    }
    if chance.random() < 0.06:
        drawn["allowed_directions"] = [chance.choice(["LONG", "SHORT"])]
    # Rules of other engines, and what came later.
    for name, values in (
        ("limit_gap", ["limit"]),
        ("stop_gap", ["stop", "order_stop"]),
        ("exits_from", ["next_bar", "clear"]),
        ("passed_entry", ["fill"]),
        ("path", ["queue_order"]),
        ("queue", ["conservative"]),
        ("quotes", ["next"]),
        ("quote_max_age", ["0s", "1s", "2m"]),
    ):
        if chance.random() < 0.08:
            drawn[name] = chance.choice(values)
    known = {one.name for one in attrs.fields(TradingRules)}
    return TradingRules.from_mapping({name: drawn[name] for name in drawn if name in known})


def draw_bounds(chance: Random, rules: TradingRules) -> TradingRules:
    """``rules``, now and then with fees that have a minimum or a maximum, and with the same ones
    for all that an order executes."""

    def bounded(fee: Fee) -> Fee:
        least = D(chance.randrange(1, 400)) / 100 if chance.random() < 0.25 else None
        most = None
        if chance.random() < 0.15:
            most = (least or D(0)) + D(chance.randrange(0, 2000)) / 1000
        return attrs.evolve(fee, minimum=least, maximum=most)

    fees = {stage: tuple(map(bounded, charged)) for stage, charged in rules.fees.items()}
    if FeeStage.FILL in fees and chance.random() < 0.3:
        fees[FeeStage.CLOSE] = fees[FeeStage.FILL]
    return attrs.evolve(rules, fees=fees)


def draw_margin(chance: Random, rules: TradingRules) -> TradingRules:
    """``rules``, now and then with brackets of maintenance, and with funding."""
    if chance.random() < 0.3:
        bounds = sorted({power(chance, 1, 6) * chance.randrange(1, 10) for _ in range(3)})
        rates = sorted(D(chance.randrange(0, 150)) / 1000 for _ in range(len(bounds) + 1))
        rows = [*zip(bounds, rates, strict=False), (None, rates[-1])]
        rules = attrs.evolve(rules, maintenance_rate=D(0), maintenance_tiers=rows)
    if chance.random() < 0.4:
        rate = D(chance.randrange(-100, 200)) / 10_000
        every = chance.choice(["7m", "30m", "1h", "8h"])
        rules = attrs.evolve(rules, funding=Funding(rate, every=every))
    return rules


def _draw_money(
    seed: int, pairs: Mapping[str, TradingPair], markets: Mapping[str, MarketPlan]
) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str, Decimal]]]:
    """Accounts (with the options that accounts have) and what they begin with."""
    chance = stream(seed, "money")
    options = {one.name for one in attrs.fields(Account)}
    steps = {one.code: one.step for pair in pairs.values() for one in (pair.base, pair.quote)}
    accounts: dict[str, dict[str, Any]] = {}
    opening: list[tuple[str, str, Decimal]] = []
    for number in range(draw_weighted(chance, [(1, 3), (2, 4), (3, 2), (5, 1)])):
        name = f"account-{number}"
        kind: dict[str, Any] = {}
        netting, cross = chance.random() < 0.3, chance.random() < 0.3
        if "netting" in options and netting:
            kind["netting"] = True
        if "margin_mode" in options and cross:
            kind["margin_mode"] = "cross"
            backing = stream(seed, f"collateral/{name}")
            kind["collateral"] = {
                pair.base.code: D(backing.randrange(1, 11)) / 10
                for pair in pairs.values()
                if pair.quote.code == CASH and backing.random() < 0.5 and pair.contract_size == 1
            }
        accounts[name] = kind
        # Tiny: a few units of the last digit. Huge: more than any order costs.
        size = draw_weighted(chance, [("enough", 6), ("tiny", 1), ("huge", 2), ("tight", 3)])
        money = {
            "tiny": D(chance.randrange(1, 500)) / 100,
            "tight": D(chance.randrange(100, 3_000)),
            "enough": D(chance.randrange(10_000, 1_000_000)),
            "huge": D(chance.randrange(1, 9)) * 10**13,
        }[size]
        step = steps.get(CASH, D("0.01"))
        opening.append((name, CASH, max(step, to_step(money, step))))
        for code in sorted(steps):
            if code == CASH or chance.random() < 0.5:
                continue
            amount = D(chance.randrange(1, 10_000)) / chance.choice([1, 100, 1000])
            opening.append((name, code, max(steps[code], to_step(amount, steps[code]))))
    return accounts, opening


def draw_agents(
    seed: int, accounts: list[str], step: int, count: int | None = None
) -> list[AgentPlan]:
    """The strategies of the world; ``count`` of them, or as many as the seed says."""
    chance = stream(seed, "agents")
    agents = []
    drawn = draw_weighted(chance, [(1, 2), (2, 4), (3, 3), (5, 1)])
    for number in range(drawn if count is None else count):
        own = stream(seed, f"agent/{number}")
        owned = own.sample(accounts, own.randint(1, min(2, len(accounts))))
        agents.append(
            AgentPlan(
                name=f"agent-{number}",
                style=draw_weighted(own, [("patient", 3), ("wild", 4), ("hasty", 3), ("bad", 3)]),
                accounts=tuple(owned),
                latency=_draw_latency(own, step) if own.random() < 0.35 else None,
                inbox=100_000,
                eager=own.choice([3, 8, 15, 30]),
                wary=own.random() < 0.8,
            )
        )
    return agents


def _draw_latency(chance: Random, step: int) -> Latency:
    most = chance.choice([MS, 250 * MS, step // 2, step * 3 // 2])
    if chance.random() < 0.4:
        return FixedLatency(most)
    return UniformLatency(chance.choice([0, most // 4]), most)


def draw_latencies(seed: int, step: int) -> tuple[tuple[str, str, Latency], ...]:
    """Latencies of the links that no strategy host sets: the venue's with account and market."""
    chance = stream(seed, "latencies")
    drawn = []
    for sender, target, share in (
        ("broker", "account", 0.08),
        ("account", "broker", 0.08),
        ("market-data", "broker", 0.1),
    ):
        if chance.random() < share:
            latency = _draw_latency(chance, step)
            if "account" in (sender, target):
                # Each entry waits for it: the venue must keep up with its market all the same.
                latency = UniformLatency(0, step // chance.choice([200, 1000, 5000]))
            drawn.append((sender, target, latency))
    return tuple(drawn)
