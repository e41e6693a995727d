"""A made-up day of a crowd, for pages to show: not a simulation, but of the shape of one."""

from __future__ import annotations

from decimal import Decimal
from math import exp, log
from random import Random
from uuid import UUID

from backtest.analysis.market.samples import (
    AccountResult,
    BestQuote,
    Charge,
    DepthSample,
    Liquidation,
    MarketRecord,
    PairRecord,
)
from backtest.models import MarketTrade
from backtest.times import HOUR, MINUTE, parse_ns

_TICK = Decimal("0.01")


def crowd(
    seed: int = 1, trades: int = 2_000, agents: int = 50, title: str = "A crowd", hours: float = 6.5
) -> MarketRecord:
    """A market of ``agents`` noise traders, two makers, five trend followers and five others."""
    random = Random(seed)
    start = parse_ns("2024-03-12T09:30:00+00:00")
    end = start + round(hours * HOUR)
    types = {
        **{f"noise-{number}": "noise" for number in range(agents)},
        **{f"value-{number}": "value" for number in range(5)},
        **{f"maker-{number}": "maker" for number in range(2)},
        **{f"trend-{number}": "trend" for number in range(5)},
    }
    names = list(types)
    tape, quotes, charges, fundamental = [], [], [], []
    cents, value, volatility, sign = 10_000.0, 10_000.0, 1.0, 1
    times = sorted(random.randrange(start, end) for _ in range(trades))
    for number, time in enumerate(times):
        volatility = exp(0.97 * log(volatility) + 0.1 * random.gauss(0, 1))
        value += random.gauss(0, 2)
        sign = sign if random.random() < 0.6 else -sign
        size = max(1, round(random.paretovariate(1.5) * 20))
        cents += sign * volatility * size**0.4 * 0.4 + (value - cents) * 0.02
        wide = max(1, round(1 + 2 * volatility * random.random()))
        middle = round(cents)
        bid, ask = _TICK * middle, _TICK * (middle + wide)
        quotes.append(BestQuote(time, bid, ask, Decimal(random.randrange(1, 200)), Decimal(50)))
        taker = random.choice(names)
        maker = f"maker-{number % 2}" if random.random() < 0.5 else random.choice(names)
        buyer, seller = (taker, maker) if sign > 0 else (maker, taker)
        ids = UUID(int=2 * number + 1), UUID(int=2 * number + 2)
        tape.append(
            MarketTrade(
                time,
                "STOCK",
                ask if sign > 0 else bid,
                Decimal(size),
                "buy" if sign > 0 else "sell",
                buyer,
                seller,
                *ids,
                number,
            )
        )
        charges.append(Charge(time, taker, Decimal(size) * _TICK))
        if number % 20 == 0:
            fundamental.append((time, _TICK * round(value)))
    depth = []
    place = 0
    for time in range(start, end, MINUTE):
        while place + 1 < len(quotes) and quotes[place + 1].time_ns <= time:
            place += 1
        bid, ask = quotes[place].bid, quotes[place].ask
        assert bid is not None
        assert ask is not None
        depth.append(
            DepthSample(
                time,
                [(bid - _TICK * n, Decimal(random.randrange(1, 60) * (n + 2))) for n in range(25)],
                [(ask + _TICK * n, Decimal(random.randrange(1, 60) * (n + 2))) for n in range(25)],
            )
        )
    pair = PairRecord(
        pair="STOCK",
        trades=tape,
        quotes=quotes,
        depth=depth,
        fundamental=fundamental,
        liquidations=[
            Liquidation(trade.time_ns, "STOCK", "trend-1", trade.price, 1)
            for trade in tape[500:520:7]
        ],
        halts=[(start + HOUR, start + HOUR + 5 * MINUTE)],
        charges=charges,
        quote_asset="USD",
        price_increment=_TICK,
    )
    return MarketRecord(
        start_ns=start,
        end_ns=end,
        pairs={"STOCK": pair},
        types=types,
        results=[
            AccountResult(
                name,
                Decimal(100_000),
                Decimal(100_000) + _TICK * round(random.gauss(0, 50_000)),
                _TICK * random.randrange(0, 3_000),
                int(name == "trend-1"),
            )
            for name in names
        ],
        cash_asset="USD",
        title=title,
        notes={"seed": str(seed), "verified": "yes"},
    )
