"""Fill policies: names, objects, and objects of a user's own."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from attrs import frozen

from backtest.errors import ConfigError, FieldError, FieldTypeError
from backtest.models import (
    Adaptive,
    Bar,
    ExitsFromNextBar,
    ExitsUnlessUnclear,
    Fills,
    FixedSlippage,
    GapAtMarket,
    GapAtStop,
    InQueueOrder,
    NextClose,
    NextOpen,
    NoSlippage,
    OpenHighLowClose,
    OpenLowHighClose,
    Participation,
    Penetrate,
    PercentSlippage,
    Pessimistic,
    ThisClose,
    Touch,
    TradingRules,
    Unlimited,
    VolumeShareSlippage,
)
from backtest.models.fill_policy import policy_text
from backtest.runs.manifest import rules_text
from backtest.services.fills.walk import (
    BarWalk,
    Group,
    PathRules,
    checked_pool,
    eligibility,
    slipped,
)
from tests.test_services.walking import D, Done, bar, follow, order, part, rules

BAR = bar(100, 105, 95, 102)


@pytest.mark.parametrize(
    ("objects", "plain"),
    [
        ({"eligibility": NextOpen()}, {"fill_on": "next_open"}),
        ({"eligibility": ThisClose()}, {"fill_on": "this_close"}),
        ({"eligibility": NextClose()}, {"fill_on": "next_close"}),
        ({"path": Pessimistic()}, {"path": "pessimistic"}),
        ({"path": OpenHighLowClose()}, {"path": "open_high_low_close"}),
        ({"path": OpenLowHighClose()}, {"path": "open_low_high_close"}),
        ({"path": Adaptive()}, {"path": "adaptive"}),
        ({"path": InQueueOrder()}, {"path": "queue_order"}),
        ({"limits": Touch()}, {}),
        ({"limits": Touch("limit")}, {"limit_gap": "limit"}),
        ({"limits": Penetrate(2)}, {"penetration_ticks": 2}),
        ({"volume": Participation("0.1")}, {"participation": D("0.1")}),
        ({"volume": Unlimited()}, {"participation": None}),
        ({"slippage": NoSlippage()}, {}),
        ({"slippage": FixedSlippage("0.5")}, {"slippage": D("0.5")}),
        ({"slippage": PercentSlippage("0.001")}, {"slippage_rate": D("0.001")}),
        ({"stops": GapAtMarket()}, {}),
        ({"stops": GapAtStop()}, {"stop_gap": "stop"}),
        ({"stops": GapAtStop(exits=False)}, {"stop_gap": "order_stop"}),
        ({"exits": ExitsFromNextBar()}, {"exits_from": "next_bar"}),
        ({"exits": ExitsUnlessUnclear()}, {"exits_from": "clear"}),
    ],
)
def test_an_object_and_the_plain_name_say_the_same(
    objects: dict[str, Any], plain: dict[str, Any]
) -> None:
    made = TradingRules(fills=Fills(**objects))
    assert made == TradingRules(**plain)
    assert made.fills is None
    assert hash(made) == hash(TradingRules(**plain))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"path": "adaptive"}, Fills(path=Adaptive())),
        ({"limits": {"penetrate": 3}}, Fills(limits=Penetrate(3))),
        ({"limits": {"touch": {"gap": "limit"}}}, Fills(limits=Touch("limit"))),
        ({"volume": {"participation": "0.25"}}, Fills(volume=Participation("0.25"))),
        ({"volume": "unlimited"}, Fills(volume=Unlimited())),
        ({"slippage": {"percent": "0.001"}}, Fills(slippage=PercentSlippage("0.001"))),
        ({"slippage": "volume_share"}, Fills(slippage=VolumeShareSlippage())),
        (
            {"slippage": {"volume_share": {"limit": "0.1", "impact": "0.2"}}},
            Fills(slippage=VolumeShareSlippage("0.1", "0.2")),
        ),
        ({"eligibility": "next_close", "exits": "next_bar"},
         Fills(eligibility=NextClose(), exits=ExitsFromNextBar())),
        ({"path": None}, Fills()),
    ],
)  # fmt: skip
def test_policies_from_plain_data(table: dict[str, Any], expected: Fills) -> None:
    assert Fills.from_mapping(table) == expected
    assert TradingRules.from_mapping({"fills": table}) == TradingRules(fills=expected)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"road": "adaptive"}, "no fill policy is called 'road'"),
        ({"path": "optimistic"}, "fills.path has no policy called 'optimistic'"),
        ({"path": {"adaptive": 1}}, "fills.path.adaptive takes a table, not 1"),
        ({"slippage": {"percent": 1, "fixed": 2}}, "fills.slippage must name one policy, not 2"),
        (
            {"slippage": {"volume_share": {"square": 1}}},
            "fills.slippage.volume_share has no setting 'square'; known: limit, impact",
        ),
        ({"slippage": {"percent": "-1"}}, "slippage must be non-negative, is -1"),
        ({"limits": {"penetrate": -1}}, "ticks must be non-negative, is -1"),
        ({"limits": {"penetrate": True}}, "ticks must be a whole number, not True"),
        ({"limits": {"touch": "middle"}}, "gap must be one of open, limit, not 'middle'"),
        ({"volume": {"participation": 0}}, "share must be positive, is 0"),
        ({"path": 7}, "fills.path must be a PathPolicy, an object with a method high_first, not 7"),
        ({"path": Adaptive}, r"fills.path must be an object, not a class: Adaptive\(...\)"),
    ],
)
def test_what_is_no_policy_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, FieldError, FieldTypeError), match=message):
        Fills.from_mapping(table)


@pytest.mark.parametrize(
    ("plain", "objects"),
    [
        ({"path": "adaptive"}, {"path": Pessimistic()}),
        ({"slippage": D(1)}, {"slippage": PercentSlippage("0.1")}),
        ({"slippage_rate": D("0.1")}, {"slippage": VolumeShareSlippage()}),
        ({"participation": D("0.5")}, {"volume": Unlimited()}),
    ],
)
def test_a_name_and_an_object_that_disagree_are_refused(
    plain: dict[str, Any], objects: dict[str, Any]
) -> None:
    if plain == {"participation": D("0.5")}:
        objects = {"volume": Participation("0.25")}
    with pytest.raises(FieldError, match="a policy in fills says otherwise: give one"):
        TradingRules(**plain, fills=Fills(**objects))


def test_fills_must_be_fills() -> None:
    with pytest.raises(FieldTypeError, match="fills must be Fills"):
        TradingRules(fills="adaptive")  # type: ignore[arg-type]
    with pytest.raises(FieldTypeError, match="fills must be Fills"):
        TradingRules.from_mapping({"fills": "adaptive"})


# --- names in receipts ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Wide:
    """A user's own slippage: a share of the bar's range."""

    share: Decimal

    def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
        return (bar.high - bar.low) * self.share


@frozen
class CloseDecides:
    """A user's own path: a bar that closed higher went low first."""

    def high_first(self, bar: Bar) -> bool | None:
        return bar.close < bar.open


