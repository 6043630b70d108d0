"""The folder of a run's files: one of its own, not where cases or models lie."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tumorseg_training.comparison import RESULTS
from tumorseg_training.train import LAST
from TumorSegLib.errors import InputError
from TumorSegLib.model.bundle_folder import SPECIFICATION_FILE
from TumorSegLib.model.catalogue import user_folder

VOLUMES = (".nii", ".gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".raw", ".dcm", ".tif", ".tiff")
"""What the names of cases' files end in; a run writes none of these."""


def check_run_folder(folder: Path, data: Iterable[str | Path] = ()) -> None:
    """Refuse a folder in which a run's files would count as cases or as models.

    Args:
        folder: of the run, there or not.
        data: folders of the data sets that are read.

    Raises:
        InputError: it is the folder of the user's models; it is a model's, or lies in one; it is a
            data set's, or lies in one and holds volumes.
    """
    place = folder.resolve()
    ways = (place, *place.parents)
    model = next((above for above in ways if (above / SPECIFICATION_FILE).is_file()), None)
    if model is not None or place == user_folder().resolve():
        what = "the folder of your models" if model is None else f"in the model {model.name}"
        raise InputError(
            f"{folder}: is {what}, which a run's files are no part of; choose another folder by -o"
        )
    for source in data:
        root = Path(source).expanduser().resolve()
        if place == root or (root in ways and _holds_volumes(place)):
            raise InputError(
                f"{folder}: holds files of the data set {source}; choose another folder by -o"
            )


def _holds_volumes(folder: Path) -> bool:
    return folder.is_dir() and any(path.suffix.lower() in VOLUMES for path in folder.iterdir())


def is_finished(folder: Path) -> bool:
    """Tell whether a retraining in `folder` came to its end."""
    return (folder / RESULTS).exists() and not (folder / LAST).exists()


def default_folder(name: str) -> Path:
    """Return runs/NAME, or runs/NAME-2 and so on where others have come to their end."""
    folder, number = Path("runs") / name, 1
    while is_finished(folder):
        number += 1
        folder = Path("runs") / f"{name}-{number}"
    return folder
