"""Text and TOML files that people write: read whole, or refused by name."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from backtest.errors import ConfigError

__all__ = ["read_table", "read_text", "table_of"]


def read_text(path: Path, what: str) -> str:
    """The text of the file ``path``, which is UTF-8. Raises `ConfigError` that names ``what``."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"cannot read the {what} {path}: byte {error.start} is not UTF-8; save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the name
        raise ConfigError(f"cannot read the {what} {str(path)!r}: {error}") from None


def table_of(text: str, where: str) -> dict[str, Any]:
    """What the TOML ``text`` of the file ``where`` holds; decimals as they are written.

    Raises `ConfigError` for what is not TOML, is nested too deep or has endless whole numbers.
    """
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except RecursionError:
        raise ConfigError(f"{where} is nested too deep: no table here needs that") from None
    except ValueError as error:
        # A TOMLDecodeError, or a whole number of more digits than Python reads.
        told = "a whole number in it has too many digits" if "digits" in str(error) else error
        raise ConfigError(f"{where} is not TOML: {told}") from None


def read_table(path: Path, what: str) -> dict[str, Any]:
    """What the TOML file ``path`` holds. Raises `ConfigError` as the other two do."""
    return table_of(read_text(path, what), str(path))
