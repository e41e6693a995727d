"""Orders and money as plain dicts, from semantics.md: one account, one pair, bars of one price.

Whole volumes and prices; commands answer "ok" or the reason of a refusal, which changes nothing.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from heapq import heappop, heappush
from typing import Any

D, ZERO, CENT = Decimal, Decimal(0), Decimal("0.01")
CREATE, CANCEL, MAINTENANCE = D("0.015"), D("0.25"), D("0.05")  # per volume; flat; of the notional
FILL, CLOSE, FLAT = (D("0.0015"), D("0.0005")), (D("0.002"), D("0.001")), D("0.07")  # taker, maker
AT_ONE_PRICE = {"market": 0, "stop": 1, "trailing_stop": 1, "stop_loss": 2, "liquidation": 3}
STOPS = ("stop", "stop_loss", "trailing_stop")
Order = dict[str, Any]


def up(amount: Decimal, step: Decimal = CENT) -> Decimal:
    return amount.quantize(step, ROUND_CEILING)


def share(amount: Decimal, part: int, whole: int, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    return amount if part == whole else (amount * part / whole).quantize(CENT, rounding)


def tally() -> Order:
    """What one order came to: its fees unrounded, whether the flat one is due, what was paid."""
    return {"raw": ZERO, "flat": False, "paid": ZERO}


class Model:
    def __init__(self, usd: int, btc: int) -> None:
        self.money = {"USD": [D(usd), ZERO], "BTC": [D(btc), ZERO]}
        self.branches: list[Order] = []
        self.last, self.sequence, self.insurance = 0, 0, ZERO

    def working(self, kind: str, buy: bool, price: Any, volume: int, **more: Any) -> Order:
        self.sequence += 1
        own = {"kind": kind, "buy": buy, "price": price, "volume": volume, "seq": self.sequence}
        own |= {"limit": None, "trail": None, "tif": "GTC", "post": False, "tally": tally()}
        return own | {"fresh": True, "triggered": False} | more

    def fee(self, rates: tuple[Decimal, Decimal], b: Order, amount: int) -> Order:
        """The tally of ``b`` after a fill of that amount; ``fee`` is what that costs."""
        old = b["tally"]
        new = {**old, "raw": old["raw"] + rates[b["maker"]] * amount}
        new["flat"] = old["flat"] or rates is FILL
        new["paid"] = up(new["raw"] + (FLAT if new["flat"] else ZERO))
        return new | {"fee": new["paid"] - old["paid"]}

    def reserve(self, b: Order, leaves: int) -> Decimal:
        if not leaves or b["asset"] == "BTC":
            return D(leaves)
        worst = leaves * b["worst"]
        held = D(worst) if b["spot"] else up(D(worst) / b["leverage"])
        return held + Decimal(self.fee(FILL, b, worst)["fee"])

    def parted(self, b: Order, parts: list[Order]) -> None:
        """``parts`` are to be what is pending of ``b``."""

    def price(self, b: Order) -> None:
        """The worst price of an order sent now, and whether it would rest."""
        own, buy, last = b["price"], b["buy"], self.last
        against = last
        if b["kind"] == "stop_limit":
            own, against = b["limit"], b["price"]
        limit = b["kind"] in ("limit", "stop_limit")
        b["maker"] = limit and (own < against if buy else own > against)
        if b["kind"] in STOPS or (b["kind"] == "market" and buy):
            own = int(up(D(own or last) * D("1.05"), D(1)))
        b["worst"] = own if buy else max(own or last, last)

    def passed(self, buy: bool, price: int, stop: int | None, target: int | None) -> bool:
        low, high = (stop, target) if buy else (target, stop)
        return (low is not None and price <= low) or (high is not None and price >= high)

    def move(self, asset: str, available: Decimal, unavailable: Decimal = ZERO) -> None:
        both = self.money[asset]
        both[0], both[1] = both[0] + available, both[1] + unavailable
        assert min(both) >= 0

    def hold(self, b: Order, reserved: Decimal, fee: Decimal = ZERO) -> bool:
        more, usd = reserved - b["reserved"], self.money["USD"][0]
        if more + (fee if b["asset"] == "USD" else ZERO) > self.money[b["asset"]][0] or fee > usd:
            return False
        self.move(b["asset"], -more, more)
        self.move("USD", -fee)
        b["reserved"] = reserved
        return True

    def create(
        self,
        spot: bool,
        buy: bool,
        kind: str,
        volume: int,
        price: int | None = None,
        leverage: int = 1,
        stop_loss: int | None = None,
        target: int | None = None,
        **terms: Any,
    ) -> str:
        if kind == "trailing_stop":
            price = self.last + (terms["trail"] if buy else -terms["trail"])
        b = self.working(
            kind,
            buy,
            price,
            volume,
            spot=spot,
            leverage=leverage,
            sl=stop_loss,
            tp=target,
            filled=0,
            cancelled=0,
            reserved=ZERO,
            prot=tally(),
            parts=[],
            replaced=False,
            reason=None,
            asset="USD" if buy or not spot else "BTC",
            **terms,
        )
        self.price(b)
        if b["post"] and (kind not in ("limit", "stop_limit") or b["tif"] in ("IOC", "FOK")):
            return "INVALID_ACTION"
        if b["post"] and not b["maker"]:
            return "WOULD_TAKE"
        if self.passed(buy, b["limit"] or price or self.last, stop_loss, target):
            return "PROTECTION_SIDE"
        if not self.hold(b, self.reserve(b, volume), up(CREATE * volume)):
            return "INSUFFICIENT_FUNDS"
        self.branches.append(b)
        return "ok"

    def cancel(self, b: Order, volume: int | None = None, reason: str = "REQUESTED") -> str:
        if not b["volume"]:
            pending = [(p, e) for p in b["parts"] for e in p["exits"] if "explicit" in e]
            for p, e in pending:
                p["exits"].remove(e)
            return "ok" if pending else "ALREADY_DONE"
        volume = volume or b["volume"]
        if volume > b["volume"]:
            return "STALE"
        left = b["volume"] - volume
        self.hold(b, min(b["reserved"], self.reserve(b, left)))
        short = max(ZERO, CANCEL - self.money["USD"][0])
        self.move("USD", short - CANCEL)
        self.insurance -= short
        b.update(volume=left, cancelled=b["cancelled"] + volume, reason=reason)
        return "ok"

    def modify(
        self,
        b: Order,
        volume: int | None = None,
        price: int | None = None,
        stop_loss: int | None = None,
    ) -> str:
        field = "limit" if b["kind"] == "stop_limit" else "price"
        new = {**b, field: price or b[field], "sl": stop_loss or b["sl"]}
        if not b["volume"] and (volume or price or not b["parts"]):
            return "ALREADY_DONE"
        if price and b["triggered"]:
            return "INVALID_ACTION"
        about = new[field] or self.last
        if b["volume"] and self.passed(b["buy"], about, new["sl"], b["tp"]):
            return "PROTECTION_SIDE"
        if any(self.passed(p["buy"], self.last, stop_loss, None) for p in b["parts"]):
            return "PROTECTION_SIDE"
        if b["volume"]:
            new["volume"] = b["volume"] if volume is None else volume - b["filled"]
            if new["volume"] <= 0:
                return self.cancel(b, None, "MODIFIED_AWAY")
            keeps_place = new["volume"] <= b["volume"] and not price and not stop_loss
            if not keeps_place:
                self.price(new)
                if b["post"] and not new["maker"]:
                    return "WOULD_TAKE"
                if not price and new["volume"] <= b["volume"]:
                    new["worst"] = b["worst"]
            same = all(new[key] == b[key] for key in ("volume", "worst", "maker"))
            reserved = b["reserved"] if same else self.reserve(new, new["volume"])
            if not self.hold(new, reserved, up(CREATE * max(0, new["volume"] - b["volume"]))):
                return "INSUFFICIENT_FUNDS"
            if not keeps_place:
                new.update(seq=self.working("", True, 0, 0)["seq"], fresh=True)
            b.update(new)
        for p in b["parts"] if stop_loss else ():
            p["exits"] = [e for e in p["exits"] if e["kind"] != "stop_loss"]
            own = self.working("stop_loss", not p["buy"], stop_loss, p["volume"], tally=b["prot"])
            p["exits"].append(own)
        return "ok"

    def split(self, b: Order, volumes: list[int]) -> str:
        pending = b["volume"]
        if not pending and not b["parts"]:
            return "ALREADY_DONE"
        if not pending and any("explicit" in e for p in b["parts"] for e in p["exits"]):
            return "STALE"
        if sum(volumes) != (pending or sum(p["volume"] for p in b["parts"])):
            return "STALE"
        new = [{**b, "cancelled": 0, "parts": [], "reason": None} for _ in volumes]
        for own, volume in zip(new, volumes, strict=True):
            own |= {"filled": 0 if pending else volume, "left": volume}
            own |= {"tally": tally(), "prot": tally(), "volume": volume if pending else 0}
        self.parted(b, new)
        for own in new if pending else ():
            own["reserved"] = self.reserve(own, own["volume"])
        if pending and not self.hold(b, sum((own["reserved"] for own in new), ZERO)):
            return "INSUFFICIENT_FUNDS"
        for p in () if pending else b["parts"]:
            whole, margin = p["volume"], p["margin"]
            while whole:
                own = next(one for one in new if one["left"])
                volume = min(whole, own["left"])
                part = share(margin, volume, whole)
                whole, margin, own["left"] = whole - volume, margin - part, own["left"] - volume
                exits = [
                    {**e, "volume": volume}
                    | {"tally": tally() if e["kind"] == "liquidation" else own["prot"]}
                    for e in p["exits"]
                ]
                own["parts"].append({**p, "volume": volume, "margin": part, "exits": exits})
        self.branches += new
        b.update(volume=0, reserved=ZERO, replaced=True, parts=b["parts"] if pending else [])
        return "ok"

    def close(
        self,
        b: Order,
        volume: int | None = None,
        kind: str = "market",
        price: int | None = None,
        **terms: Any,
    ) -> str:
        total = sum(p["volume"] for p in b["parts"])
        left = volume or total
        if not total or left > total:
            return "STALE" if total else "ALREADY_DONE"
        terms["tally"] = tally()
        for p in b["parts"]:
            part = min(left, p["volume"])
            if part:
                if kind == "trailing_stop":
                    price = self.last - (terms["trail"] if p["buy"] else -terms["trail"])
                own = self.working(kind, not p["buy"], price, part, explicit=True, **terms)
                p["exits"].append(own)
            left -= part
        return "ok"

    def bar(self, price: int, volume: int | None) -> None:
        self.pools = {True: volume, False: volume}
        self.heap: list[Any] = []
        self.last = price
        for b in self.branches:
            if b["volume"] and self.met(b, None):
                self.push(b, None)
        for b in self.branches:
            for p in b["parts"]:
                self.push_lane(b, p)
        while self.heap:
            *_, e, lane = heappop(self.heap)
            if lane and lane["events"]:
                self.push(lane["events"].pop(0), lane)
            self.attempt(e, lane)
        for b in self.branches:
            for e in (b, *(e for p in b["parts"] for e in p["exits"])):
                e["fresh"] = False
                if e["kind"] == "trailing_stop" and not e["triggered"]:
                    buy, away = e["buy"], e["trail"]
                    e["price"] = (
                        min(e["price"], price + away) if buy else max(e["price"], price - away)
                    )
        met = [b for b in self.branches if b["kind"] in ("market", "limit") or b["triggered"]]
        for b in sorted(met, key=lambda b: b["seq"]):
            if b["volume"] and b["tif"] in ("IOC", "FOK"):
                reasons = {"IOC": "IMMEDIATE_OR_CANCEL", "FOK": "FILL_OR_KILL"}
                self.cancel(b, None, reasons[b["tif"]])
        for b in self.branches:
            if b["volume"] and type(b["tif"]) is int:
                b["tif"] -= 1
                if not b["tif"]:
                    self.cancel(b, None, "EXPIRED")

    def met(self, e: Order, p: Order | None) -> bool:
        if e["kind"] == "market" or e["triggered"]:
            return True
        if p and e["kind"] == "liquidation":
            gain = (self.last - p["entry"]) * p["volume"] * (1 if p["buy"] else -1)
            return bool(p["margin"] + gain <= MAINTENANCE * self.last * p["volume"])
        if e["kind"] == "stop_limit" and (
            self.last >= e["price"] if e["buy"] else self.last <= e["price"]
        ):
            e.update(kind="limit", price=e["limit"], fresh=True)  # takes where it triggers
        rises = e["buy"] is not (e["kind"] in ("limit", "take_profit"))
        if e["kind"] == "stop_limit":
            return False
        return bool(self.last >= e["price"] if rises else self.last <= e["price"])

    def rank(self, e: Order) -> tuple[bool, int, int]:
        limit = e["kind"] in ("limit", "take_profit")
        return limit, (-e["price"] if e["buy"] else e["price"]) if limit else 0, e["seq"]

    def push(self, e: Order, lane: Order | None) -> None:
        heappush(self.heap, (*self.rank(e), self.working("", True, 0, 0)["seq"], e, lane))

    def push_lane(self, b: Order, p: Order) -> None:
        met = [e for e in p["exits"] if self.met(e, p)]
        met.sort(key=lambda e: (AT_ONE_PRICE.get(e["kind"], 4), *self.rank(e)[1:]))
        stopped = any(e["triggered"] and e["kind"] == "stop_loss" for e in p["exits"])
        if met:
            self.push(met[0], {"b": b, "p": p, "events": met[1:], "stopped": stopped})

    def attempt(self, e: Order, lane: Order | None) -> None:
        kind, volume = e["kind"], e["volume"]
        if lane:
            if lane["stopped"] and kind not in ("stop_loss", "liquidation"):
                return
            lane["stopped"] = lane["stopped"] or kind == "stop_loss"
            volume = min(volume, lane["p"]["volume"])
        e["triggered"] = e["triggered"] or (volume > 0 and kind in STOPS)
        if volume and e["post"] and e["fresh"]:
            self.cancel(e, None, "WOULD_TAKE")
            return
        pool = self.pools[e["buy"]]
        if kind == "liquidation":
            volume = lane["p"]["volume"]  # type: ignore[index]
        elif pool is not None:
            volume = min(volume, 0 if e["tif"] == "FOK" and pool < volume else pool)
        if volume and lane:
            self.close_part(lane["b"], lane["p"], e, volume)
        elif volume and self.passed(e["buy"], self.last, e["sl"], e["tp"]):
            self.cancel(e, None, "PROTECTION_PASSED")
            return
        elif volume:
            volume = self.fill(e, volume)
        if pool is not None and kind != "liquidation":
            self.pools[e["buy"]] = pool - volume

    def fill(self, b: Order, volume: int) -> int:
        """Fill ``volume`` at the bar's price, or what the money allows; what did fill."""
        price, rests = self.last, {"maker": b["kind"] == "limit" and not b["fresh"]}
        usd = self.money["USD"][0]
        money = b["reserved"] + usd if b["asset"] == "USD" else usd

        def after(some: int) -> Order:
            return self.fee(FILL, {**b, **rests}, some * price)

        def cost(some: int, at: int) -> tuple[Decimal, Decimal]:
            fee = after(some)["fee"]
            if b["spot"]:
                return D(some * price) * (1 if b["buy"] else -1), fee
            return up(D(some * at) / b["leverage"]), fee

        def keeps(some: int) -> Decimal:
            return self.reserve({**b, "tally": after(some)}, left - some)

        at, left, wanted = price, b["volume"], volume
        kept = ZERO if b["asset"] == "BTC" else keeps(volume)
        if not b["spot"] and not b["buy"] and sum(cost(volume, at)) + kept > money:
            at = min(at, b["worst"])
        while volume and sum(cost(volume, at)) > money:
            volume = volume - 1 if b["asset"] == "USD" and b["tif"] != "FOK" else 0
        if volume:
            paid, fee = cost(volume, at)
            if b["asset"] == "BTC":
                kept = D(left - volume)
                self.move("BTC", ZERO, D(-volume))
                self.move("USD", -paid - fee)
            else:
                kept = min(keeps(volume), money - paid - fee)
                margin = ZERO if b["spot"] else paid
                free = b["reserved"] - kept
                self.move("USD", free - paid - fee, margin - free)
                if b["spot"]:
                    self.move("BTC", D(volume))
                else:
                    self.open(b, volume, paid)
            b["tally"].update(after(volume))
            b.update(volume=left - volume, reserved=kept, filled=b["filled"] + volume)
        if volume < wanted:
            self.cancel(b, None, "INSUFFICIENT_FUNDS")
        elif b["asset"] == "USD" and b["volume"] and not self.money["USD"][0]:
            # The fill took of the reserve of the leaves: what that covers no more ends.
            covered = b["volume"]
            while covered and self.reserve(b, covered) > b["reserved"]:
                covered -= 1
            if covered < b["volume"]:
                self.cancel(b, b["volume"] - covered, "INSUFFICIENT_FUNDS")
        return volume

    def open(self, b: Order, volume: int, margin: Decimal) -> None:
        kinds = {"stop_loss": b["sl"], "liquidation": 0, "take_profit": b["tp"]}
        p = {"buy": b["buy"], "volume": volume, "margin": margin, "entry": self.last}
        p["exits"] = [
            self.working(kind, not b["buy"], price, volume, fresh=False)
            | ({} if kind == "liquidation" else {"tally": b["prot"]})
            for kind, price in kinds.items()
            if price is not None
        ]
        b["parts"].append(p)
        self.push_lane(b, p)

    def close_part(self, b: Order, p: Order, e: Order, volume: int) -> None:
        gain = D((self.last - p["entry"]) * volume * (1 if p["buy"] else -1))
        margin = share(p["margin"], volume, p["volume"], ROUND_FLOOR)
        rests = {"maker": e["kind"] in ("limit", "take_profit") and not e["fresh"]}
        e["tally"].update(self.fee(CLOSE, {**e, **rests}, volume * self.last))
        fee = e["tally"]["fee"]
        # What the share of the margin does not bear, the rest of it does.
        margin += max(ZERO, min(-margin - gain, p["margin"] - margin))
        lost = max(ZERO, -margin - gain)
        left = max(ZERO, margin + gain)
        if e["kind"] != "liquidation":
            left += self.money["USD"][0]
        more = max(ZERO, min(fee - left, p["margin"] - margin))
        margin, left = margin + more, left + more
        borne = lost + max(ZERO, fee - left)
        self.insurance -= borne
        self.move("USD", margin + gain - fee + borne, -margin)
        p.update(volume=p["volume"] - volume, margin=p["margin"] - margin)
        e["volume"] -= volume
        if not p["volume"]:
            b["parts"].remove(p)
            return
        if e["volume"] <= 0:
            p["exits"].remove(e)
        for one in p["exits"]:
            if one["kind"] == "liquidation" and self.met(one, p):  # its level is another now
                self.push(one, {"b": b, "p": p, "events": [], "stopped": False})
