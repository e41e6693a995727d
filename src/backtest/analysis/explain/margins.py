"""The positions of a chain in its replay in numbers, and where they are liquidated."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from backtest.analysis.explain.chain import Chain
from backtest.analysis.explain.waits import Line
from backtest.analysis.tables.tables import items
from backtest.models import LeverageKind
from backtest.money import ONE, ZERO, add, div, round_up, sub
from backtest.services.margin.linear import liquidation_level, margin_basis
from backtest.services.settlement.pool import EMPTY, Pool

__all__ = ["Margins"]

_Key = str | tuple[str, str]
"""The position of a branch; of an account that nets, its one in a pair."""


class Margins:
    """Volume, cost and margin of positions, event by event: fills bring them, and what came back of
    the margin is told by the transactions."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._pools: dict[_Key, Pool] = {}
        self._sums: dict[str, tuple[Decimal, Decimal]] = {}
        """By branch: what the margin of its fills is worked out from, and that margin."""
        self._splits: dict[str, tuple[Pool, dict[str, Decimal]]] = {}
        """By branch that is split: what it had, and what each of its parts has of the volume."""

    def tell(self, event: Line) -> None:
        """An event happens, of the chain or of another on the same position."""
        order = self._chain.orders.get(event["order_id"])
        if order is None or order["order_kind"] != "trading":
            return
        kind = event["kind"]
        if kind == "filled":
            self._filled(order, event)
        elif kind in ("closed", "liquidated"):
            self._closed(order, event)
        elif kind in ("charged", "margin_used"):
            pool = self._pools.get(self._key(order))
            if pool is not None:
                margin = sub(pool.margin, self._returned(event))
                self._pools[self._key(order)] = pool._replace(margin=margin)
        elif kind == "split" and order["fill_timestamp"]:
            volumes = [Decimal(one) for one in items(event["parts"])]
            self._split(order, self._chain.parts_of(order, len(volumes)), volumes)

    def liquidation(self, order: Line) -> Decimal | None:
        """The price at which the position is liquidated that ``order`` is of; None: at none."""
        pool = self._pools.get(self._key(order), EMPTY)
        if not pool.volume or order["account"] in self._chain.crossed:
            return None
        rules, pair = self._chain.rules.rules, self._chain.rules.pair
        return liquidation_level(
            order["direction"] == "LONG",
            pool.cost,
            pair.worth(pool.volume, ONE),
            pool.margin,
            rules.maintenance,
            pair.price_increment,
        )

    def _key(self, order: Line) -> _Key:
        if order["account"] in self._chain.netting:
            return order["account"], order["pair"]
        return order["branch_id"]

    def _filled(self, order: Line, event: Line) -> None:
        rules, pair = self._chain.rules.rules, self._chain.rules.pair
        key, branch, volume = self._key(order), order["branch_id"], Decimal(event["volume"])
        price = Decimal(self._chain.fills[event["entry_id"]]["price"])
        before, posted = self._sums.get(branch, (ZERO, ZERO))
        basis = add(before, margin_basis(rules, pair.worth(volume, price), volume))
        margin = basis
        if rules.leverage_kind is LeverageKind.MULTIPLIER:
            margin = div(basis, Decimal(order["leverage"]))
        margin = round_up(margin, pair.quote.step)
        self._sums[branch] = (basis, margin)
        pool = self._pools.get(key, EMPTY)
        self._pools[key] = pool.filled(volume, price, sub(margin, posted), pair.contract_size)

    def _closed(self, order: Line, event: Line) -> None:
        key, volume = self._key(order), Decimal(event["volume"])
        pool = self._pools.get(key, EMPTY)
        if volume >= pool.volume:
            self._pools.pop(key, None)
            return
        cost = pool.share(volume, self._chain.rules.pair.contract_size)
        self._pools[key] = pool._replace(
            volume=sub(pool.volume, volume),
            cost=sub(pool.cost, cost),
            margin=sub(pool.margin, self._returned(event)),
        )

    def _split(self, order: Line, parts: Sequence[Line], volumes: Sequence[Decimal]) -> None:
        """Of several orders of one position one after the other is told: with the last all of it
        is with the parts."""
        if order["account"] in self._chain.netting:
            return
        branch, pair = order["branch_id"], self._chain.rules.pair
        whole, shares = self._splits.setdefault(branch, (self._pools.get(branch, EMPTY), {}))
        for part, volume in zip(parts, volumes, strict=True):
            own = part["branch_id"]
            shares[own] = add(shares.get(own, ZERO), volume)
        left = whole.volume
        for volume in shares.values():
            left = sub(left, volume)
        pools = whole.divided([*shares.values(), left], pair.contract_size, pair.quote.step)
        self._pools[branch] = pools.pop()
        self._pools.update(zip(shares, pools, strict=True))

    def _returned(self, event: Line) -> Decimal:
        """What came back of the margin of its position, or was taken out of it."""
        total = ZERO
        for leg in self._chain.legs.get(event["entry"], ()):
            is_own = leg["order_id"] == event["order_id"]
            if is_own and leg["transaction_type"] == "RETURN_MARGIN":
                total = sub(total, Decimal(leg["unavailable_balance_change"]))
        return total
