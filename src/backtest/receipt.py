"""What a run's configuration comes to: its hash, and the id of the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from backtest.ids import id_of

__all__ = ["config_sha256", "run_id_of"]


def config_sha256(config: Mapping[str, Any]) -> str:
    """The hash of a configuration: of its JSON without spaces, in its own order.

    The order counts: pairs take their turn as they were given, strategies likewise.
    """
    return hashlib.sha256(_text(config).encode()).hexdigest()


def run_id_of(config: Mapping[str, Any]) -> UUID:
    """The id of a run of ``config``: seed, settings, the hashes of inputs and sources.

    What can be read only once has no hash before the run, and is left out: for it stands what is
    known of it before.
    """
    data = {
        code: {name: value for name, value in one.items() if not (name == "sha256" and _late(one))}
        for code, one in config["data"].items()
    }
    return id_of(_text({**config, "data": data}))


def _late(data: Mapping[str, Any]) -> bool:
    """Whether the hash of ``data`` was worked out when the run had read it."""
    return bool(data.get("once", False))


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps(config, separators=(",", ":"))
