"""Made-up bars from a seed: a geometric random walk with volume, gaps and jumps, for many pairs.

The same arguments give the same bars on every Python and every machine: only the sequence of
`random.Random.random` is drawn from, which Python guarantees, and the numbers meet nothing but the
four operations and square roots, which IEEE 754 fixes to the last bit. So no Box and Muller:
logarithms and cosines differ between C libraries. Prices are whole increments all the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from math import sqrt
from random import Random

from attrs import frozen

from backtest.data._assemble import pair_code
from backtest.data.sources import canonical_digest
from backtest.errors import ConfigError
from backtest.models.bar import Bar, trusted_bar
from backtest.models.bar_length import BarLength
from backtest.models.trading_pair import TradingPair
from backtest.money import decimal_of, div, mul
from backtest.times import MINUTE, to_ns

__all__ = ["SyntheticBars", "synthetic_bars", "synthetic_pairs"]

_START = datetime(2020, 1, 1, tzinfo=UTC)
_CENT = Decimal("0.01")
_LOT = Decimal("0.0001")
_LONGEST_GAP = 10
_STEEPEST = 0.5
"""No bar's return is beyond this, so that a price can neither reach zero nor explode."""


@frozen(kw_only=True)
class _Shape:
    """What the bars look like; see `synthetic_bars`."""

    n: int
    start_ns: int
    bar_ns: int
    price: Decimal
    volatility: float
    drift: float
    volume: Decimal | None
    gap_rate: float
    jump_rate: float
    jump_size: float
    price_increment: Decimal
    volume_increment: Decimal


class SyntheticBars:
    """A source of bars that are made anew, and the same, for each iteration; nothing is kept.

    Made by `synthetic_bars` and `synthetic_pairs`. ``weights`` are those of the normal factors of
    which this pair's returns are made: one factor for a pair alone.
    """

    rounded = False

    def __init__(
        self, pair: str, seed: int, shape: _Shape, factors: Sequence[str], weights: Sequence[float]
    ) -> None:
        self.pair = pair
        self.bar_ns = shape.bar_ns
        self.name = f"synthetic bars (seed {seed})"
        self._seed = seed
        self._shape = shape
        self._factors = tuple(zip(factors, weights, strict=True))
        self._digest: str | None = None

    def __len__(self) -> int:
        return self._shape.n

    def __repr__(self) -> str:
        return f"<{len(self)} {self.name} of {self.pair}>"

    def digest(self) -> str:
        """SHA-256 (hex) of the bars, by `canonical_digest`."""
        if self._digest is None:
            self._digest = canonical_digest(self)
        return self._digest

    def __iter__(self) -> Iterator[Bar]:
        shape = self._shape
        own = _stream(self._seed, "bars", self.pair)
        factors = [(_stream(self._seed, "factor", name), weight) for name, weight in self._factors]
        opens = shape.start_ns
        ticks = _units(shape.price, shape.price_increment)
        mean = 0 if shape.volume is None else _units(shape.volume, shape.volume_increment)
        for _ in range(shape.n):
            shock = 0.0
            for random, weight in factors:
                shock += weight * _normal(random)
            if own.random() < shape.gap_rate:
                opens += shape.bar_ns * (1 + int(own.random() * _LONGEST_GAP))
            move = shape.drift + shape.volatility * shock
            if own.random() < shape.jump_rate:
                move += shape.jump_size * (1.0 if own.random() < 0.5 else -1.0)
            # The market may have moved a little between two bars: a tenth of a bar's step.
            first = _moved(ticks, 0.1 * shape.volatility * (own.random() - 0.5))
            last = _moved(first, move)
            high = _moved(max(first, last), shape.volatility * own.random())
            low = _moved(min(first, last), -shape.volatility * own.random())
            volume = None
            if shape.volume is not None:
                # Busier when prices move: between half and twice the mean, more on a big move.
                busy = (0.5 + own.random()) * (0.75 + 0.25 * min(abs(shock), 8.0))
                volume = mul(Decimal(round(mean * busy)), shape.volume_increment)
            step, ends = shape.price_increment, opens + shape.bar_ns
            o, h = mul(Decimal(first), step), mul(Decimal(high), step)
            lo, c = mul(Decimal(low), step), mul(Decimal(last), step)
            yield trusted_bar(self.pair, opens, ends, o, h, lo, c, volume)
            opens = ends
            ticks = last


