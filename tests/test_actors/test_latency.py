"""How long messages take: distributions, distances, and what leaves its sender later."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from backtest.actors import (
    Actor,
    CubicLatency,
    DistanceLatency,
    ExponentialLatency,
    FixedLatency,
    JitteredLatency,
    Latency,
    LogNormalLatency,
    Network,
    System,
    UniformLatency,
)
from backtest.actors.kernel.message import COMMAND
from backtest.errors import ConfigError, FieldError, FieldTypeError, InboxOverflow, Undeliverable

from .kernel import MS, SECOND, US, Script, Sink, play


class Dice(Random):
    """Gives one number for ever: ``share`` of the way from 0 to 1."""

    def __init__(self, share: float) -> None:
        super().__init__(0)
        self.share = share

    def random(self) -> float:
        return self.share

    def getrandbits(self, k: int) -> int:
        return int(self.share * 2**k)


class TestDistributions:
    @pytest.mark.parametrize(
        ("latency", "share", "ns"),
        [
            # -1 ms * ln(0.5) = 0.693147 ms; -1 ms * ln(0.1) = 2.302585 ms.
            (ExponentialLatency(5 * MS, MS), 0.5, 5_693_147),
            (ExponentialLatency(5 * MS, MS), 0.1, 7_302_585),
            (ExponentialLatency(7, 0), 0.1, 7),
            # z(0.5) = 0; z(0.8413447) = 1 and e^0.5 = 1.6487213; z(0.1586553) = -1.
            (LogNormalLatency(MS, 0.5), 0.5, 1_000_000),
            (LogNormalLatency(MS, 0.5, least=3), 0.8413447460685429, 1_648_724),
            (LogNormalLatency(MS, 0.5), 0.15865525393145707, 606_531),
            (LogNormalLatency(MS, 0), 0.9, 1_000_000),
            # x = 0.1, 0.55 and 1: 0.5 / x^3 = 500, 3.0052592 and 0.5 tenths of the least.
            (CubicLatency(1_000), 0.0, 51_000),
            (CubicLatency(1_000), 0.5, 1_301),
            (CubicLatency(1_000), 1.0, 1_050),
            (CubicLatency(1_000, jitter=0), 0.0, 1_000),
            (CubicLatency(1_000, jitter=1, clip=0.5, unit=2), 0.0, 5_000),
            (JitteredLatency(1_000, UniformLatency(5, 5)), 0.0, 1_005),
        ],
    )
    def test_by_hand(self, latency: Latency, share: float, ns: int) -> None:
        drawn = latency.draw(Dice(share))
        assert type(drawn) is int
        assert drawn == ns

    @pytest.mark.parametrize(
        ("latency", "median"),
        [
            (ExponentialLatency(MS, MS), 1_693_147),
            (LogNormalLatency(MS, 1.5), 1_000_000),
            (CubicLatency(MS), 1_300_526),
        ],
    )
    def test_half_of_them_are_below_the_median(self, latency: Latency, median: int) -> None:
        random = Random(3)
        drawn = [latency.draw(random) for _ in range(20_000)]
        below = sum(one < median for one in drawn)
        # Five standard deviations of a fair coin: 5 * sqrt(20000) / 2 = 354.
        assert abs(below - 10_000) < 354
        assert min(drawn) >= 0

    @pytest.mark.parametrize("share", [0.0, 1 - 2**-52])
    def test_the_ends_are_finite(self, share: float) -> None:
        for latency in (ExponentialLatency(0, MS), LogNormalLatency(MS, 1.0)):
            assert latency.draw(Dice(share)) >= 0

    @pytest.mark.parametrize(
        "make",
        [
            lambda: ExponentialLatency(-1, 5),
            lambda: ExponentialLatency(1, -5),
            lambda: LogNormalLatency(0, 1.0),
            lambda: LogNormalLatency(5, -1.0),
            lambda: LogNormalLatency(5, 1.0, least=-1),
            lambda: CubicLatency(-1),
            lambda: CubicLatency(5, jitter=-0.5),
            lambda: CubicLatency(5, clip=0),
            lambda: CubicLatency(5, clip=1.5),
            lambda: CubicLatency(5, unit=0),
            lambda: JitteredLatency(-1, FixedLatency(0)),
        ],
    )
    def test_what_is_no_latency(self, make: Any) -> None:
        with pytest.raises(FieldError, match="latency"):
            make()

    @pytest.mark.parametrize(
        "make",
        [
            lambda: ExponentialLatency(1.5, 5),  # type: ignore[arg-type]
            lambda: LogNormalLatency(5, float("nan")),
            lambda: LogNormalLatency(5, "1"),  # type: ignore[arg-type]
            lambda: CubicLatency(5, unit=float("inf")),
            lambda: CubicLatency(5, jitter=True),
            lambda: JitteredLatency(True, FixedLatency(0)),
        ],
    )
    def test_what_is_no_number(self, make: Any) -> None:
        with pytest.raises(FieldTypeError, match="latency"):
            make()

    def test_they_say_what_they_are(self) -> None:
        told = [repr(one) for one in (ExponentialLatency(1, 2), LogNormalLatency(3, 1, least=4))]
        assert told == ["ExponentialLatency(1, 2)", "LogNormalLatency(3, 1.0, least=4)"]
        assert repr(CubicLatency(9)) == "CubicLatency(9, 0.5, 0.1, 10.0)"
        assert repr(JitteredLatency(1, FixedLatency(2))) == "JitteredLatency(1, FixedLatency(2))"


class TestDistance:
    def test_on_a_line_in_fibre(self) -> None:
        # 5 us for each kilometre: 200 000 km/s.
        latency = DistanceLatency({"broker": 0, "near": 1, "far": -1_000}, base="10us")
        assert latency.least(0, "near", "broker") == 15 * US
        assert latency.least(0, "far", "near") == 10 * US + 1_001 * 5 * US
        assert isinstance(latency, Network)
        assert not isinstance(latency, Latency)

    def test_in_a_plane_with_a_speed(self) -> None:
        latency = DistanceLatency({"broker": (0, 0), "a": (30, 40)}, speed=100_000)
        assert latency.least(0, "a", "broker") == latency.least(0, "broker", "a") == 500 * US

    def test_in_nanoseconds(self) -> None:
        latency = DistanceLatency({"broker": 0, "a": 333}, speed=None, base="7ns")
        assert latency.least(0, "a", "broker") == 340

    def test_jitter_is_added_or_makes_the_law(self) -> None:
        places = {"broker": 0.0, "a": 2.0}
        added = DistanceLatency(places, jitter=FixedLatency(7)).between(0, "a", "broker")
        assert added.draw(Random(1)) == 10 * US + 7
        cubic = DistanceLatency(places, jitter=CubicLatency).between(0, "a", "broker")
        assert cubic.draw(Dice(0.0)) == 510 * US
        law = DistanceLatency(places, jitter=lambda ns: FixedLatency(2 * ns))
        assert law.between(0, "a", "broker").draw(Random(1)) == 20 * US

    def test_who_has_no_place_gets_one_of_the_seed_and_its_own_name(self) -> None:
        latency = DistanceLatency({"broker": 0}, spread=1_000)
        places = [latency.position(7, f"noise-{n}")[0] for n in range(2_000)]
        assert places == [latency.position(7, f"noise-{n}")[0] for n in range(2_000)]
        assert places[0] != latency.position(8, "noise-0")[0]
        assert all(0 <= place < 1_000 for place in places)
        # Uniform: the mean of 2000 is within five standard errors, 5 * 1000 / sqrt(12 * 2000).
        assert abs(sum(places) / 2_000 - 500) < 33
        plane = DistanceLatency({"broker": (0, 0)}, spread=10)
        assert plane.position(7, "x")[1:] == (0.0,)

    @pytest.mark.parametrize(
        "settings",
        [
            {"positions": {"a": 0, "b": (1, 2)}},
            {"spread": -1},
            {"spread": float("nan")},
            {"speed": 0},
            {"base": "-1s"},
        ],
    )
    def test_what_is_no_distance(self, settings: dict[str, Any]) -> None:
        with pytest.raises(FieldError):
            DistanceLatency(**settings)

    def test_what_is_no_place(self) -> None:
        for place in ("here", None, float("nan"), (1, "x"), True):
            with pytest.raises(FieldTypeError, match="positions must be numbers"):
                DistanceLatency({"a": place})  # type: ignore[dict-item]
        with pytest.raises(ConfigError, match="where is 'b'\\? positions are given for: broker"):
            DistanceLatency({"broker": 0}).between(0, "b", "broker")

    def test_it_says_what_it_is(self) -> None:
        told = repr(DistanceLatency({"a": 1}, spread=2, base="3ns", speed=5, jitter=CubicLatency))
        assert told == (
            "DistanceLatency({'a': (1.0,)}, spread=2, base='3ns', speed=5, jitter=CubicLatency)"
        )

    def test_a_network_is_for_agents_only_and_not_for_talk_to_oneself(self) -> None:
        class Agent(Sink):
            is_agent = True

        system = System(1)
        for name in ("strategy/a", "strategy/b"):
            system.add(Agent(name))
        system.add(Sink("plain"))
        system.network = DistanceLatency({"a": 0, "b": 1})
        assert repr(system.channel("strategy/a", "strategy/b").latency) == "FixedLatency(5000)"
        assert system.channel("strategy/a", "strategy/a").latency is None
        assert system.channel("strategy/a", "plain").latency is None
        assert not system.channel("strategy/b", "strategy/a").is_prompt
        system.set_latency("strategy/b", "strategy/a", FixedLatency(3))
        assert repr(system.channel("strategy/b", "strategy/a").latency) == "FixedLatency(3)"


class TestWhatLeavesLater:
    def test_the_latency_begins_when_it_leaves(self) -> None:
        async def life(self: Script) -> None:
            link = self.link("sink")
            link.post_from(5 * MS, "first")
            link.post_from(6 * MS, "second")
            link.post("third")
            link.post_from(0, "fourth")

        for latency, arrivals in ((None, (0, 0, 5, 6)), (FixedLatency(2 * MS), (7, 8, 8, 8))):
            sink = Sink()
            settings: dict[str, Any] = {} if latency is None else {"a__sink": latency}
            play(Script("a", life), sink, **settings)
            assert [at for at, _ in sink.got] == [at * MS for at in arrivals]
        # With a latency the link is first in, first out; without one, time is the order.
        assert [what for _, what in sink.got] == ["first", "second", "third", "fourth"]

    def test_it_is_sent_when_it_leaves(self) -> None:
        seen: list[tuple[int, int]] = []

        async def life(self: Script) -> None:
            self.link("sink").post_from(5 * MS, "x")

        system = System(1)
        system.add(Script("a", life))
        system.add(Sink())
        system.set_latency("a", "sink", FixedLatency(MS))
        system.tracer = lambda envelope: seen.append((envelope.sent, envelope.time))
        system.simulate()
        assert seen == [(5 * MS, 6 * MS)]
        assert system.statistics().sent == 1

    def test_it_counts_toward_the_bound_from_the_first(self) -> None:
        async def life(self: Script) -> None:
            link = self.link("sink")
            link.post_from(SECOND, 1)
            link.post_from(SECOND, 2)
            with pytest.raises(InboxOverflow):
                link.post_from(SECOND, 3)
            self.note(link.statistics().waiting)

        script = Script("a", life)
        sink = Sink(bound=2)
        play(script, sink)
        assert script.log == [(0, 2)]
        assert [what for _, what in sink.got] == [1, 2]

    def test_to_who_has_ended_it_is_undeliverable(self) -> None:
        async def ends(self: Script) -> None:
            return

        async def life(self: Script) -> None:
            await self.system.sleep_until(MS)
            with pytest.raises(Undeliverable):
                self.link("b").post_from(SECOND, 1, COMMAND)
            self.note("refused")

        script = Script("a", life)
        play(script, Script("b", ends))
        assert script.log == [(MS, "refused")]


def test_the_same_seed_draws_the_same_whoever_else_is_there() -> None:
    async def life(self: Script) -> None:
        for number in range(20):
            self.link("sink").post((self.name, number))
            await self.system.sleep_until(self.system.now + SECOND)

    def arrivals(*names: str) -> list[Any]:
        sink = Sink()
        laws: dict[str, Any] = {
            "a": LogNormalLatency(MS, 1.0),
            "b": CubicLatency(MS),
            "c": ExponentialLatency(0, MS),
        }
        actors: list[Actor] = [Script(name, life) for name in names]
        links: dict[str, Any] = {f"{name}__sink": law for name, law in laws.items()}
        play(*actors, sink, **{k: v for k, v in links.items() if k[0] in names})
        return [(at, what) for at, what in sink.got if what[0] == "a"]

    alone = arrivals("a")
    assert len({at % SECOND for at, _ in alone}) > 10
    assert alone == arrivals("a") == arrivals("a", "b", "c")
