"""Where the configs lie that come with the training."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def configs() -> Path:
    """Return the folder of the shipped models' configs.

    It lies in the package where that is installed, and beside it in a checkout.
    """
    inside = PACKAGE / "configs"
    return inside if inside.is_dir() else PACKAGE.parent / "configs"


def config_file(name: str) -> Path:
    """Return the file that `name` is a path of, or the config that comes with TumorSeg so named.

    A name that is neither is taken as a path, so that reading it says what is missing.
    """
    shipped = configs() / f"{name}.toml"
    given = Path(name)
    known = given.name == name and shipped.is_file() and not given.exists()
    return shipped if known else given
