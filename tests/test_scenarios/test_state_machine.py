"""Every order operation, in any order, through the real actors and against the reference model.

A run goes in one piece, so the machine writes a script: the model answers each step at once (which
tells the machine what there is to modify, split and close), and at the end the real system plays
the same script and must have answered the same, with the same money and orders after every step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from backtest.errors import OrderRejected
from tests.effort import examples
from tests.harness import D, bar, pair_of, play, rules
from tests.reference_model import CANCEL, CLOSE, CREATE, FILL, FLAT, MAINTENANCE, Model

PRICES = st.integers(60, 140)
VOLUMES = st.integers(1, 9)
KINDS = st.sampled_from(["market", "limit", "limit", "stop", "stop_limit", "trailing_stop"])
TERMS = st.fixed_dictionaries(
    {
        "limit": PRICES,
        "trail": st.integers(1, 20),
        "tif": st.sampled_from(["GTC", "GTC", "IOC", "FOK", 1, 2, 3]),
        "post": st.sampled_from([False, False, False, True]),
    }
)
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


def fitting(kind: str, price: int, terms: dict[str, Any]) -> tuple[int | None, dict[str, Any]]:
    """The price that an order of ``kind`` has, and of ``terms`` what it may have."""
    wanted = {"tif", "post"}
    wanted |= {"stop_limit": {"limit"}, "trailing_stop": {"trail"}}.get(kind, set())
    terms = {name: value for name, value in terms.items() if name in wanted}
    return (None if kind in ("market", "trailing_stop") else price), terms


def spoken(kind: str, price: int | None, terms: dict[str, Any]) -> dict[str, Any]:
    """The same in the words of a strategy."""
    given: dict[str, Any] = {}
    if price is not None:
        given["limit_price" if kind == "limit" else "stop_price"] = price
    if "limit" in terms:
        given["limit_price"] = terms["limit"]
    if "trail" in terms:
        given["trail"] = terms["trail"]
    if terms["post"]:
        given["post_only"] = True
    if type(terms["tif"]) is int:
        given["expires"] = 60 * terms["tif"]
    elif terms["tif"] != "GTC":
        given["time_in_force"] = terms["tif"]
    return given


class Orders(RuleBasedStateMachine):
    """Writes the script; `teardown` plays it."""

    model_of: type[Model] = Model
    accounts: Mapping[str, Any] = {}

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
        self.model = self.model_of(usd, btc)
        self.cash = {"USD": usd, "BTC": btc}
        self.bar(100, None)

    @rule(price=PRICES, volume=st.none() | st.integers(0, 12))
    def bar(self, price: int, volume: int | None) -> None:
        # What fills at several prices is one position: tests/models has those.
        if any(not b["spot"] and b["volume"] for b in self.model.branches):
            volume = None
        self.model.bar(price, volume)
        self.step("ok", "bar", price, volume)

    @rule(
        buy=st.booleans(),
        kind=KINDS,
        volume=VOLUMES,
        price=PRICES,
        terms=TERMS,
    )
    def create_spot(
        self, buy: bool, kind: str, volume: int, price: int, terms: dict[str, Any]
    ) -> None:
        at, terms = fitting(kind, price, terms)
        answer = self.model.create(True, buy, kind, volume, at, **terms)
        self.step(answer, "create", "buy" if buy else "sell", kind, volume, at, {}, terms)

    @rule(
        buy=st.booleans(),
        kind=KINDS,
        volume=VOLUMES,
        price=PRICES,
        terms=TERMS,
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
        terms: dict[str, Any],
    ) -> None:
        at, terms = fitting(kind, price, terms)
        sign = 1 if buy else -1
        about = terms.get("limit") or at or self.model.last
        stop = None if stop_loss is None else about - sign * stop_loss
        take = None if goal is None else about + sign * goal
        answer = self.model.create(False, buy, kind, volume, at, leverage, stop, take, **terms)
        more = {"leverage": leverage, "stop_loss": stop, "take_profit": take}
        self.step(answer, "create", "long" if buy else "short", kind, volume, at, more, terms)

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
        place = self.pick(data, lambda b: b["volume"] > 1 or b["parts"])
        branch = self.model.branches[place]
        whole = branch["volume"] or sum(p["volume"] for p in branch["parts"])
        cuts = data.draw(st.lists(st.integers(1, max(1, whole - 1)), min_size=1, max_size=2))
        volumes = [*cuts, max(1, whole - sum(cuts))]
        self.step(self.model.split(branch, volumes), "split", place, volumes)

    @precondition(lambda self: self.model.branches)
    @rule(data=st.data(), volume=st.none() | VOLUMES, kind=KINDS, price=PRICES, terms=TERMS)
    def close(
        self,
        data: st.DataObject,
        volume: int | None,
        kind: str,
        price: int,
        terms: dict[str, Any],
    ) -> None:
        place = self.pick(data, lambda b: b["parts"])
        at, terms = fitting(kind, price, {**terms, "tif": "GTC", "post": False})
        answer = self.model.close(self.model.branches[place], volume, kind, at, **terms)
        self.step(answer, "close", place, volume, kind, at, terms)

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
        world = play(
            bars, script, cash=self.cash, rules=RULES, pairs=[PAIR], accounts=self.accounts
        )
        for step, expected, got in zip(self.steps, self.expected, found, strict=True):
            assert got[0] == expected[0], step
            for mine, its in zip(got[1], expected[1], strict=True):
                assert mine == its, (step, mine, its)
        assert world.balance("USD", "insurance") == (self.model.insurance, D(0))


async def _carry_out(me: Any, handles: list[Any], words: tuple[Any, ...]) -> None:
    match words:
        case ("create", side, kind, volume, price, more, terms):
            more = more | spoken(kind, price, terms)
            handles.append(await getattr(me, side)("BTCUSD", volume, **more))
        case ("cancel", place, volume):
            await handles[place].cancel(volume)
        case ("modify", place, volume, kind, price, stop_loss):
            field = "limit_price" if kind in ("limit", "stop_limit") else "stop_price"
            given = {} if price is None else {field: price}
            await handles[place].modify(volume=volume, stop_loss=stop_loss, **given)
        case ("split", place, volumes):
            handles.extend(await handles[place].split(volumes))
        case ("close", place, volume, kind, price, terms):
            await handles[place].close(volume, **spoken(kind, price, terms))


TestOrders = Orders.TestCase
TestOrders.settings = settings(max_examples=examples(150), stateful_step_count=30)
