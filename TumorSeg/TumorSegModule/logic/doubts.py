"""Why it is not certain that a model fits a volume node: it is a guess, or contradicts."""

from __future__ import annotations

from dataclasses import replace

import slicer

from TumorSegLib.image.volume import Volume
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegModule.logic.volumes import channel_of, stated_modality

LOOK_AT_VOXELS = 128
"""Along each axis: enough for the rules, and quick enough for the window's thread."""


def doubts_of_node(
    volume: slicer.vtkMRMLScalarVolumeNode, bundle: Bundle, *, picked: bool
) -> list[str]:
    """Return a line for everything that speaks against running a model on a volume unasked.

    Args:
        volume: node to segment.
        bundle: model that is about to run.
        picked: whether the user picked the model; what the volume is may be a guess then.

    Raises:
        InputError: the node cannot be segmented.
    """
    from TumorSegLib.inference.input_checks import contradictions, doubts  # brings SciPy

    channel, grid = channel_of(volume), placement_of(volume).grid
    steps = [-(-count // LOOK_AT_VOXELS) for count in grid.shape]
    voxels = channel.voxels[tuple(slice(None, None, step) for step in steps)]
    if voxels.min() == voxels.max():
        return []
    x, y, z = (mm * step for mm, step in zip(grid.spacing, steps[::-1], strict=True))
    coarse = replace(grid, shape=voxels.shape, spacing=(x, y, z))
    seen = Volume(voxels, coarse, stated_modality(volume) or None, volume.GetName())
    model = bundle.specification
    if picked:
        return contradictions({model.input.channels[0].name: seen}, model)
    return doubts(seen, model)
