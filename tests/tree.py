"""Where the tests lie, and the mark of those that read the sources beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["ROOT", "needs_the_sources"]

ROOT = Path(__file__).resolve().parent.parent

# The suite of the wheel has the tools beside it and folders of somebody else's, but no src.
needs_the_sources = pytest.mark.skipif(
    not (ROOT / "src").is_dir(), reason="the sources are not here: this is the suite of the wheel"
)