class Anonymous:
    def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
        return D(0)


class Addressed:
    def __repr__(self) -> str:
        return "<Addressed at 0x7f00>"

    def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
        return D(0)


def test_policies_are_named_with_their_parameters() -> None:
    assert policy_text(VolumeShareSlippage()) == "VolumeShareSlippage(limit=0.025, impact=0.1)"
    assert policy_text(Wide(D("0.1"))) == "Wide(share=0.1)"
    assert policy_text(CloseDecides()) == "CloseDecides()"
    assert policy_text(Anonymous()).endswith("test_policies.Anonymous")
    with pytest.raises(FieldTypeError, match="give it a __repr__ without address"):
        Fills(slippage=Addressed())


def test_policies_of_ones_own_stand_in_the_configuration() -> None:
    made = TradingRules(fills=Fills(slippage=Wide(D("0.1")), path=CloseDecides()))
    assert rules_text(made)["fills"] == {"slippage": "Wide(share=0.1)", "path": "CloseDecides()"}
    assert rules_text(TradingRules())["fills"] == {}
    assert "Wide(share=Decimal('0.1'))" in repr(made)
    assert pickle.loads(pickle.dumps(made)) == made


def test_a_subclass_of_a_built_in_policy_is_one_of_its_own() -> None:
    class Double(FixedSlippage):
        def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
            return self.amount * 2

    made = TradingRules(fills=Fills(slippage=Double("1")))
    assert made.slippage == D(0)
    assert made.fills is not None


