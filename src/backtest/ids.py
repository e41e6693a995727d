"""Ids: functions of where they belong and a number, so that equal runs have equal ids."""

from __future__ import annotations

from hashlib import blake2b, sha256
from uuid import UUID, SafeUUID

__all__ = ["IdSource", "derived_id", "id_of"]

_new = object.__new__
_set = object.__setattr__
# The bits that make 128 bits a UUID of version 4 (RFC 9562, section 5.4).
_CLEAR = ~((0xF000 << 64) | (0xC000 << 48))
_VERSION_4 = (0x4000 << 64) | (0x8000 << 48)


def id_of(text: str) -> UUID:
    """The id that stands for ``text``."""
    return UUID(bytes=sha256(text.encode()).digest()[:16], version=4)


def derived_id(root: UUID, name: str) -> UUID:
    """The id that ``name`` has under ``root``, a run's say: BLAKE2b, keyed with the root."""
    return _uuid(blake2b(name.encode(), key=root.bytes, digest_size=16).digest())


def _uuid(digest: bytes) -> UUID:
    """Made without `UUID.__init__`, which takes longer than the hash."""
    made = _new(UUID)
    _set(made, "int", int.from_bytes(digest, "big") & _CLEAR | _VERSION_4)
    _set(made, "is_safe", SafeUUID.unknown)
    return made


class IdSource:
    """Gives the ids ``kind/1``, ``kind/2``, … of a run, each when it is needed."""

    __slots__ = ("_begun", "number")

    def __init__(self, run_id: UUID, kind: str) -> None:
        self._begun = blake2b(f"{kind}/".encode(), key=run_id.bytes, digest_size=16)
        self.number = 0
        """Of the last id."""

    def draw(self) -> UUID:
        """The next id."""
        self.number += 1
        hashed = self._begun.copy()
        hashed.update(b"%d" % self.number)
        return _uuid(hashed.digest())
