"""What events tell beside their order and fill, against the orders and fills that it concerns."""

from __future__ import annotations

from backtest.analysis.tables.exact import amount, text_of
from backtest.analysis.tables.tables import items
from backtest.analysis.verify.lines import EventLine, Material, OrderLine
from backtest.analysis.verify.verification import Finding
from backtest.analysis.verify.volumes import OFFSET

__all__ = ["told"]

_OF: dict[str, frozenset[str]] = {
    "keeps_place": frozenset({"modified", "closing"}),
    "parts": frozenset({"split"}),
    "changed": frozenset({"modified"}),
    "closing_orders": frozenset({"closing", "close_cancelled"}),
    "condition": frozenset({"accepted", "closing", "triggered"}),
    "price": frozenset({"closing", "triggered", "netted", "cancelled"}),
    "limit_price": frozenset({"closing"}),
    "level": frozenset({"accepted", "modified", "trailed", "closing"}),
    "expires_at": frozenset({"accepted"}),
    "point": frozenset({"cancelled"}),
    "quantity": frozenset({"closing", "triggered", "netted", "cancelled", "close_cancelled"}),
}
"""The kinds of events that each of these columns is of."""
_MUST = {
    "split": ("parts",),
    "closing": ("closing_orders", "condition", "quantity"),
    "triggered": ("condition", "price", "quantity"),
    "trailed": ("level",),
    "netted": ("price", "quantity"),
}
"""The columns that each of these kinds has."""
_CLOSES = {
    # condition of a close: whether it has a price, a limit price
    "market": (False, False),
    "limit": (True, False),
    "stop": (True, False),
    "stop_limit": (True, True),
    "trailing_stop": (True, False),
}
_REACHED = frozenset(
    {"limit", "stop", "stop_limit", "trailing_stop", "stop_loss", "take_profit", "liquidation"}
)
_LEVELS = ("limit_price", "stop_price", "stop_loss", "take_profit")


def told(material: Material, finding: Finding) -> None:
    """Each column stands where it belongs, and says what orders and fills say."""
    children: dict[str, list[OrderLine]] = {}
    for order in material.orders:
        children.setdefault(order.parent, []).append(order)
    asked: set[str] = set()
    for event in material.events:
        what = f"event {event.sequence} ({event.kind} {event.order})"
        _placed(event, what, finding)
        if event.kind == "closing":
            asked.update(items(event.closing_orders))
        about = material.order_by_id.get(event.order)
        if about is not None:  # else that is another check's to tell
            parts = children.get(about.id, [])
            _agrees(event, about, material.order_by_id.get(about.parent), parts, what, finding)
    for fill in material.fills:
        if fill.kind == "close" and fill.closing not in asked:
            finding.wrong(
                f"the fill of order {fill.order} at {fill.time} closes by {fill.closing}, for "
                "which no event asked"
            )


def _placed(event: EventLine, what: str, finding: Finding) -> None:
    """What must stand there does, and nothing else; its words are known."""
    for column, kinds in _OF.items():
        if getattr(event, column) and event.kind not in kinds:
            finding.wrong(f"{what} has {column}, which is of other events")
    for column in _MUST.get(event.kind, ()):
        if not getattr(event, column):
            finding.wrong(f"{what} has no {column}")
    if event.keeps_place not in ("", "true", "false"):
        finding.wrong(f"keeps_place of {what} is neither true nor false")
    if event.kind == "triggered" and event.condition not in _REACHED:
        finding.wrong(f"{what} tells of an unknown condition, {event.condition!r}")
    if event.kind == "closing":
        found = (bool(event.price), bool(event.limit_price))
        if _CLOSES.get(event.condition) != found:
            finding.wrong(
                f"{what} asks for a close of kind {event.condition!r}, which has other prices"
            )


def _agrees(
    event: EventLine,
    order: OrderLine,
    old: OrderLine | None,
    parts: list[OrderLine],
    what: str,
    finding: Finding,
) -> None:
    """It says what ``order`` says, which came of ``old``, and of which ``parts`` came."""
    if event.kind == "split":
        _split(event, parts, what, finding)
    elif event.kind == "modified" and old is not None:
        _modified(event, order, old, what, finding)
    elif event.kind == "accepted" and order.time_in_force == "GTD":
        finding.differ(f"the expiry of {what}", event.expires_at, order.expires_at)
    elif event.kind == "netted" and order.closing_reason == OFFSET:
        finding.differ(f"the price of {what}", event.price, order.close_price)
        finding.differ(f"the quantity of {what}", event.quantity, event.volume)


def _split(event: EventLine, children: list[OrderLine], what: str, finding: Finding) -> None:
    parts = [amount(part) for part in items(event.parts)]
    if sum(parts) != event.volume or len(parts) > len(children):
        finding.wrong(
            f"{what} has parts of {event.parts}, which are not the {text_of(event.volume)} of it"
        )


def _modified(
    event: EventLine, order: OrderLine, old: OrderLine, what: str, finding: Finding
) -> None:
    """What keeps its place did not grow and has the prices it had; so has what did not change."""
    changed = items(event.changed)
    for name in changed:
        if name not in _LEVELS:
            finding.wrong(f"{what} changed an unknown price, {name!r}")
    if event.keeps_place == "true":
        if event.volume > old.volume:
            finding.wrong(f"{what} keeps its place and grows to {text_of(event.volume)}")
        if order.levels != old.levels:
            finding.wrong(f"{what} keeps its place with other prices or instructions")
    elif not event.keeps_place:
        for name in _LEVELS:
            if name not in changed and getattr(order, name) != getattr(old, name):
                finding.wrong(f"{what} has another {name}, and does not tell of it")
