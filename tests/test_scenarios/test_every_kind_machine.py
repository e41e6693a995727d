"""Every kind of spot order, in any mix, through the real actors and against plain dicts.

The companion of `test_state_machine` (which has fees, margin, modify, split and close): this one
has stop-limits, trailing stops, times in force, post-only, one-cancels-other and brackets.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from backtest.errors import OrderRejected
from tests.effort import examples
from tests.harness import bar, pair_of, play
from tests.reference_orders import Model

PAIR = pair_of(price_increment="1", volume_increment="1")
PRICES = st.integers(80, 120)
CASH = 1_000_000
HALF = 30  # seconds: half a bar


def seen_in_model(model: Model) -> list[Any]:
    own = [o for o in model.orders if not o["exit"]]
    return [
        (model.usd[0], model.usd[1], model.btc[0], model.btc[1]),
        *(
            (
                o["leaves"],
                o["filled"],
                o["cancelled"],
                o["reason"],
                [(e["leaves"], e["filled"], e["reason"]) for e in o.get("exits", ())],
            )
            for o in own
        ),
    ]


def seen_by(me: Any, handles: list[Any]) -> list[Any]:
    usd, btc = me.balance("USD"), me.balance("BTC")
    return [
        (usd.available, usd.unavailable, btc.available, btc.unavailable),
        *(
            (
                one.leaves,
                one.filled_volume,
                one.cancelled_volume,
                one.end_reason,
                [(e.leaves, e.filled_volume, e.end_reason) for e in one.exits],
            )
            for one in handles
        ),
    ]


class Kinds(RuleBasedStateMachine):
    """Writes the script; `teardown` plays it."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[Any, ...]] = []
        self.expected: list[tuple[str, list[Any]]] = []
        self.bars = 0

    def step(self, answer: str, *words: Any) -> None:
        self.steps.append(words)
        self.expected.append((answer, seen_in_model(self.model)))

    @initialize(btc=st.integers(0, 30))
    def begin(self, btc: int) -> None:
        self.model = Model(CASH, btc)
        self.btc = btc
        self.bar(100, None)

    @rule(price=PRICES, volume=st.none() | st.integers(0, 9))
    def bar(self, price: int, volume: int | None) -> None:
        self.model.bar(price, volume, self.bars * 60, self.bars * 60 + 60)
        self.bars += 1
        self.step("ok", "bar", price, volume)

    @rule(
        buy=st.booleans(),
        kind=st.sampled_from(["market", "limit", "stop", "stop_limit", "trailing_stop"]),
        volume=st.integers(1, 9),
        limit=PRICES,
        stop=PRICES,
        trail=st.integers(1, 15),
        term=st.sampled_from(["GTC", "GTC", "GTC", "GTD", "IOC", "FOK", "post"]),
        halves=st.integers(1, 6),
        oco=st.sampled_from([None, None, "a", "b"]),
        legs=st.none() | st.tuples(st.integers(0, 12), st.integers(0, 12)),
    )
    def create(
        self,
        buy: bool,
        kind: str,
        volume: int,
        limit: int,
        stop: int,
        trail: int,
        term: str,
        halves: int,
        oco: str | None,
        legs: tuple[int, int] | None,
    ) -> None:
        given: dict[str, Any] = {}
        if kind in ("limit", "stop_limit"):
            given["limit"] = limit
        if kind in ("stop", "stop_limit"):
            given["stop"] = stop
        if kind == "trailing_stop":
            given["trail"] = trail
        if term == "post" and kind == "limit":
            given["post"] = True
        if term in ("IOC", "FOK") and kind in ("market", "limit"):
            given["force"] = term
        if term == "GTD":
            given["expires"] = self.bars * 60 + halves * HALF
        if oco is not None and not self.reused(oco):
            given["oco"] = oco
        if buy and legs is not None and kind != "trailing_stop" and "oco" not in given:
            about = given.get("limit") or given.get("stop") or self.model.last
            given["sl"] = about - legs[0] if legs[0] else None
            given["tp"] = about + legs[1] if legs[1] else None
        answer = self.model.create(buy, kind, volume, **given)
        self.step(answer, "create", buy, kind, volume, given)

    def reused(self, label: str) -> bool:
        """Whether all of the label's group is done: a new one of that name begins (once)."""
        group = [o for o in self.model.orders if o["oco"] == label]
        return bool(group) and not any(o["leaves"] for o in group)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data(), volume=st.none() | st.integers(1, 9))
    def cancel(self, data: st.DataObject, volume: int | None) -> None:
        own = [o for o in self.model.orders if not o["exit"]]
        place = data.draw(st.sampled_from(range(len(own))))
        self.step(self.model.cancel(own[place], volume), "cancel", place, volume)

    @precondition(lambda self: any(o["exit"] for o in self.model.orders))
    @rule(data=st.data(), volume=st.none() | st.integers(1, 9))
    def cancel_exit(self, data: st.DataObject, volume: int | None) -> None:
        own = [o for o in self.model.orders if not o["exit"]]
        places = [(n, m) for n, o in enumerate(own) for m in range(len(o.get("exits", ())))]
        at, leg = data.draw(st.sampled_from(places))
        answer = self.model.cancel(own[at]["exits"][leg], volume)
        self.step(answer, "cancel_exit", at, leg, volume)

    def teardown(self) -> None:
        if not self.steps:
            return
        found: list[tuple[str, list[Any]]] = []

        async def script(me: Any) -> None:
            handles: list[Any] = []
            for words in self.steps:
                answer = "ok"
                try:
                    await _carry_out(me, handles, words)
                except OrderRejected as refusal:
                    answer = refusal.reason.value
                found.append((answer, seen_by(me, handles)))

        bars = [
            bar(number, words[1], volume=words[2])
            for number, words in enumerate(one for one in self.steps if one[0] == "bar")
        ]
        play(bars, script, cash={"USD": CASH, "BTC": self.btc}, pairs=[PAIR])
        for step, expected, got in zip(self.steps, self.expected, found, strict=True):
            assert got[0] == expected[0], step
            for mine, its in zip(got[1], expected[1], strict=True):
                assert mine == its, (step, mine, its)


async def _carry_out(me: Any, handles: list[Any], words: tuple[Any, ...]) -> None:
    match words:
        case ("bar", _, _):
            await me.next()
        case ("create", buy, _, volume, given):
            more = {
                name: given[key]
                for name, key in (
                    ("limit_price", "limit"),
                    ("stop_price", "stop"),
                    ("trail", "trail"),
                    ("oco", "oco"),
                    ("stop_loss", "sl"),
                    ("take_profit", "tp"),
                    ("time_in_force", "force"),
                )
                if given.get(key) is not None
            }
            if given.get("post"):
                more["post_only"] = True
            if given.get("expires") is not None:
                seconds = given["expires"] - me.now_ns // 10**9
                more["expires"] = timedelta(seconds=seconds)
            handles.append(await (me.buy if buy else me.sell)("BTCUSD", volume, **more))
        case ("cancel", place, volume):
            await handles[place].cancel(volume)
        case ("cancel_exit", place, leg, volume):
            await handles[place].exits[leg].cancel(volume)


TestKinds = Kinds.TestCase
TestKinds.settings = settings(max_examples=examples(150), stateful_step_count=25)