# --- slippage -------------------------------------------------------------------------------------


def test_volume_share_is_quadratic_in_the_share_of_the_volume() -> None:
    # 20 of 1000 is a share of 0.02: 100 x 0.1 x 0.0004 = 0.004; the limit of 0.025 caps 500 of
    # 1000 at 100 x 0.1 x 0.000625 = 0.00625.
    model = VolumeShareSlippage()
    whole = bar(100, 105, 95, 102, 1000)
    assert model.slip(D(100), True, D(20), whole) == D("0.004")
    assert model.slip(D(100), False, D(500), whole) == D("0.00625")
    # No volume in the data, or none traded: the limit.
    assert model.slip(D(100), True, D(1), BAR) == D("0.00625")
    assert model.slip(D(100), True, D(1), bar(100, 105, 95, 102, 0)) == D("0.00625")


@pytest.mark.parametrize(
    ("policy", "buy", "price"),
    [
        (NoSlippage(), True, "100"),
        (FixedSlippage("0.5"), True, "100.5"),
        (FixedSlippage("0.5"), False, "99.5"),
        (PercentSlippage("0.01"), True, "101"),
        # 100 x 0.1 x 0.02 x 0.02 = 0.004, rounded against the trader to the increment 0.01
        (VolumeShareSlippage(), True, "100.01"),
        (VolumeShareSlippage(), False, "99.99"),
        (Wide(D("0.1")), True, "101"),
        (FixedSlippage("50"), True, "105"),
        (FixedSlippage("50"), False, "95"),
    ],
)
def test_what_a_taker_pays(policy: Any, buy: bool, price: str) -> None:
    whole = bar(100, 105, 95, 102, 1000)
    assert slipped(D(100), buy, whole, rules(slippage_policy=policy), D(20)) == D(price)


def test_slippage_by_volume_is_of_the_volume_that_fills() -> None:
    # Wanted 40, the pool has 20 of a volume of 1000: 100 x 0.1 x 0.02² = 0.004 -> 100.01, where 40
    # would cost 100 x 0.1 x 0.025² = 0.00625 -> 100.01; with impact 10: 0.4 and 0.625 -> 0.63.
    path = rules(slippage_policy=VolumeShareSlippage(impact="10"))
    whole = bar(100, 105, 95, 102, 1000)
    walk = BarWalk(whole, [Group(order("market", True, None, 40))], path, (D(20), D(20)))
    assert [(hit.price, hit.volume) for hit in follow(walk)] == [(D("100.4"), D(20))]
    walk = BarWalk(whole, [Group(order("market", True, None, 40))], path)
    assert [(hit.price, hit.volume) for hit in follow(walk)] == [(D("100.63"), D(40))]


@pytest.mark.parametrize("answer", [D(-1), 1.5, D("NaN"), None])
def test_a_slippage_that_makes_no_sense_is_refused(answer: Any) -> None:
    class Bad:
        def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
            return answer  # type: ignore[no-any-return]

    with pytest.raises(FieldError, match=r"Bad\.slip must give a Decimal of 0 or more"):
        slipped(D(100), True, BAR, rules(slippage_policy=Bad()))


# --- path, limits, exits --------------------------------------------------------------------------


def walked(group: Group, **settings: Any) -> list[Done]:
    walk = BarWalk(settings.pop("bar", BAR), [group], rules(**settings))
    return [Done(hit.working.kind, hit.point, hit.price, hit.volume) for hit in follow(walk)]


def bracket() -> Group:
    return Group(None, parts=[part(True, 100, stop_loss=97, take_profit=104)])


def test_a_path_of_ones_own() -> None:
    # 100 / 105 / 95 / 102 closed higher: low first. Its mirror closed lower: high first.
    assert walked(bracket(), path_policy=CloseDecides()) == [Done("stop_loss", "low", D(97), D(1))]
    lower = bar(100, 105, 95, 98)
    assert walked(bracket(), bar=lower, path_policy=CloseDecides()) == [
        Done("take_profit", "high", D(104), D(1))
    ]


