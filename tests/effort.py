"""How many examples a property is tried on: some in every run, many more in `make soak`."""

from __future__ import annotations

import os

__all__ = ["examples"]

_LONGER = 20


def examples(usual: int) -> int:
    """``usual``, or twenty times as many under the profile ``soak`` of Hypothesis."""
    return usual * (_LONGER if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else 1)
