"""What the command says: text in which no control character is left.

Names of files, pairs, agents and parameters, and messages of a strategy's exceptions, are others'
text. In a terminal an escape sequence in it could hide or forge what stands there.
"""

from __future__ import annotations

import sys

__all__ = ["harmless", "say"]

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
_DIRECTIONS = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_SPELT = {
    code: f"\\u{code:04x}"
    for code in (*_CONTROLS, *_DIRECTIONS, *range(0xD800, 0xE000))
    if chr(code) not in "\n\t"
}
"""As JSON spells them, so that an object that is printed stays one; and halves of a character,
which names of files may hold and no encoding has."""


def harmless(text: str) -> str:
    """``text`` with control characters, and those that turn its direction, spelt out."""
    return text.translate(_SPELT)


def say(text: object, *, end: str = "\n", error: bool = False) -> None:
    """Print ``text``, harmless, on standard output or, an ``error``, on standard error."""
    print(harmless(str(text)), end=end, file=sys.stderr if error else sys.stdout)
