"""What agents traded with each other: what the one pays the other gets, exactly.

Such a trade is one entry with fills of both sides. Its price is one for all, as much is bought as
is sold, and no house account takes a side: spot moves from agent to agent, the PnL of positions
goes through ``clearing``, fees go to ``fees``. Of a spot trade each side is rounded by what its own
order has exchanged so far: the rest, at most one step either way, is ``fees``', and on each pair
never negative in sum.
"""

from __future__ import annotations

from collections.abc import Sequence

from backtest.analysis.tables.exact import text_of
from backtest.analysis.verify.lines import FillLine, Leg, Material
from backtest.analysis.verify.verification import Finding

__all__ = ["Between"]

_SIDES = frozenset({"FILL_BUY", "FILL_SELL", "SPOT_EXCHANGE", "CLOSE_PNL"})
"""What the other side has the opposite of."""
_FEES = frozenset({"FEE_FILL", "FEE_CLOSE"})


class Between:
    """Looks at the entries of a journal, one after the other, and adds up what clearing owes."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._finding = Finding("trades between agents are even")
        self._clearing = Finding("clearing is the unrealised PnL of all positions")
        self._trades = 0
        self._pairs: dict[str, int] = {}
        """By pair that agents trade with each other: how many closes were rounded."""
        self._rests: dict[str, int] = {}
        """By pair: what rounding has left to fees."""
        self._held: dict[str, int] = {}
        """By asset: what clearing has."""
        self._alone: dict[str, str] = {}
        """By pair: the first fill that had no other side."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The checks; none for a run in which nobody traded with another agent."""
        return (self._finding, self._clearing) if self._pairs else ()

    def entry(self, legs: Sequence[Leg], fills: Sequence[FillLine]) -> None:
        """Look at one entry and the fills that it books."""
        for leg in legs:
            if leg.account == "clearing":
                self._held[leg.asset] = self._held.get(leg.asset, 0) + leg.available
                if leg.unavailable:
                    self._clearing.wrong(f"entry {leg.entry} puts something of clearing in reserve")
        bought = [fill for fill in fills if fill.direction == "LONG"]
        sold = [fill for fill in fills if fill.direction == "SHORT"]
        if bought and sold:
            self._trades += 1
            self._trade(legs, bought, sold)
        else:
            for fill in fills:
                self._alone.setdefault(fill.pair, f"order {fill.order} at {fill.time}")

    def _trade(
        self, legs: Sequence[Leg], bought: Sequence[FillLine], sold: Sequence[FillLine]
    ) -> None:
        finding, first = self._finding, bought[0]
        what = f"the trade of entry {legs[0].entry}"
        pair = self._material.pairs[first.pair]
        closes = 0
        for fill in (*bought, *sold):
            finding.differ(f"the pair of {what}", fill.pair, first.pair)
            finding.differ(f"the price of {what}", text_of(fill.price), text_of(first.price))
            finding.differ(f"the kind of {what}", fill.order_kind, first.order_kind)
            closes += fill.kind != "entry" and fill.order_kind == "trading"
        volumes = [sum(fill.volume for fill in side) for side in (bought, sold)]
        finding.differ(f"the volume sold in {what}", text_of(volumes[1]), text_of(volumes[0]))
        notionals = [sum(fill.notional for fill in side) for side in (bought, sold)]
        rest = notionals[0] - notionals[1]
        spot = first.order_kind == "spot"
        # Of spot each side is rounded by itself. A position's fill is worth the same to both; each
        # more of them is rounded by itself, to half a step.
        parts = len(bought) + len(sold)
        allowed = pair.quote_step if spot else (parts * pair.quote_step // 2 if parts > 2 else 0)
        if abs(rest) > allowed:
            finding.wrong(
                f"{what} is worth {text_of(notionals[0])} to who bought and "
                f"{text_of(notionals[1])} to who sold"
            )
        self._pairs[first.pair] = self._pairs.get(first.pair, 0) + closes
        self._money(legs, what, rest if spot else 0, pair.quote)
        self._rests[first.pair] = self._rests.get(first.pair, 0) + (rest if spot else 0)
        if self._rests[first.pair] < 0:
            finding.wrong(f"with {what} rounding has cost fees more than it has left there")

    def _money(self, legs: Sequence[Leg], what: str, rest: int, quote: str) -> None:
        """What is paid is what is got, to the last digit; the ``rest`` of the quote asset that
        rounding leaves is booked for fees."""
        kept, between, gains, fees = self._sums(legs, what)
        if kept != ({quote: rest} if rest else {}):
            self._finding.wrong(f"{what} leaves another rest to fees than its two sides do")
        for name, sums in (
            ("what was paid and delivered", between), ("PnL", gains), ("fees", fees),
        ):  # fmt: skip
            for asset, total in sums.items():
                if total:
                    self._finding.wrong(f"in {what}, {name} sum to {text_of(total)} {asset}")

    def _sums(self, legs: Sequence[Leg], what: str) -> tuple[dict[str, int], ...]:
        """By asset: what rounding left to fees, what was paid and got, PnL, fees."""
        agents = self._material.agents
        kept: dict[str, int] = {}
        between: dict[str, int] = {}
        gains: dict[str, int] = {}
        fees: dict[str, int] = {}
        for leg in legs:
            change = leg.available + leg.unavailable
            if leg.kind in _FEES:
                fees[leg.asset] = fees.get(leg.asset, 0) + change
                if leg.account not in agents and leg.account != "fees":
                    self._finding.wrong(f"{what} pays a fee to {leg.account}")
            elif leg.kind == "CLOSE_PNL":
                gains[leg.asset] = gains.get(leg.asset, 0) + change
                if leg.account not in agents and leg.account != "clearing":
                    self._finding.wrong(f"{what} settles a PnL with {leg.account}")
            elif leg.kind == "ADJUSTMENT" and leg.account == "fees":
                between[leg.asset] = between.get(leg.asset, 0) + change
                kept[leg.asset] = kept.get(leg.asset, 0) + change
            elif leg.kind in _SIDES:
                between[leg.asset] = between.get(leg.asset, 0) + change
                if leg.account not in agents:
                    self._finding.wrong(f"{what} has {leg.account} on a side")
        return kept, between, gains, fees

    # -- the end -----------------------------------------------------------------------------------

    def finish(self) -> None:
        """Once all entries have been looked at: who traded with nobody, and what clearing owes."""
        if not self._pairs:
            return
        for pair, fill in self._alone.items():
            if pair in self._pairs:
                self._finding.wrong(f"the fill of {fill} has no other side")
        self._finding.right = f"{self._trades} trades"
        self._open()
        self._clearing.right = "to a step of the quote asset for each close, and never less"

    def _open(self) -> None:
        """Where positions come in pairs their PnL in all is the same at every mark: what was paid
        for the shorts less what was paid for the longs."""
        net: dict[str, int] = {}
        owed: dict[str, int] = {}
        for code, volume, cost in self._material.positions.open():
            if code in self._pairs:
                quote = self._material.pairs[code].quote
                net[code] = net.get(code, 0) + volume
                owed[quote] = owed.get(quote, 0) - cost
        for pair_code, volume in net.items():
            if volume:
                self._clearing.wrong(f"the open volume of {pair_code} is {text_of(volume)} net")
        closes: dict[str, int] = {}
        steps: dict[str, int] = {}
        for code, count in self._pairs.items():
            pair = self._material.pairs[code]
            closes[pair.quote] = closes.get(pair.quote, 0) + count
            steps[pair.quote] = pair.quote_step
        for asset, count in closes.items():
            held = self._held.get(asset, 0)
            off = held - owed.get(asset, 0)
            if asset not in owed:
                self._clearing.differ(
                    f"what clearing has of {asset}, where nothing is open", text_of(held), "0"
                )
            elif not 0 <= off <= count * steps[asset]:
                told = text_of(owed[asset])
                self._clearing.wrong(
                    f"clearing has {text_of(held)} {asset}, the positions are {told} ahead"
                )
