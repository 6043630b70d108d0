"""What a head's image looks like, where neither header nor name tells: a learnt guess."""

from __future__ import annotations

from TumorSegLib.errors import ModelError
from TumorSegLib.image.grid import AxialView
from TumorSegLib.image.modality import modality_known_by
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.image_features import FEATURES, image_features
from TumorSegLib.model.image_kinds import ImageKinds, shipped_kinds

FEWEST_SLICES = 3
"""Single slices, near the base or the vertex of a head, are too often taken for something else."""


def kind_probabilities(volume: Volume, kinds: ImageKinds) -> dict[str, float]:
    """Return how probable each kind is; empty where nothing stands out of the air.

    CT is left out where the volume's header says that it is MRI.

    Raises:
        ModelError: the classifier looks at other numbers than this version.
    """
    if kinds.specification.features != FEATURES:
        raise ModelError("image-kinds: is of another version; install TumorSeg again")
    features = image_features(volume)
    if features is None:
        return {}
    probabilities = kinds.probabilities(features)
    if modality_known_by(volume) == "stated" and volume.modality == "MR":
        probabilities.pop("ct", None)
    whole = sum(probabilities.values())
    return {kind: part / whole for kind, part in probabilities.items()}


def seen_instead_of_flair(volume: Volume) -> str | None:
    """Return "t1", "t2" or "ct" where a volume evidently is that and not FLAIR, else None.

    T1 stands for T1 after contrast, too. Volumes of one or two axial slices are not judged.

    Raises:
        ModelError: the classifier is missing or damaged.
    """
    if AxialView.of(volume.grid).apply(volume.voxels).shape[0] < FEWEST_SLICES:
        return None
    kinds = shipped_kinds()
    probabilities = kind_probabilities(volume, kinds)
    if not probabilities or probabilities["flair"] >= kinds.specification.threshold:
        return None
    probabilities["t1"] += probabilities.pop("t1c")
    return max(set(probabilities) - {"flair"}, key=probabilities.__getitem__)
