"""How many examples a property is tried on: some in every run, many more in `make soak`."""

from __future__ import annotations

import os

__all__ = ["examples"]

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
