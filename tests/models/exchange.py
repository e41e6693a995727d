"""Agents who trade with each other in one spot book: two to four accounts, commands in turn.

Times are seconds, one command each. The model is in `exchange_venue` and `purse`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from backtest.errors import OrderRejected
from backtest.markets import Instrument, Scenario
from backtest.models import Asset, TradingPair, TradingRules
from backtest.strategies import OrderHandle, Strategy
from tests.models.common import Case, Outcome, with_field
from tests.models.exchange_venue import Exchange
from tests.models.fees import draw_fees, fees_of, product_fees
from tests.models.purse import Order, Purse, Terms
from tests.models.scripted import halves, obey, plainer, send, states, told

__all__ = ["draw", "expect", "play", "smaller"]

PAIR = "BTCUSD"
SECOND = 10**9
START = 1_704_187_800
NEW = ("buy", "sell")


def draw(seed: int) -> Case:
    """A case: a handful of agents around one price."""
    dice = Random(seed)
    base, tick = dice.choice((("100", "1"), ("100", "1"), ("1", "0.01"), ("0.01", "0.0001")))
    lot = dice.choice(("1", "1", "0.1", "0.003"))
    names = ["ann", "bob", "cid", "dan"][: dice.choice((2, 2, 3, 4))]
    rich = dice.choice((3, 10, 1000, 1000))
    precision = dice.choice((8, 8, 2, 4))
    money = round(Decimal(base) * Decimal(lot) * rich, precision)
    case: Case = {
        "cash": {name: [f"{money:f}", str(rich * Decimal(lot))] for name in names},
        "precision": precision,
        "tick": tick,
        "lot": lot,
        "reference": base,
        "self_trade": dice.choice(("cancel_newest", "cancel_oldest", "cancel_both")),
        "fees": draw_fees(dice) if dice.random() < 0.5 else {},
        "commands": [],
    }
    made: dict[str, list[str]] = {}
    for _ in range(dice.randint(2, 10)):
        case["commands"].append(_draw_command(dice, case, names, made))
    return case


def _draw_command(
    dice: Random, case: Case, names: list[str], made: dict[str, list[str]]
) -> list[Any]:
    tick, lot = Decimal(case["tick"]), Decimal(case["lot"])

    def price() -> str:
        return f"{Decimal(case['reference']) + dice.randint(-4, 4) * tick:f}"

    def volume() -> str:
        return f"{dice.choice((1, 1, 2, 3, 5, 8)) * lot:f}"

    what = dice.random()
    if not made or what < 0.72:
        terms: dict[str, Any] = {}
        kind = dice.choice(("market", "limit", "limit", "limit", "limit", "stop", "stop_limit"))
        if "limit" in kind:
            terms["limit"] = price()
        if "stop" in kind:
            terms["stop"] = price()
        what = dice.random()
        if what < 0.1:
            terms["force"] = "IOC"
        elif what < 0.2:
            terms["force"] = "FOK"
        elif what < 0.3:
            terms["expires"] = dice.randint(1, 6)
        elif what < 0.4 and kind == "limit":
            terms["post_only"] = True
        name = "abcdefghij"[sum(len(one) == 1 for one in made)]
        made[name] = [dice.choice(names), volume()]
        return [made[name][0], dice.choice(NEW), name, made[name][1], terms]
    target = dice.choice(sorted(made))
    owner, whole = made[target]
    if what < 0.82:
        return [owner, "cancel", target, volume() if dice.random() < 0.3 else None]
    if what < 0.88:
        parts = halves(dice, whole, case["lot"])
        made |= {f"{target}{at}": [owner, part] for at, part in enumerate(parts, 1)}
        limits = [price(), price()] if dice.random() < 0.4 else None
        return [owner, "split", target, list(parts), limits]
    changes = {"volume": volume(), "limit": price(), "stop": price()}
    kept = dice.sample(sorted(changes), dice.choice((1, 1, 2)))
    return [owner, "modify", target, {one: changes[one] for one in kept}]


# -- the model -------------------------------------------------------------------------------------


def expect(case: Case) -> Outcome:
    """What must come of it."""
    step = Fraction(1, 10 ** case["precision"])
    terms = Terms(step, Fraction(case["lot"]), Fraction(case["tick"]), Fraction(1, 20))
    terms.fees = fees_of(case["fees"])
    purses = {name: Purse(terms, *map(Fraction, owned)) for name, owned in case["cash"].items()}
    venue = Exchange(purses, terms, case["self_trade"], Fraction(case["reference"]))
    orders: dict[str, Order] = {}
    answers: list[Any] = []
    for at, row in enumerate(case["commands"], 1):
        venue.expire(at)
        venue.now = at
        answers.append(obey(venue, orders, row, at, row[0]))
    venue.expire(len(answers) + 1)
    return {
        "answers": answers,
        "trades": venue.trades,
        "fills": sorted(venue.fills),
        "orders": states(orders),
        "balances": {
            name: {code: [purse.free[code], purse.held[code]] for code in ("USD", "BTC")}
            for name, purse in purses.items()
        },
        "book": [venue.levels(True), venue.levels(False)],
    }


# -- the product -----------------------------------------------------------------------------------


class Script(Strategy):
    """Sends the commands of one agent, each at its second."""

    logs_refusals = False

    def __init__(self, rows: list[tuple[int, Any]], shared: dict[str, Any]) -> None:
        super().__init__()
        self.rows, self.shared = rows, shared

    async def run(self) -> None:
        handles, answers = self.shared["handles"], self.shared["answers"]
        now = 0
        for at, row in self.rows:
            await self.sleep(at - now)
            now = at
            try:
                answers[at - 1] = await send(self, PAIR, row, handles)
            except OrderRejected as refusal:
                answers[at - 1] = refusal.reason.value
        await self.sleep(self.shared["end"] - now)
        depth = await self.depth(PAIR, levels=0)
        self.shared["book"] = [
            [[one.price, one.volume, one.orders] for one in side]
            for side in (depth.bids, depth.asks)
        ]


def play(case: Case) -> Outcome:
    """What the product makes of it."""
    commands = case["commands"]
    asset = Asset("USD", case["precision"])
    grid = {"price_increment": Decimal(case["tick"]), "volume_increment": Decimal(case["lot"])}
    market = Instrument(
        pair=TradingPair(PAIR, "BTC", asset, **grid),
        reference_price=case["reference"],
        rules=TradingRules.from_mapping({"fees": product_fees(case["fees"])}),
        kind="spot",
        self_trade=case["self_trade"],
    )
    end = len(commands) + 1
    shared: dict[str, Any] = {"handles": {}, "answers": [None] * len(commands), "end": end}
    scripts = {
        name: Script([(at, row) for at, row in enumerate(commands, 1) if row[0] == name], shared)
        for name in case["cash"]
    }
    cash = {
        name: dict(zip(("USD", "BTC"), owned, strict=True)) for name, owned in case["cash"].items()
    }
    world = Scenario(pairs=[market], duration=f"{end}s")
    result = world.run(scripts, cash=cash)
    handles: dict[str, OrderHandle] = shared["handles"]
    order_names = {handle.id: name for name, handle in handles.items()}
    return {
        "answers": shared["answers"],
        "trades": [
            [
                one.time_ns // SECOND - START,
                one.price,
                one.volume,
                one.buyer,
                one.seller,
                one.aggressor,
            ]
            for one in result.trades
        ],
        "fills": sorted(
            [
                one.timestamp_ns // SECOND - START,
                order_names[one.branch_id],
                one.price,
                one.volume,
                one.fee,
                one.maker,
            ]
            for one in result.fills
        ),
        "orders": told(handles),
        "balances": {
            name: {
                code: list(owned.get(code, {"available": 0, "unavailable": 0}).values())
                for code in ("USD", "BTC")
            }
            for name, owned in result.balances.items()
            if name in cash
        },
        "book": shared["book"],
    }


# -- shrinking -------------------------------------------------------------------------------------


def smaller(case: Case) -> Iterator[Case]:
    """Fewer commands and plainer ones, then fewer agents and fees."""
    yield from plainer(case)
    used = {row[0] for row in case["commands"]}
    for name in case["cash"]:
        if name not in used and len(case["cash"]) > 1:
            yield with_field(case, "cash", {k: v for k, v in case["cash"].items() if k != name})
    for name in case["fees"]:
        yield with_field(case, "fees", {k: v for k, v in case["fees"].items() if k != name})
