"""Plays a case of commands on bars with the product: a strategy that issues them, and its record.

A case is plain data: ``pair``, ``rules``, ``cash``, ``bars`` (rows of open second, prices, volume)
and ``commands`` (rows of second, verb, label, arguments). Labels name orders: ``a``; the parts of a
split ``a.0``, ``a.1``; the exits of a spot bracket ``a.x0``; the orders to close a position have
labels of their own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import backtest
from backtest.actors import EventKind, OrderEvent
from backtest.errors import OrderRejected
from backtest.models import Asset, Bar, Fill, TradingPair, TradingRules
from backtest.strategies import Strategy
from tests.models.common import Case, Outcome

__all__ = ["BAR", "DIGITS", "PAIR", "SECOND", "merged", "play"]

SECOND, BAR, PAIR = 10**9, 60, "BTCUSD"
DIGITS = 12
"""To which the equity is compared: a share of a cost can have more."""
OPENING = ("buy", "sell", "long", "short")


def play(case: Case) -> Outcome:
    """What the product makes of ``case``, in the words of the models."""
    script = Script()
    script.case = case
    result = backtest.run(
        script,
        data=[bar_of(row) for row in case["bars"]],
        pair=pair_of(case["pair"]),
        cash={name: dict(owned) for name, owned in case["cash"].items()},
        accounts={"script": list(case["cash"])},
        rules=TradingRules.from_mapping(case["rules"]),
        netting=case.get("netting", False),
        margin_mode="cross" if case.get("cross") else "isolated",
    )
    labels = script.labels()
    fills = [fill_row(fill, labels) for fill in result.fills]
    insurance = result.ledger.balances().get("insurance", {})
    return {
        "answers": [[*command[:3], answer] for command, answer in script.answers],
        "fills": merged(fills, case.get("netting", False)),
        "ends": script.ends(labels),
        "orders": {label: order_row(handle) for label, handle in script.known().items()},
        "balances": script.balances,
        "levels": script.levels,
        "final": {
            f"{account} {asset}": [both["available"], both["unavailable"]]
            for account, owned in result.balances.items()
            for asset, both in owned.items()
        },
        "insurance": sum((sum(both) for both in insurance.values()), Decimal(0)),
        "equity": round(result.final_equity, DIGITS),
    }


def bar_of(row: Any) -> Bar:
    """The product's bar of a row of a case."""
    first, high, low, last = (Decimal(price) for price in row[1:5])
    volume = None if row[5] is None else Decimal(row[5])
    opened, closed = row[0] * SECOND, (row[0] + BAR) * SECOND
    return Bar(PAIR, opened, closed, first, high, low, last, volume)


def pair_of(given: Any) -> TradingPair:
    """The product's pair of a case."""
    least = given.get("min_volume")
    return TradingPair(
        PAIR,
        Asset("BTC", given.get("base", 8)),
        Asset("USD", given.get("quote", 8)),
        price_increment=Decimal(given["price"]),
        volume_increment=Decimal(given["volume"]),
        min_volume=None if least is None else Decimal(least),
        min_notional=Decimal(given.get("min_notional", 0)),
        contract_size=Decimal(given.get("contract", 1)),
    )


def fill_row(fill: Fill, labels: dict[UUID, str]) -> list[Any]:
    """A fill in the words of the models."""
    return [
        fill.timestamp_ns // SECOND,
        labels.get(fill.branch_id, "?"),
        fill.kind,
        fill.direction.sign,
        fill.price,
        fill.volume,
        fill.fee,
        "maker" if fill.maker else "taker",
        fill.point,
        fill.realised_pnl,
    ]


def merged(fills: list[list[Any]], netting: bool) -> list[list[Any]]:
    """Fills where one that closes several lots counts as one; where these may belong to several
    handles (``netting``), it is nobody's."""
    found: list[list[Any]] = []
    for row in fills:
        if netting and row[2] in ("netting", "liquidation"):
            row = [row[0], "", *row[2:]]
        before = found[-1] if found else [None] * len(row)
        same = all(before[at] == row[at] for at in (0, 1, 2, 3, 4, 7, 8))
        if same and row[2] != "entry":
            for at in (5, 6, 9):
                before[at] += row[at]
        else:
            found.append(row)
    return found