def synthetic_bars(
    pair: str | TradingPair,
    n: int,
    seed: int = 0,
    start: datetime | int = _START,
    bar: int | str = MINUTE,
    price: Decimal | int | str = 30_000,
    volatility: float = 0.001,
    *,
    drift: float = 0.0,
    volume: Decimal | int | str | None = 10,
    gap_rate: float = 0.0,
    jump_rate: float = 0.0,
    jump_size: float = 0.03,
) -> SyntheticBars:
    """``n`` bars of one pair: the same for the same arguments, others for another seed or pair.

    Args:
        start: open of the first bar: an aware datetime or nanoseconds.
        bar: length, nanoseconds or ``"1m"``.
        price: open of the first bar, about.
        volatility: standard deviation of a bar's return (0.001 is 0.1 %).
        drift: mean of a bar's return.
        volume: mean volume of a bar, in base; None for bars without volume.
        gap_rate: share of bars before which one to ten bars are missing.
        jump_rate: share of bars that jump up or down by ``jump_size`` (0.03 is 3 %) besides.

    Prices and volumes are on the increments of a `TradingPair`, with a code on 0.01 and 0.0001.
    Raises `ConfigError` for arguments that make no sense.

    >>> [str(bar.close) for bar in synthetic_bars("BTCUSD", 3, seed=7)]
    ['30077.12', '30099.83', '30120.06']
    """
    shape = _shape(
        pair, n, start, bar, price, volatility, drift, volume, gap_rate, jump_rate, jump_size
    )
    code = pair_code(pair)
    return SyntheticBars(code, seed, shape, [code], [1.0])


def synthetic_pairs(
    pairs: Sequence[str | TradingPair],
    n: int,
    correlation: float | Sequence[Sequence[float]] = 0.7,
    seed: int = 0,
    start: datetime | int = _START,
    bar: int | str = MINUTE,
    price: Decimal | int | str | Mapping[str, Decimal | int | str] = 30_000,
    volatility: float = 0.001,
    *,
    drift: float = 0.0,
    volume: Decimal | int | str | None = 10,
    gap_rate: float = 0.0,
    jump_rate: float = 0.0,
    jump_size: float = 0.03,
) -> list[SyntheticBars]:
    """A source for each of ``pairs``, whose returns are correlated; the first is as if alone.

    Args:
        correlation: one for all pairs of pairs, or the whole matrix (symmetric, ones on its
            diagonal, positive definite).
        price: one for all, or by code.

    The others as `synthetic_bars`; gaps, jumps and volumes come to each pair on its own.
    """
    codes = [pair_code(pair) for pair in pairs]
    if len(set(codes)) != len(codes) or not codes:
        raise ConfigError(f"pairs must be at least one and all different, not {codes}")
    weights = _cholesky(_matrix(correlation, len(codes)))
    sources = []
    for place, (pair, code) in enumerate(zip(pairs, codes, strict=True)):
        at = price.get(code) if isinstance(price, Mapping) else price
        if at is None:
            raise ConfigError(f"price has none for {code}: give one for each pair")
        shape = _shape(
            pair, n, start, bar, at, volatility, drift, volume, gap_rate, jump_rate, jump_size
        )
        row = weights[place]
        sources.append(SyntheticBars(code, seed, shape, codes[: len(row)], row))
    return sources


