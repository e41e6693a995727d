"""Every order operation, in any order, through the real actors and against the reference model.

A run goes in one piece, so the machine writes a script: the model answers each step at once (which
tells the machine what there is to modify, split and close), and at the end the real system plays
the same script and must have answered the same, with the same money and orders after every step.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from backtest.errors import OrderRejected
from tests.harness import D, bar, pair_of, play, rules
from tests.reference_model import CANCEL, CLOSE, CREATE, FILL, FLAT, MAINTENANCE, Model

PRICES = st.integers(60, 140)
VOLUMES = st.integers(1, 9)
PAIR = pair_of(price_increment="1", volume_increment="1")
RULES = rules(
    maintenance_rate=str(MAINTENANCE),
    fees={
        "create": {"flat_per_volume": str(CREATE)},
        "fill": [
            {"percent_of_notional": str(FILL[0]), "maker": str(FILL[1])},
            {"flat_per_trade": str(FLAT)},
        ],
        "close": {"percent_of_notional": str(CLOSE[0]), "maker": str(CLOSE[1])},
        "cancel": {"flat_per_trade": str(CANCEL)},
    },
)


def seen_in_model(model: Model) -> list[Any]:
    """Money, and of every branch what a strategy can see."""
    money = [tuple(model.money[asset]) for asset in ("USD", "BTC")]
    return [
        *money,
        *(
            (
                b["volume"],
                b["filled"],
                b["cancelled"],
                sum(p["volume"] for p in b["parts"]),
                sum((p["margin"] for p in b["parts"]), Decimal(0)),
                b["replaced"],
                b["reason"],
            )
            for b in model.branches
        ),
    ]


def seen_by(me: Any, handles: list[Any]) -> list[Any]:
    return [
        *(tuple(me.balance(asset)) for asset in ("USD", "BTC")),
        *(
            (
                one.leaves,
                one.filled_volume,
                one.cancelled_volume,
                one.open_volume,
                sum((part.margin_reserved for part in one.parts.values()), Decimal(0)),
                one.is_replaced,
                one.end_reason,
            )
            for one in handles
        ),
    ]


class Orders(RuleBasedStateMachine):
    """Writes the script; `teardown` plays it."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[Any, ...]] = []
        self.expected: list[tuple[str, list[Any]]] = []

    def step(self, answer: str, *words: Any) -> None:
        self.steps.append(words)
        self.expected.append((answer, seen_in_model(self.model)))

    def pick(self, data: st.DataObject, good: Callable[[Any], Any]) -> int:
        """One of the branches that are ``good``, else any."""
        fitting = [place for place, b in enumerate(self.model.branches) if good(b)]
        return data.draw(st.sampled_from(fitting or range(len(self.model.branches))))

    @initialize(usd=st.integers(200, 3_000), btc=st.integers(0, 10))
    def begin(self, usd: int, btc: int) -> None:
        self.model = Model(usd, btc)
        self.cash = {"USD": usd, "BTC": btc}
        self.bar(100, None)

    @rule(price=PRICES, volume=st.none() | st.integers(0, 12))
    def bar(self, price: int, volume: int | None) -> None:
        self.model.bar(price, volume)
        self.step("ok", "bar", price, volume)

    @rule(
        buy=st.booleans(),
        kind=st.sampled_from(["market", "limit", "stop"]),
        volume=VOLUMES,
        price=PRICES,
    )
    def create_spot(self, buy: bool, kind: str, volume: int, price: int) -> None:
        at = None if kind == "market" else price
        answer = self.model.create(True, buy, kind, volume, at)
        self.step(answer, "create", "buy" if buy else "sell", kind, volume, at, {})

    @rule(
        buy=st.booleans(),
        kind=st.sampled_from(["market", "limit", "stop"]),
        volume=VOLUMES,
        price=PRICES,
        leverage=st.sampled_from([1, 2, 3, 7]),
        stop_loss=st.none() | st.integers(1, 40),
        goal=st.none() | st.integers(1, 40),
    )
    def create_trade(
        self,
        buy: bool,
        kind: str,
        volume: int,
        price: int,
        leverage: int,
        stop_loss: int | None,
        goal: int | None,
    ) -> None:
        at = None if kind == "market" else price
        sign = 1 if buy else -1
        about = at or self.model.last
        stop = None if stop_loss is None else about - sign * stop_loss
        take = None if goal is None else about + sign * goal
        answer = self.model.create(False, buy, kind, volume, at, leverage, stop, take)
        more = {"leverage": leverage, "stop_loss": stop, "take_profit": take}
        self.step(answer, "create", "long" if buy else "short", kind, volume, at, more)

    @precondition(lambda self: self.model.branches)
    @rule(data=st.data(), volume=st.none() | VOLUMES)
    def cancel(self, data: st.DataObject, volume: int | None) -> None:
        place = self.pick(data, lambda b: b["volume"])
        branch = self.model.branches[place]
        if branch["volume"] == 0:
            volume = None
        self.step(self.model.cancel(branch, volume), "cancel", place, volume)

    @precondition(lambda self: self.model.branches)
    @rule(
        data=st.data(),
        volume=st.none() | VOLUMES,
        price=st.none() | PRICES,
        stop_loss=st.none() | PRICES,
    )
    def modify(
        self, data: st.DataObject, volume: int | None, price: int | None, stop_loss: int | None
    ) -> None:
        place = self.pick(data, lambda b: b["volume"] or b["parts"])
        branch = self.model.branches[place]
        if branch["kind"] == "market":
            price = None
        if branch["spot"]:
            stop_loss = None
        if (volume, price, stop_loss) == (None, None, None):
            volume = 1
        answer = self.model.modify(branch, volume, price, stop_loss)
        self.step(answer, "modify", place, volume, branch["kind"], price, stop_loss)

    @precondition(lambda self: self.model.branches)
    @rule(data=st.data())
    def split(self, data: st.DataObject) -> None:
        place = self.pick(data, lambda b: b["volume"] > 1 or len(b["parts"]) == 1)
        branch = self.model.branches[place]
        whole = branch["volume"] or sum(p["volume"] for p in branch["parts"])
        cuts = data.draw(st.lists(st.integers(1, max(1, whole - 1)), min_size=1, max_size=2))
        volumes = [*cuts, max(1, whole - sum(cuts))]
        self.step(self.model.split(branch, volumes), "split", place, volumes)

    @precondition(lambda self: self.model.branches)
    @rule(data=st.data(), volume=st.none() | VOLUMES, price=st.none() | PRICES)
    def close(self, data: st.DataObject, volume: int | None, price: int | None) -> None:
        place = self.pick(data, lambda b: b["parts"])
        answer = self.model.close(self.model.branches[place], volume, price)
        self.step(answer, "close", place, volume, price)

    def teardown(self) -> None:
        if not self.steps:
            return
        found: list[tuple[str, list[Any]]] = []

        async def script(me: Any) -> None:
            handles: list[Any] = []
            for words in self.steps:
                answer = "ok"
                try:
                    if words[0] == "bar":
                        await me.next()
                    else:
                        await _carry_out(me, handles, words)
                except OrderRejected as refusal:
                    answer = refusal.reason.value
                found.append((answer, seen_by(me, handles)))

        bars = [
            bar(number, words[1], volume=words[2])
            for number, words in enumerate(one for one in self.steps if one[0] == "bar")
        ]
        world = play(bars, script, cash=self.cash, rules=RULES, pairs=[PAIR])
        for step, expected, got in zip(self.steps, self.expected, found, strict=True):
            assert got[0] == expected[0], step
            for mine, its in zip(got[1], expected[1], strict=True):
                assert mine == its, (step, mine, its)
        assert world.balance("USD", "insurance") == (self.model.insurance, D(0))


async def _carry_out(me: Any, handles: list[Any], words: tuple[Any, ...]) -> None:
    match words:
        case ("create", side, kind, volume, price, more):
            if kind != "market":
                more = more | {f"{kind}_price": price}
            handles.append(await getattr(me, side)("BTCUSD", volume, **more))
        case ("cancel", place, volume):
            await handles[place].cancel(volume)
        case ("modify", place, volume, kind, price, stop_loss):
            given = {} if price is None else {f"{kind}_price": price}
            await handles[place].modify(volume=volume, stop_loss=stop_loss, **given)
        case ("split", place, volumes):
            handles.extend(await handles[place].split(volumes))
        case ("close", place, volume, price):
            await handles[place].close(volume, price)


TestOrders = Orders.TestCase
TestOrders.settings = settings(max_examples=150, stateful_step_count=30)
