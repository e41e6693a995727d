"""How much is tried: some in every run, many more examples, or all there is, in `make soak`."""

from __future__ import annotations

import os

__all__ = ["every", "examples"]

_LONGER = 20
_SHORTER = 10


def examples(usual: int, soak: int | None = None) -> int:
    """``usual``; twenty times as many, or ``soak``, under the profile ``soak`` of Hypothesis; a
    tenth under ``brief``, with which the built wheel is tried once the suite has run."""
    match os.environ.get("HYPOTHESIS_PROFILE"):
        case "soak":
            return soak or usual * _LONGER
        case "brief":
            return -(-usual // _SHORTER)
    return usual


def every(usual: int) -> int:
    """Every how many-th of a long list is tried: ``usual``; under the profile ``soak`` each one."""
    return 1 if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else usual