def _shape(
    pair: str | TradingPair,
    n: int,
    start: datetime | int,
    bar: int | str,
    price: Decimal | int | str,
    volatility: float,
    drift: float,
    volume: Decimal | int | str | None,
    gap_rate: float,
    jump_rate: float,
    jump_size: float,
) -> _Shape:
    """The arguments of `synthetic_bars`, checked."""
    if n < 1:
        raise ConfigError(f"n must be at least 1, not {n}")
    for name, share, most in (
        ("volatility", volatility, _STEEPEST),
        ("drift", abs(drift), _STEEPEST),
        ("gap_rate", gap_rate, 1.0),
        ("jump_rate", jump_rate, 1.0),
        ("jump_size", jump_size, _STEEPEST),
    ):
        if not 0 <= share <= most:
            raise ConfigError(f"{name} must be between 0 and {most}, not {share}")
    steps = (_CENT, _LOT)
    if isinstance(pair, TradingPair):
        steps = (pair.price_increment, pair.volume_increment)
    opening = decimal_of(price, "price")
    if opening < steps[0]:
        raise ConfigError(f"price must be at least one increment, {steps[0]}, not {opening}")
    amount = None if volume is None else decimal_of(volume, "volume")
    if amount is not None and amount < 0:
        raise ConfigError(f"volume must be non-negative, not {amount}")
    return _Shape(
        n=n,
        start_ns=start if isinstance(start, int) else to_ns(start, "start"),
        bar_ns=BarLength.span_of(bar),
        price=opening,
        volatility=volatility,
        drift=drift,
        volume=amount,
        gap_rate=gap_rate,
        jump_rate=jump_rate,
        jump_size=jump_size,
        price_increment=steps[0],
        volume_increment=steps[1],
    )


def _stream(seed: int, kind: str, name: str) -> Random:
    """A stream of its own for each purpose, so that one pair more does not change the others."""
    return Random(int.from_bytes(sha256(f"{seed}/{kind}/{name}".encode()).digest()))


def _normal(random: Random) -> float:
    """Nearly normal, mean 0 and variance 1: twelve uniforms less six (Irwin and Hall)."""
    draw = random.random
    return (
        draw() + draw() + draw() + draw() + draw() + draw()
        + draw() + draw() + draw() + draw() + draw() + draw() - 6.0
    )  # fmt: skip


def _units(value: Decimal, step: Decimal) -> int:
    return int(div(value, step))


def _moved(ticks: int, move: float) -> int:
    """``ticks`` after a return of ``move``, at least one."""
    return max(1, round(ticks * (1.0 + max(-_STEEPEST, min(_STEEPEST, move)))))


def _matrix(correlation: float | Sequence[Sequence[float]], size: int) -> list[list[float]]:
    if isinstance(correlation, (int, float)):
        return [[1.0 if i == j else float(correlation) for j in range(size)] for i in range(size)]
    matrix = [list(map(float, row)) for row in correlation]
    if len(matrix) != size or any(len(row) != size for row in matrix):
        raise ConfigError(f"correlation must be a matrix of {size} rows and columns, one per pair")
    for i in range(size):
        if matrix[i][i] != 1.0 or any(matrix[i][j] != matrix[j][i] for j in range(i)):
            raise ConfigError("correlation must be symmetric with ones on its diagonal")
    return matrix


def _dot(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Added one by one: `sum` adds floats in another way since Python 3.12."""
    total = 0.0
    for x, y in zip(xs, ys, strict=True):
        total += x * y
    return total


def _cholesky(matrix: list[list[float]]) -> list[list[float]]:
    """The rows of the lower triangle L with L·Lᵀ = ``matrix`` (Cholesky, Banachiewicz's order)."""
    rows: list[list[float]] = []
    for i, wanted in enumerate(matrix):
        row: list[float] = []
        for j in range(i):
            row.append((wanted[j] - _dot(row, rows[j][:j])) / rows[j][j])
        left = wanted[i] - _dot(row, row)
        if left <= 0:
            raise ConfigError("correlation is not possible for these pairs: not positive definite")
        rows.append([*row, sqrt(left)])
    return rows
