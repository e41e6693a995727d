"""The reference model of a netting account, from semantics.md and docs/fills.md."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.reference_model import CLOSE, FILL, Model, Order, up

__all__ = ["NettingModel"]


class NettingModel(Model):
    """A fill first closes the other side, oldest first; only what is beyond it reserves."""

    opened = 0

    def price(self, b: Order) -> None:
        super().price(b)
        if b["spot"] or "offset" in b:
            return
        there = sum(p["volume"] for _, p in self.opposite(b))
        for other in self.branches:
            if not other["spot"] and other["buy"] is b["buy"]:
                there -= min(other["offset"], other["volume"])
        b["offset"] = max(0, min(b["volume"], there))

    def opposite(self, b: Order) -> list[tuple[Order, Any]]:
        held = [(one, p) for one in self.branches for p in one["parts"] if p["buy"] is not b["buy"]]
        return sorted(held, key=lambda both: both[1]["born"])

    def reserve(self, b: Order, leaves: int) -> Decimal:
        return super().reserve(b, max(0, leaves - b.get("offset", 0)))

    def parted(self, b: Order, parts: list[Order]) -> None:
        left, whole = b.get("offset", 0), b["volume"]
        for one in parts if whole else ():
            own = round(Fraction(left * one["volume"], whole))
            one["offset"] = min(own, one["volume"])
            left, whole = left - own, whole - one["volume"]

    def fill(self, b: Order, volume: int) -> int:
        if b["tif"] == "FOK" and not b["spot"] and not self.whole(b, volume):
            self.cancel(b, None, "FILL_OR_KILL")
            return 0
        left, rests = volume, {"maker": b["kind"] == "limit" and not b["fresh"]}
        for owner, p in [] if b["spot"] else self.opposite(b):
            part = min(left, p["volume"])
            if part:
                b["offset"] = max(0, b["offset"] - part)
                after = self.fee(CLOSE, {**b, **rests}, part * self.last)
                kept = self.reserve({**b, "tally": after}, b["volume"] - part)
                kept = min(b["reserved"], kept)
                self.move("USD", b["reserved"] - kept, kept - b["reserved"])
                b.update(volume=b["volume"] - part, reserved=kept, filled=b["filled"] + part)
                self.close_part(owner, p, {**b, "volume": part + 1}, part)
            left -= part
        return volume - left + (super().fill(b, left) if left else 0)

    def whole(self, b: Order, volume: int) -> bool:
        """Whether what is beyond the other side can be paid, with what closing that brings."""
        rests = {"maker": b["kind"] == "limit" and not b["fresh"]}
        opens, money, then = volume, b["reserved"] + self.money["USD"][0], {**b, **rests}
        for _, p in self.opposite(b):
            gain = (self.last - p["entry"]) * p["volume"] * (1 if p["buy"] else -1)
            then["tally"] = self.fee(CLOSE, then, p["volume"] * self.last)
            money += max(Decimal(0), p["margin"] + gain) - then["tally"]["fee"]
            opens -= p["volume"]
        at = self.last if b["buy"] else min(self.last, b["worst"])
        fee: Decimal = self.fee(FILL, then, max(0, opens) * self.last)["fee"]
        return opens <= 0 or up(Decimal(opens * at) / b["leverage"]) + fee <= money

    def open(self, b: Order, volume: int, margin: Decimal) -> None:
        super().open(b, volume, margin)
        self.opened += 1
        b["parts"][-1]["born"] = self.opened