def test_in_queue_order_the_stop_loss_comes_first_wherever_the_bar_opens() -> None:
    # Open 104 is at the take-profit 104 at once; the low 95 is below the stop-loss 97. On a path
    # the take-profit fills at the open; in queue order the stop-loss has its turn first.
    gap = bar(104, 105, 95, 102)
    (hit,) = walked(bracket(), bar=gap)
    assert (hit.kind, hit.price) == ("take_profit", D(104))
    (hit,) = walked(bracket(), bar=gap, path="queue_order")
    assert (hit.kind, hit.price) == ("stop_loss", D(97))


def test_in_queue_order_nothing_is_ambiguous() -> None:
    walk = BarWalk(BAR, [bracket()], rules(path="queue_order"))
    assert [hit.ambiguous for hit in follow(walk)] == [False]
    assert not walk.forked


def test_in_queue_order_the_earlier_order_has_the_volume() -> None:
    # Pool 1. On a path the market order at the open goes first; in the queue the limit is earlier.
    def groups() -> list[Group]:
        limit = order("limit", True, 96, 1, sequence=1)
        return [Group(order("market", True, None, 1, sequence=2)), Group(limit)]

    one = (D(1), D(1))
    assert [hit.price for hit in follow(BarWalk(BAR, groups(), rules(), one))] == [D(100)]
    queue = BarWalk(BAR, groups(), rules(path="queue_order"), one)
    assert [hit.price for hit in follow(queue)] == [D(96)]


@pytest.mark.parametrize(("gap", "price"), [("open", 100), ("limit", 103)])
def test_a_limit_that_the_open_has_passed(gap: str, price: int) -> None:
    assert walked(Group(order("limit", True, 103)), limit_gap=gap) == [
        Done("limit", "open", D(price), D(1))
    ]


def test_a_limit_policy_of_ones_own() -> None:
    class HalfACent:
        def beyond(self, price_increment: Decimal) -> Decimal:
            return price_increment / 2

    assert walked(Group(order("limit", True, 95)), limit_policy=HalfACent()) == []
    assert len(walked(Group(order("limit", True, "95.01")), limit_policy=HalfACent())) == 1


@pytest.mark.parametrize(("policy", "price"), [(GapAtMarket(), 100), (GapAtStop(), 98)])
def test_a_stop_that_the_open_has_passed(policy: Any, price: int) -> None:
    # A stop buy at 98, the bar opens at 100; then a stop-loss at 101 of a long, opened at 100.
    assert walked(Group(order("stop", True, 98)), stop_policy=policy) == [
        Done("stop", "open", D(price), D(1))
    ]
    (hit,) = walked(Group(None, parts=[part(True, 104, stop_loss=101)]), stop_policy=policy)
    assert hit.price == (D(100) if price == 100 else D(101))
    for kind in ("stop", "stop_loss"):
        assert GapAtMarket().gap(kind, D(98), D(100)) == D(100)
        assert GapAtStop().gap(kind, D(98), D(100)) == D(98)
    assert GapAtStop(exits=False).gap("stop", D(98), D(100)) == D(98)
    assert GapAtStop(exits=False).gap("stop_loss", D(98), D(100)) == D(100)


def test_an_entry_beyond_its_own_stop_loss_fills_where_the_rules_say_so() -> None:
    # Market long at 100 with a stop-loss at 101: cancelled; or filled, and stopped at once.
    beyond: dict[str, Any] = {"stop_loss": D(101)}
    assert walked(Group(order("market", True), **beyond)) == []
    assert walked(Group(order("market", True), **beyond), guards=False) == [
        Done("market", "open", D(100), D(1)),
        Done("stop_loss", "open", D(100), D(1)),
    ]


ENTRY: dict[str, Any] = {"stop_loss": D(97), "take_profit": D(104)}


def kinds(group: Group, **settings: Any) -> list[str]:
    return [one.kind for one in walked(group, **settings)]


def test_exits_from_the_next_bar_leave_the_entry_alone() -> None:
    assert kinds(Group(order("market", True), **ENTRY)) == ["market", "stop_loss"]
    assert kinds(Group(order("market", True), **ENTRY), exits_from="next_bar") == ["market"]


