from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of working data beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the working data in ../shared, which are not published")
    return SHARED
