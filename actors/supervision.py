"""What happens when an actor fails, in Erlang's words."""

from __future__ import annotations

from enum import Enum

import attrs

__all__ = ["Directive", "Supervision"]


class Directive(Enum):
    """What to do with an actor that raised."""

    ESCALATE = "escalate"
    """End the run with its exception (the default: a broken simulation has no result)."""
    STOP = "stop"
    """End this actor; the others go on, and what is sent to it later is an error."""
    RESTART = "restart"
    """Run it again with its inbox as it is; the message that broke it is lost, with a reason."""


@attrs.frozen(kw_only=True)
class Supervision:
    """The rule for one actor: a restart that would come too often escalates instead."""

    directive: Directive = Directive.ESCALATE
    max_restarts: int = 3
    """How many restarts there may be within ``within_ns``."""
    within_ns: int = 60_000_000_000
    """The window, in simulated nanoseconds."""
