"""Every example runs as it stands and says what it is there to say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

SAYS = {
    "first_strategy_async.py": ["bid ", "a day without a seller", "bought at", "Equity at the end"],
    "first_strategy_handlers.py": ["starts with 50000 USD", "bought 0.5 at", "the data ends"],
    "learner_env.py": [
        # It holds after a fall and not after a rise: then each hour is worth 0.8 - 0.2 = 0.6, half
        # of the 200 hours, about 60; at random it would be nothing.
        "then, without trying anything new: earned 6",
        "fell, flat: hold one",
        "fell, long: hold one",
        "rose, flat: hold none",
        "rose, long: hold none",
    ],
    "leveraged_with_stop.py": [
        # 50 contracts from 100: to 110 is +500, to 96 is -200, to the gap at 85 is -750; without a
        # stop and with leverage 20 the margin of 250 is lost.
        "take_profit at 110.00, realised 500.00",
        "stop_loss at 96.00, realised -200.00",
        "stop_loss at 85.00, realised -750.00",
        "liquidation at 95.00, realised -250.00",
        "ends with 2500.00 USD of 2000",
        "ends with 1800.00 USD of 2000",
        "ends with 1500.00 USD of 2000",
        "ends with 1750.00 USD of 2000",
    ],
    "modify_split_cancel.py": [
        # 3 x 900, 2.4 x 950, 0.8 x (990 + 985 + 960)
        "[reserved 2700.00 USD]",
        "[reserved 2280.00 USD]",
        "[reserved 2348.00 USD]",
        "the old one is gone: ALREADY_DONE",
        "at the end   [reserved 0.00 USD]",
        "CANCELLED 0.8: filled 0, leaves 0, cancelled 0.8",
    ],
    "negotiation.py": [
        # The seller comes down by 3, the buyer up by 2, a second a word: 101 is the buyer's next.
        "09:30:06 seller: 101",
        "09:30:07 buyer: 101 - agreed",
        "10 at 101, from seller to buyer",
    ],
    "spot_order_lifecycle.py": [
        "2 orders pending",
        "remaining 0.5",
        "0 orders pending",
        "Filling it now is refused",
    ],
    "strategy_in_a_crowd.py": [
        "market: 343 agents, seed 7",
        "contrarian         1 ",
    ],
    "transaction_balance_system.py": [
        "75.0%",
        "Fees paid: 35 USD",
        "Spent on BTC: 49900 USD",
        "Latest balance: 50065 USD in all",
    ],
    "weights_and_risk.py": [
        # A fifth of 10000 each, at about 38000 and 1130; then a stop that loses less than 1 %, for
        # the fees are within.
        "01-03 worth  10000.00: buy 0.0526 BTCUSD, buy 1.7670 ETHUSD",
        "01-04 worth  10009.58: sell 0.0388 ETHUSD, buy 0.0026 BTCUSD",
        "01-04 long 0.0481, stop 35190.28: 96.52 to lose",
    ],
    "why_not.py": [
        # A tenth of 2 is 0.2, for an order of 1.
        "THE REST, 0.8, NOT FILLED",
        "volume 2 x participation 0.1 = 0.2 was used up: 0.2 to itself",
        "the low was never at or below the limit 95.00; nearest 95.05 at 1970-01-01 04:00",
        "(ONE_CANCELS_OTHER: another order of its group filled)",
        "NO STOP-LOSS on",
        "its take-profit was reached",
    ],
    "two_strategies_one_broker.py": [
        "trend  on account trend",
        "grid   on account grid",
        "trend  on account main",
        "grid   on account main",
    ],
}

EXTRAS = {"learner_env.py": "gymnasium"}
"""What an example needs beside the package."""


def test_there_are_no_others() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", sorted(SAYS))
def test_runs_and_tells_its_story(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    said = capsys.readouterr()
    assert said.err == ""
    for words in SAYS[name]:
        assert words in said.out
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 80
