"""What to say where the packages for training are not installed."""

from __future__ import annotations

from importlib.util import find_spec

from TumorSegLib.errors import InputError
from TumorSegLib.support.extras import PACKAGES, pip_install
from TumorSegLib.support.torch_support import why_not_train
from TumorSegLib.support.words import is_or_are

NEEDED = ("lightning", "monai", "matplotlib", "tensorboard", "scipy", "PIL", "jinja2")


def require_train_extra(command: str) -> None:
    """Check that the packages are there, or can be; nothing is imported.

    Raises:
        InputError: one is missing, or this computer cannot train.
    """
    if reason := why_not_train():
        raise InputError(reason)
    missing = [PACKAGES.get(name, name) for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f"tumorseg {command} needs {', '.join(missing)}, which {is_or_are(missing)} not"
            f" installed; run {pip_install('train')}"
        )