def order_row(handle: Any) -> list[Any]:
    """How an order stands at the end: filled, pending, open, and why it ended."""
    if handle.is_rejected:
        return ["REJECTED"]
    return [handle.filled_volume, handle.leaves, handle.open_volume, handle.end_reason]


class Script(Strategy):
    """Issues the commands of a case, each at its second, and keeps what it is answered."""

    case: Any = None

    def on_start(self) -> Any:
        self.handles: dict[str, Any] = {}
        self.closes: dict[str, Any] = {}
        self.answers: list[tuple[Any, str]] = []
        self.balances: list[dict[str, list[Decimal]]] = []
        self.levels: list[dict[str, list[Decimal | None]]] = []
        self.events: list[OrderEvent] = []
        commands, bars = self.case["commands"], self.case["bars"]
        closes = {row[0] + BAR for row in bars}
        self.due: dict[int, list[Any]] = {}
        for command in commands:
            self.due.setdefault(command[0], []).append(command)
        for second in self.due:
            if second not in closes and second != bars[0][0]:
                self.set_timer(str(second), at=datetime.fromtimestamp(second, UTC))
        return self.issue(bars[0][0])

    async def on_bar(self, bar: Bar) -> None:
        self.balances.append(
            {
                f"{account} {asset}": [view.available, view.unavailable]
                for account, owned in self.case["cash"].items()
                for asset in owned
                for view in [self.balance(asset, account)]
            }
        )
        self.levels.append(
            {
                label: [handle.liquidation_price, handle.open_volume]
                for label, handle in self.handles.items()
                if handle.open_volume
            }
        )
        await self.issue(bar.close_ns // SECOND)

    async def on_timer(self, name: str) -> None:
        await self.issue(int(name))

    def on_order(self, event: OrderEvent) -> None:
        if event.kind is EventKind.CANCELLED:
            self.events.append(event)

    async def issue(self, second: int) -> None:
        for command in self.due.get(second, ()):
            _, verb, label, given = command
            try:
                answer = await self.carry_out(verb, label, dict(given))
            except OrderRejected as refusal:
                answer = refusal.reason.value
            self.answers.append((command, answer))
            if self.case["rules"].get("fill_on") == "this_close":
                await self.sleep(0)  # a fill at this close is an event of its own

    async def carry_out(self, verb: str, label: str, given: dict[str, Any]) -> str:
        if "expires" in given:
            given["expires"] = datetime.fromtimestamp(given["expires"], UTC)
        if verb in OPENING:
            self.handles[label] = getattr(self, verb)(PAIR, given.pop("volume"), **given)
            await self.handles[label]
            return "ok"
        if verb == "cancel_close":
            if label not in self.closes:
                return "skipped"
            await self.closes[label].cancel()
            return "ok"
        handle = self.known().get(label)
        if handle is None or handle.is_rejected:
            return "skipped"
        if verb == "close":
            name = given.pop("as")
            close = handle.close(**given)
            await close
            self.closes[name] = close
        elif verb == "split":
            for number, part in enumerate(await handle.split(**given)):
                self.handles[f"{label}.{number}"] = part
        else:
            await getattr(handle, verb)(**given)
        return "ok"

    def known(self) -> dict[str, Any]:
        """All handles by label, exits included."""
        found = dict(self.handles)
        for label, handle in self.handles.items():
            for number, exit in enumerate(handle.exits):
                found[f"{label}.x{number}"] = exit
        return found

    def labels(self) -> dict[UUID, str]:
        """Labels by the id of the branch."""
        return {handle.id: label for label, handle in self.known().items()}

    def ends(self, labels: dict[UUID, str]) -> dict[str, list[Any]]:
        """What was cancelled of each order, and why."""
        found: dict[str, list[Any]] = {}
        for event in self.events:
            label = "?" if event.branch_id is None else labels.get(event.branch_id, "?")
            reason = None if event.reason is None else event.reason.value
            volume = None if event.order is None else event.order.cancel_volume
            found.setdefault(label, []).append([reason, volume])
        return found
