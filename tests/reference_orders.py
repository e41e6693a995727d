"""Every kind of spot order as plain dicts, from semantics.md: no fees, bars of one price.

Written from the rules, not from the code. Whole volumes and prices, one account, one pair; there
is always money enough, but not always bitcoin.
"""

from __future__ import annotations

from typing import Any

Order = dict[str, Any]
TRIGGERS = ("stop", "stop_limit", "trailing_stop")


class Model:
    """Orders in the order of acceptance; ``usd`` and ``btc`` as (available, unavailable)."""

    def __init__(self, usd: int, btc: int) -> None:
        self.usd, self.btc = [usd, 0], [btc, 0]
        self.orders: list[Order] = []
        self.sequence = self.last = self.now = 0

    def met(self, o: Order, price: int) -> bool:
        """Whether a limit or stop condition holds at ``price``."""
        if o["kind"] == "market" or (o["triggered"] and o["kind"] != "stop_limit"):
            return True
        at, rises = o["stop"], o["buy"]
        if o["kind"] == "limit" or o["triggered"]:
            at, rises = o["limit"], not o["buy"]
        return bool(price >= at if rises else price <= at)

    def worst(self, o: Order) -> int:
        """The price for which a buy reserves: its limit, else 5 % above, rounded up."""
        if o["limit"] is not None:
            return int(o["limit"])
        return -(-(o["stop"] or self.last) * 105 // 100)

    def hold(self, o: Order, leaves: int) -> None:
        """Change the reserve to that of ``leaves``."""
        own, new = (self.usd, leaves * o["worst"]) if o["buy"] else (self.btc, leaves)
        own[0], own[1] = own[0] + o["held"] - new, own[1] - o["held"] + new
        o["held"] = new

    def create(self, buy: bool, kind: str, volume: int, **given: Any) -> str:
        o: Order = {"buy": buy, "kind": kind, "leaves": volume, "limit": None, "stop": None}
        o |= {"trail": None, "oco": None, "force": "GTC", "expires": None, "post": False}
        o |= {"sl": None, "tp": None, "filled": 0, "cancelled": 0, "reason": None, "held": 0}
        o |= {"triggered": False, "fresh": True, "exit": False} | given
        if kind == "trailing_stop":
            o["stop"] = self.last + o["trail"] * (1 if buy else -1)
            if o["stop"] <= 0:
                return "INVALID_PRICE"
        if o["post"] and self.met(o, self.last):
            return "WOULD_TAKE"
        about = o["limit"] or o["stop"] or self.last
        if (o["sl"] or about - 1) >= about or (o["tp"] or about + 1) <= about:
            return "PROTECTION_SIDE"
        group = [one for one in self.orders if o["oco"] is not None and one["oco"] == o["oco"]]
        if any(one["leaves"] and one["filled"] for one in group):
            return "ONE_CANCELS_OTHER"
        o["worst"] = self.worst(o)
        if not buy and volume > self.btc[0]:
            return "INSUFFICIENT_FUNDS"
        self.add(o)
        return "ok"

    def add(self, o: Order) -> None:
        self.sequence += 1
        o["seq"] = self.sequence
        self.hold(o, o["leaves"])
        self.orders.append(o)

    def cancel(self, o: Order, volume: int | None = None, reason: str = "REQUESTED") -> str:
        if not o["leaves"]:
            return "ALREADY_DONE"
        volume = o["leaves"] if volume is None else volume
        if volume > o["leaves"]:
            return "STALE"
        o.update(leaves=o["leaves"] - volume, cancelled=o["cancelled"] + volume, reason=reason)
        self.hold(o, o["leaves"])
        return "ok"

    def bar(self, price: int, volume: int | None, opens: int, closes: int) -> None:
        """The bar from ``opens`` to ``closes``, all at one price."""
        self.expire(opens)
        pools = {True: volume, False: volume}
        for rank in self.ranked(price):
            self.attempt(rank, price, pools)
        self.last, self.now = price, closes
        for o in self.orders:
            if o["trail"] and o["leaves"] and not o["triggered"]:
                if o["buy"]:
                    o["stop"] = min(o["stop"], price + o["trail"])
                else:
                    o["stop"] = max(o["stop"], price - o["trail"])
            o["fresh"] = False
        # What expires inside a bar took part at its open only, which was all there is.
        self.expire(closes)

    def expire(self, now: int) -> None:
        for o in self.orders:
            if o["leaves"] and o["expires"] is not None and o["expires"] <= now:
                self.cancel(o, None, "EXPIRED")

    def ranked(self, price: int) -> list[Order]:
        """What meets the bar: what takes, by acceptance; then limits, the better price first."""

        def key(o: Order) -> tuple[bool, int, int]:
            limit = o["limit"] if not self.stops(o, price) else None
            if limit is None:
                return False, 0, o["seq"]
            return True, -limit if o["buy"] else limit, o["seq"]

        return sorted((o for o in self.orders if o["leaves"]), key=key)

    def stops(self, o: Order, price: int) -> bool:
        """Whether the stop side of a bracket's exit is what acts at ``price``."""
        if not o["exit"]:
            return False
        return o["triggered"] or (o["stop"] is not None and price <= o["stop"])

    def attempt(self, o: Order, price: int, pools: dict[bool, int | None]) -> None:
        if not o["leaves"]:
            return  # cancelled by a partner meanwhile
        if o["exit"]:
            if not self.stops(o, price) and (o["limit"] is None or price < o["limit"]):
                return
            o["triggered"] = self.stops(o, price)
            meets = True
        else:
            meets = self.met(o, price)
            if meets and o["kind"] in TRIGGERS and not o["triggered"]:
                o["triggered"] = True
                meets = self.met(o, price)
        if o["post"] and o["fresh"] and meets:
            self.cancel(o, None, "WOULD_TAKE")
            return
        pool = pools[o["buy"]]
        room = o["leaves"] if pool is None else min(pool, o["leaves"])
        some = room if meets else 0
        if o["force"] == "FOK" and some < o["leaves"]:
            self.cancel(o, None, "FILL_OR_KILL")
            return
        if some and o["buy"] and ((o["sl"] or 0) >= price or (o["tp"] or price + 1) <= price):
            self.cancel(o, None, "PROTECTION_PASSED")
            return
        if some:
            if pool is not None:
                pools[o["buy"]] = pool - some
            self.fill(o, some, price)
        if o["force"] == "IOC" and o["leaves"]:
            self.cancel(o, None, "IMMEDIATE_OR_CANCEL")

    def fill(self, o: Order, some: int, price: int) -> None:
        o["filled"] += some
        o["leaves"] -= some
        self.hold(o, o["leaves"])
        sign = 1 if o["buy"] else -1
        self.usd[0] -= sign * some * price
        self.btc[0] += sign * some
        if o["oco"] is not None:
            for other in self.orders:
                if other is not o and other["oco"] == o["oco"] and other["leaves"]:
                    self.cancel(other, None, "ONE_CANCELS_OTHER")
        if o["buy"] and (o["sl"] or o["tp"]):
            leg = {**o, "buy": False, "leaves": some, "limit": o["tp"], "stop": o["sl"]}
            leg |= {"kind": "exit", "exit": True, "sl": None, "tp": None, "filled": 0, "held": 0}
            leg |= {"cancelled": 0, "reason": None, "triggered": False, "fresh": False}
            leg |= {"oco": None, "force": "GTC", "expires": None, "post": False, "trail": None}
            o.setdefault("exits", []).append(leg)
            self.add(leg)
