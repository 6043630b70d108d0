"""Which model segments a volume where nobody names one, and when none may be chosen unasked."""

from __future__ import annotations

from TumorSegLib.errors import InputError
from TumorSegLib.image.modality import modality_of
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.input_checks import doubts
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue


def model_for(volume: Volume, catalogue: Catalogue, task: str = "segmentation") -> Bundle:
    """Return the default model for what a volume certainly is.

    Args:
        volume: to run the model on, as its first channel.
        catalogue: of all models.
        task: "segmentation" or "detection".

    Raises:
        InputError: what the volume is would be a guess, or contradicts the model.
        ModelError: there is no model for its modality.
    """
    bundle = catalogue.default_for(modality_of(volume), task)
    if found := doubts(volume, bundle.specification):
        ids = ", ".join(
            bundle.id for bundle in catalogue.bundles if bundle.specification.task == task
        )
        raise InputError(f"{found[0]}; no model is chosen for it, name one (--model): {ids}")
    return bundle