def test_exits_unless_unclear_act_on_market_entries_and_on_clear_stops() -> None:
    clear: dict[str, Any] = {"exits_from": "clear"}
    assert kinds(Group(order("market", True), **ENTRY), **clear) == ["market", "stop_loss"]
    assert kinds(Group(order("limit", True, 99), **ENTRY), **clear) == ["limit"]
    # A stop at 101 with the take-profit 104 reached and the stop-loss 94 not: clear.
    far: dict[str, Any] = {"stop_loss": D(94), "take_profit": D(104)}
    assert kinds(Group(order("stop", True, 101), **far), **clear) == ["stop", "take_profit"]
    assert kinds(Group(order("stop", True, 101), **ENTRY), **clear) == ["stop"]
    short: dict[str, Any] = {"stop_loss": D(106), "take_profit": D(96)}
    assert kinds(Group(order("stop", False, 99), **short), **clear) == ["stop", "take_profit"]


# --- eligibility and volume -----------------------------------------------------------------------


class Later:
    """A user's own eligibility: an order waits for the first bar that opens ``wait`` after it."""

    def __init__(self, wait: int) -> None:
        self.wait = wait

    def start(self, kind: str, accepted_ns: int, bar: Bar) -> int:
        return 0 if accepted_ns + self.wait <= bar.open_ns else 4


def test_an_eligibility_of_ones_own_cannot_look_ahead() -> None:
    # The bar is open from 60 to 120. Accepted at 60 with a wait of 0: from the open; a wait of 1:
    # not on this bar. Accepted at 90, a policy that says "from the open" gets the close only.
    assert eligibility("limit", 60, True, BAR, policy=Later(0)) == 0
    assert eligibility("limit", 60, True, BAR, policy=Later(1)) == 4
    assert eligibility("limit", 90, True, BAR, policy=Later(-100)) == 3
    assert eligibility("limit", 121, True, BAR, policy=Later(-100)) == 4
    assert eligibility("limit", 90, False, BAR, policy=Later(-100)) == 4

    class Bad:
        def start(self, kind: str, accepted_ns: int, bar: Bar) -> int:
            return 1

    with pytest.raises(FieldError, match=r"Bad\.start must give 0 \(open\), 3 \(close\) or 4"):
        eligibility("limit", 60, True, BAR, policy=Bad())


def test_a_volume_policy_of_ones_own_is_rounded_and_checked() -> None:
    class Fixed:
        def __init__(self, volume: Any) -> None:
            self.volume = volume

        def pool(self, bar: Bar, volume_increment: Decimal) -> Decimal | None:
            return self.volume  # type: ignore[no-any-return]

    assert checked_pool(Fixed(D("2.7")), BAR, D(1)) == D(2)
    assert checked_pool(Fixed(None), BAR, D(1)) is None
    with pytest.raises(FieldError, match=r"Fixed\.pool must give a Decimal of 0 or more"):
        checked_pool(Fixed(D(-1)), BAR, D(1))


def test_the_built_in_objects_answer_as_their_names_do() -> None:
    whole = bar(100, 105, 95, 102, 10)
    assert Participation("0.25").pool(whole, D(1)) == D(2)
    assert Participation("0.25").pool(BAR, D(1)) is None
    assert Unlimited().pool(whole, D(1)) is None
    assert Touch().beyond(D("0.01")) == D(0)
    assert Penetrate(3).beyond(D("0.01")) == D("0.03")
    assert [one.high_first(BAR) for one in (Pessimistic(), OpenHighLowClose())] == [None, True]
    assert [one.high_first(BAR) for one in (OpenLowHighClose(), Adaptive())] == [False, False]
    assert Adaptive().high_first(bar(100, 101, 95, 100)) is True
    assert [one.start("market", 0, BAR) for one in (NextOpen(), ThisClose(), NextClose())] == [
        0,
        0,
        3,
    ]
    assert NextClose().start("limit", 0, BAR) == 0
    assert FixedSlippage("2").slip(D(100), True, D(1), BAR) == D(2)
    assert PercentSlippage("0.02").slip(D(100), True, D(1), BAR) == D(2)
    assert NoSlippage().slip(D(100), True, D(1), BAR) == D(0)


def test_path_rules_take_the_policies_of_the_trading_rules() -> None:
    from tests.harness import pair_of

    made = TradingRules(fills=Fills(slippage=Wide(D("0.1")), path=CloseDecides()))
    path = PathRules.of(made, pair_of())
    assert (path.slips, path.chooses, path.slippage_policy) == (
        True,
        CloseDecides(),
        Wide(D("0.1")),
    )
