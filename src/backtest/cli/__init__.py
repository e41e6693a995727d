"""The command line: ``python -m backtest run | demo | market | verify | explain``."""

from __future__ import annotations

from backtest.cli.command import main

__all__ = ["main"]
