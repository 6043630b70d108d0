"""The folder of a model: its files, and that it is replaced as a whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from TumorSegLib.errors import OutputError
from TumorSegLib.support.whole_folder import finish_replacing, replacing_folder

SPECIFICATION_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "README.md"
FOREST_FILE = "candidates.safetensors"
LARGEST = {
    SPECIFICATION_FILE: 1 << 20,
    WEIGHTS_FILE: 2 << 30,
    FOREST_FILE: 64 << 20,
    CARD_FILE: 1 << 20,
    "thumbnail.png": 4 << 20,
    "LICENSE": 1 << 20,
    "LICENSE.txt": 1 << 20,
}
"""All files that belong to a model, with the most bytes that each may have."""


def check_place_of_bundle(folder: Path) -> None:
    """Refuse a place for a bundle at which something else would be lost, before any work is done.

    Raises:
        OutputError: there is a file, or a folder with more in it than a model.
    """
    if folder.is_symlink():
        return  # the link alone is replaced
    try:
        present = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(
            f"{folder}: {error.strerror or error}; expected a model's place"
        ) from None
    if foreign := sorted(present - LARGEST.keys()):
        raise OutputError(
            f"{folder}: holds {foreign[0]}, which is no part of a model and would be lost; move it"
            " away or choose another folder"
        )
    if present and SPECIFICATION_FILE not in present:
        raise OutputError(
            f"{folder}: holds files but no model ({SPECIFICATION_FILE}), and they would be lost;"
            " choose another folder"
        )


@contextmanager
def replacing_bundle(folder: Path) -> Iterator[Path]:
    """Yield the path of a folder to make; when the block ends well, it takes `folder`'s place.

    Raises:
        OutputError: the new folder cannot be written, or cannot take the place, or something else
            than a model is there.
    """
    check_place_of_bundle(folder)
    finish_replacing(folder.parent)
    try:
        with replacing_folder(folder) as new:
            yield new
    except (OSError, shutil.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{folder}: {reason}; the model was not written") from None
