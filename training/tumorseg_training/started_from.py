"""Whom the weights that a run starts from have learnt from already."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tumorseg_training.recorded_names import those_among
from TumorSegLib.errors import InputError, ModelError
from TumorSegLib.model.bundle import Bundle, read_bundle
from TumorSegLib.model.bundle_folder import SPECIFICATION_FILE
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.support.words import some


def patients_before(source: str | None) -> frozenset[str]:
    """Return the patients whom the weights of `optimisation.start_from` have learnt from.

    A model's `model.json` names them, for a checkpoint that of the bundle which its run has left
    beside it. Of ImageNet's weights, and where nothing says, there are none.
    """
    patients = (bundle.specification.provenance.trained_on for bundle in _bundles(source))
    return frozenset[str]().union(*patients)


def check_not_seen(source: str | None, aside: Collection[str]) -> None:
    """Refuse weights that have learnt from somebody who is kept aside to measure on.

    Args:
        source: `optimisation.start_from`.
        aside: patients, as their data set calls them.

    Raises:
        InputError: they have.
        OutputError: the key of hashed names cannot be read.
    """
    if seen := sorted(those_among(aside, patients_before(source))):
        raise InputError(
            f"optimisation.start_from {source}: was trained on {len(seen)} of the"
            f" {len(set(aside))} patients kept aside ({some(seen)}), so that figures on them would"
            " be too good; keep others aside by data.validate, or start from weights that never"
            " saw them"
        )


def _bundles(source: str | None) -> list[Bundle]:
    """Return the models whose records count; a missing one is told by what loads its weights."""
    if source is None or source.lower().endswith(".pth"):
        return []
    path = Path(source).expanduser()
    try:
        if path.suffix.lower() == ".ckpt":
            found = sorted(path.parent.glob(f"*/{SPECIFICATION_FILE}"))
            return [read_bundle(model.parent) for model in found]
        return [default_catalogue().find(str(path))]
    except ModelError:
        return []
