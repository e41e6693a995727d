"""Quotes and trades: commands at drawn times against what stands, comes, and is used up.

A case is one pair, `BTCUSD`, with quotes, trades, or both, and one strategy that sends commands one
after the other. Times are seconds. The model is in `tick_desk` (commands), `tick_venue` (matching)
and `purse` (money).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import backtest
from backtest.errors import OrderRejected
from backtest.models import Asset, Quote, Trade, TradingPair, TradingRules
from backtest.strategies import OrderHandle, Strategy
from tests.models.common import Case, Outcome, Unclear, shorter, with_field
from tests.models.fees import draw_fees, fees_of, product_fees
from tests.models.purse import Order, Purse, Terms, steps
from tests.models.scripted import SIDES, halves, obey, plainer, send, states, told
from tests.models.tick_desk import Desk
from tests.models.tick_venue import Venue

__all__ = ["draw", "expect", "play", "smaller"]

PAIR = "BTCUSD"
SECOND = 10**9
# -- drawing ---------------------------------------------------------------------------------------


def draw(seed: int) -> Case:
    """A case: mostly sensible, sometimes not."""
    dice = Random(seed)
    base = dice.choice((100, 100, 100, 10, 1, Decimal("0.1")))
    tick = Decimal(base) / dice.choice((100, 100, 200, 400))
    lot = Decimal(dice.choice(("1", "1", "0.1", "0.01")))
    data = dice.choice(("quotes", "quotes", "quotes", "trades", "both"))
    trading = dice.random() < 0.35
    case: Case = {
        "usd": str(dice.choice((50, 300, 1000, 5000)) * base),
        "btc": "0" if trading else str(dice.choice((0, 3, 10))),
        "precision": 8 if trading else dice.choice((8, 2, 2, 0)),
        "tick": f"{tick:f}",
        "lot": str(lot),
        "rules": {},
        "fees": {},
        "create": "0",
        "lag": dice.choice((0, 0, 0, 1, 3)),
        "trading": trading,
        "ticks": [],
        "commands": [],
    }
    if dice.random() < 0.5:
        case["fees"] = draw_fees(dice)
        case["create"] = dice.choice(("0", "0", "0.5"))
    if dice.random() < 0.2:
        case["rules"]["quotes"] = "next"
    elif dice.random() < 0.2:
        case["rules"]["quote_max_age"] = dice.choice(("1s", "3s"))
    if dice.random() < 0.1:
        case["rules"]["slippage"] = f"{dice.choice((1, 5)) * tick:f}"
    sizes = dice.choice((None, 2, 4, 9))
    if trading and dice.random() < 0.5:
        sizes = None
    case["sized"] = sizes is not None
    case["ticks"] = _draw_ticks(dice, data, base, tick, lot, sizes)
    case["commands"] = _draw_commands(dice, case, base, tick, lot)
    return case


def _draw_ticks(
    dice: Random, data: str, base: Any, tick: Decimal, lot: Decimal, sizes: int | None
) -> list[list[Any]]:
    rows: list[list[Any]] = []
    at, middle = 0, 100

    def size() -> str | None:
        return None if sizes is None else str(dice.randint(0 if sizes > 2 else 1, sizes) * lot)

    unit = tick * (Decimal(base) / tick / 100)
    for _ in range(dice.randint(1, 7)):
        kind = {"quotes": "quote", "trades": "trade"}.get(data) or dice.choice(("quote", "trade"))
        if not rows:
            kind = "trade" if data == "trades" else "quote"
        middle = max(
            60, min(140, middle + dice.choice((-3, -2, -1, -1, 0, 0, 1, 1, 2, 3, 12, -12)))
        )
        if kind == "quote":
            spread = dice.choice((0, 1, 1, 2))
            bid, ask = middle * unit, (middle + spread) * unit
            row = [at, kind, f"{bid:f}", f"{ask:f}", size(), size()]
        else:
            volume = size()
            row = [at, kind, f"{middle * unit:f}", None if volume == "0" else volume]
            if volume is not None and Decimal(volume) == 0:
                row[3] = str(lot)
        if not rows or row[1:] != rows[-1][1:]:
            rows.append(row)
        at += dice.choice((1, 2, 5, 10))
    return rows


def _draw_commands(
    dice: Random, case: Case, base: Any, tick: Decimal, lot: Decimal
) -> list[list[Any]]:
    rows: list[list[Any]] = []
    made: dict[str, str] = {}
    last = case["ticks"][-1][0]
    times = sorted(dice.randint(0, last) for _ in range(dice.randint(1, 6)))
    unit = Decimal(base) / 100

    def price() -> str:
        ticks = dice.choice((0, 0, 0, 0, 1)) * tick
        return f"{dice.randint(94, 106) * unit + ticks:f}"

    def volume() -> str:
        return f"{dice.choice((1, 1, 2, 3, 5, 8, 17)) * lot:f}"

    for at in times:
        rows.append([at, *_draw_command(dice, case, made, price, volume)])
    return rows


def _draw_command(
    dice: Random, case: Case, made: dict[str, str], price: Any, volume: Any
) -> list[Any]:
    what = dice.random()
    if not made or what < 0.6:
        side = dice.choice(("long", "short") if case["trading"] else ("buy", "buy", "sell"))
        name = "abcdefgh"[sum(len(one) == 1 for one in made)]
        made[name] = volume()
        return [side, name, made[name], _draw_terms(dice, case, price)]
    name = dice.choice(sorted(made))
    if what < 0.7:
        return ["cancel", name, volume() if dice.random() < 0.3 else None]
    if what < 0.76:
        limits = [price(), price()] if dice.random() < 0.4 else None
        parts = made[f"{name}1"], made[f"{name}2"] = halves(dice, made[name], case["lot"])
        return ["split", name, list(parts), limits]
    if what < 0.9 or not case["trading"] or case["sized"]:
        changes = {"volume": volume(), "limit": price(), "stop": price()}
        kept = dice.sample(sorted(changes), dice.choice((1, 1, 2)))
        return ["modify", name, {one: changes[one] for one in kept}]
    part = volume() if dice.random() < 0.4 else None
    return ["close", name, part, price() if dice.random() < 0.3 else None]


def _draw_terms(dice: Random, case: Case, price: Any) -> dict[str, Any]:
    terms: dict[str, Any] = {}
    kind = dice.choice(("market", "market", "limit", "limit", "limit", "stop", "stop_limit"))
    if "limit" in kind:
        terms["limit"] = price()
    if "stop" in kind:
        terms["stop"] = price()
    if kind == "stop" and dice.random() < 0.3:
        terms["trail"] = f"{dice.randint(1, 6) * Decimal(case['tick']) * 2:f}"
        if dice.random() < 0.7:
            del terms["stop"]
    what = dice.random()
    if what < 0.1:
        terms["force"] = "IOC"
    elif what < 0.2:
        terms["force"] = "FOK"
    elif what < 0.3:
        terms["expires"] = dice.randint(1, 12)
    elif what < 0.4 and "limit" in terms:
        terms["post_only"] = True
    if dice.random() < 0.15:
        terms["oco"] = "x"
    if case["trading"] and not case["sized"]:
        terms["leverage"] = dice.choice(("1", "2", "5", "10"))
        for name in ("sl", "tp"):
            if dice.random() < 0.25:
                terms[name] = price()
    return terms


# -- the model -------------------------------------------------------------------------------------


def expect(case: Case) -> Outcome:
    """What must come of it."""
    venue, desk = _model(case)
    orders: dict[str, Order] = {}
    answers: list[Any] = []
    ticks, lag = list(case["ticks"]), case["lag"]
    end, ready = ticks[-1][0], 0
    for row in case["commands"]:
        # Each is sent when it is time and the one before is answered.
        sent = max(row[0], ready)
        if row[1] not in SIDES and row[2] not in orders:
            answers.append("skipped")
            continue
        ready = sent + lag
        if ready > end:
            break
        # What arrives at the very time of a tick was sent before it; without latency, after it.
        while ticks and (ticks[0][0] < ready or (not lag and ticks[0][0] == ready)):
            _happen(venue, ticks.pop(0))
        if lag and any(one.expires == ready for one in venue.orders):
            raise Unclear("a command that arrives at the very moment of an expiry")
        venue.expire(ready)
        venue.now = ready
        answers.append(obey(desk, orders, row, sent))
    for row in ticks:
        _happen(venue, row)
    return _outcome(venue, orders, answers)


def _happen(venue: Venue, row: list[Any]) -> None:
    venue.expire(row[0])
    venue.now = row[0]
    if row[1] == "quote":
        bid, ask = Fraction(row[2]), Fraction(row[3])
        sizes = [None if one is None else Fraction(one) for one in row[4:6]]
        venue.on_quote(bid, ask, sizes, _mark(bid, ask, venue.terms.tick))
    else:
        venue.on_trade(Fraction(row[2]), None if row[3] is None else Fraction(row[3]))


def _model(case: Case) -> tuple[Venue, Desk]:
    step = Fraction(1, 10 ** case["precision"])
    terms = Terms(step, Fraction(case["lot"]), Fraction(case["tick"]), Fraction(1, 20))
    terms.fees = fees_of(case["fees"])
    terms.slippage = Fraction(case["rules"].get("slippage", 0))
    terms.create = steps(Fraction(case["create"]), step, up=True)
    purse = Purse(terms, Fraction(case["usd"]), Fraction(case["btc"]))
    rules = case["rules"]
    quoted = any(row[1] == "quote" for row in case["ticks"])
    age = rules.get("quote_max_age")
    most_age = None if age is None else int(age.removesuffix("s"))
    venue = Venue(purse, rules.get("quotes") == "next", most_age, quoted)
    return venue, Desk(venue, terms.lot, Fraction(0))


def _mark(bid: Fraction, ask: Fraction, tick: Fraction) -> Fraction:
    """The middle, on the grid, halves to even."""
    return round((bid + ask) / 2 / tick) * tick


def _outcome(venue: Venue, orders: dict[str, Order], answers: list[Any]) -> Outcome:
    purse = venue.purse
    equity = purse.free["USD"] + purse.held["USD"]
    equity += (purse.free["BTC"] + purse.held["BTC"]) * venue.mark
    for one in venue.positions:
        equity += (one.open * venue.mark - one.cost) * (1 if one.buy else -1)
    return {
        "answers": answers,
        "fills": sorted(venue.fills, key=lambda row: row[:2]),
        "orders": states(orders),
        "balances": {code: [purse.free[code], purse.held[code]] for code in ("USD", "BTC")},
        "equity": equity,
    }


# -- the product -----------------------------------------------------------------------------------


class Script(Strategy):
    """Sends the commands of a case, each when it is time and the one before is answered."""

    def __init__(self, commands: list[list[Any]]) -> None:
        super().__init__()
        self.commands = commands

    async def run(self) -> None:
        self.handles: dict[str, OrderHandle] = {}
        self.answers: list[str] = []
        for row in self.commands:
            await self.sleep_until(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=row[0]))
            try:
                self.answers.append(await send(self, PAIR, row, self.handles))
            except OrderRejected as refusal:
                self.answers.append(refusal.reason.value)


def play(case: Case) -> Outcome:
    """What the product makes of it."""
    pair = TradingPair(
        PAIR,
        "BTC",
        Asset("USD", case["precision"]),
        price_increment=Decimal(case["tick"]),
        volume_increment=Decimal(case["lot"]),
    )
    script = Script(case["commands"])
    result = backtest.run(
        script,
        data={pair: _data(case["ticks"])},
        cash={"USD": case["usd"], "BTC": case["btc"]},
        latency={"orders": case["lag"]} if case["lag"] else None,
        rules=TradingRules.from_mapping({**case["rules"], "fees": _fees(case)}),
    )
    names = {handle.id: name for name, handle in script.handles.items()}
    fills = [
        [
            one.timestamp_ns // SECOND,
            names[one.branch_id],
            one.kind,
            one.direction.name == "LONG",
            one.price,
            one.volume,
            one.fee,
            one.maker,
        ]
        for one in result.fills
    ]
    balances = result.balances["main"]
    return {
        "answers": script.answers,
        "fills": sorted(fills, key=lambda row: row[:2]),
        "orders": told(script.handles),
        "balances": {
            code: list(balances.get(code, {"available": 0, "unavailable": 0}).values())
            for code in ("USD", "BTC")
        },
        "equity": result.final_equity,
    }


def _data(rows: list[list[Any]]) -> Any:
    quotes = [_event(Quote, row) for row in rows if row[1] == "quote"]
    trades = [_event(Trade, row) for row in rows if row[1] == "trade"]
    return [quotes, trades] if quotes and trades else quotes or trades


def _event(kind: Any, row: list[Any]) -> Any:
    numbers = [None if one is None else Decimal(one) for one in row[2:]]
    return kind(PAIR, row[0] * SECOND, *numbers)


def _fees(case: Case) -> dict[str, Any]:
    create = {"create": {"flat_per_trade": case["create"]}} if case["create"] != "0" else {}
    return {**product_fees(case["fees"]), **create}


# -- shrinking -------------------------------------------------------------------------------------


def smaller(case: Case) -> Iterator[Case]:
    """Fewer commands and ticks, then fewer rules, then plainer terms."""
    yield from plainer(case)
    for ticks in shorter(case["ticks"]):
        if _fits(ticks, case["commands"]):
            yield with_field(case, "ticks", ticks)
    for name in case["fees"]:
        fees = {one: value for one, value in case["fees"].items() if one != name}
        yield with_field(case, "fees", fees)
    if case["create"] != "0":
        yield with_field(case, "create", "0")
    for at, row in enumerate(case["ticks"]):
        if row[1] == "quote" and (row[4] is not None or row[5] is not None):
            yield _with_row(case, "ticks", at, [*row[:4], None, None])
    for name in case["rules"]:
        rules = {one: value for one, value in case["rules"].items() if one != name}
        yield with_field(case, "rules", rules)
    if case["lag"]:
        yield with_field(case, "lag", 0)
    if case["precision"] != 8:
        yield with_field(case, "precision", 8)


def _fits(ticks: list[list[Any]], commands: list[list[Any]]) -> bool:
    """Whether the first price is there before the first command, and the last after the last."""
    if not ticks or any(not ticks[0][0] <= row[0] <= ticks[-1][0] for row in commands):
        return False
    return ticks[0][1] == "quote" or all(row[1] == "trade" for row in ticks)


def _with_row(case: Case, name: str, at: int, row: list[Any]) -> Case:
    return with_field(case, name, [*case[name][:at], row, *case[name][at + 1 :]])
