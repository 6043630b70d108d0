"""How a model was run, kept with the segmentation and thus saved with it. MRML, no Qt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import slicer

from TumorSegLib.errors import TumorSegError
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.slicer_io.geometry import Placement
from TumorSegLib.slicer_io.nodes import set_quietly, volume_of
from TumorSegLib.support.schema import from_dict, parsed, to_dict
from TumorSegLib.worker.protocol import Done
from TumorSegLib.worker.report_protocol import ReportedRun
from TumorSegModule.logic.model_baseline import was_undone
from TumorSegModule.logic.run_options import Options
from TumorSegModule.logic.volumes import further_channels, obvious_sequences

RUN_ATTRIBUTE = "TumorSeg.Run"

SEQUENCE = "TumorSeg.Sequence."
"""Begins the names of references from a segmentation to the run's further sequences ("t1")."""


@dataclass(frozen=True)
class KeptRun:
    """The last run that wrote to a segmentation.

    Attributes:
        run: how the model was run.
        warnings: lines for the user.
        names: of the volumes by channel, which the warnings tell; the segmented one is first.
    """

    run: ReportedRun
    warnings: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


def keep_run(
    segmentation: slicer.vtkMRMLSegmentationNode,
    options: Options,
    placement: Placement,
    event: Done,
) -> None:
    """Keep with a segmentation how the run went that was just written to it."""
    channels, run = options.bundle.specification.input.channels, options.run
    given = [channel.title for channel in channels if channel.name in options.nodes]
    if options.within is not None:
        run = replace(run, slices=placement.axial_slices_of(options.within))
    if run.slice_detector is not None:  # without the folders of this computer
        run = replace(run, slice_detector=Path(run.slice_detector).name)
    kept = KeptRun(
        ReportedRun(
            event.device,
            event.precision,
            sum(event.seconds.values()),
            run,
            tuple(given) if len(channels) > 1 else (),
            event.settings.get("slices", ""),
        ),
        event.warnings,
        event.names,
    )
    set_quietly(segmentation, RUN_ATTRIBUTE, json.dumps(to_dict(kept), separators=(",", ":")))
    for channel in channels[1:]:
        node = options.sequences.get(channel.name)
        role = f"{SEQUENCE}{channel.name}"
        segmentation.SetNodeReferenceID(role, node.GetID() if node is not None else None)


def kept_run_of(segmentation: slicer.vtkMRMLSegmentationNode) -> KeptRun | None:
    """Return how the last run went, None where that is not known, or it was undone."""
    text = "" if was_undone(segmentation) else segmentation.GetAttribute(RUN_ATTRIBUTE)
    try:
        return from_dict(KeptRun, parsed(text)) if text else None
    except (ValueError, TumorSegError):  # written by hand or by another version
        return None


def known_sequences(
    volume: slicer.vtkMRMLScalarVolumeNode, bundle: Bundle, names: Sequence[str] | None = None
) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
    """Return a volume's further sequences: those of its last run, else the obvious ones.

    Args:
        volume: node to segment.
        bundle: model.
        names: of the channels to look for; all that the model takes if not given.

    Returns:
        Nodes by channel name.
    """
    names = further_channels(bundle) if names is None else names
    found = obvious_sequences(volume, bundle, names)
    for segmentation in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if volume_of(segmentation) is volume:
            for name in names:
                node = segmentation.GetNodeReference(f"{SEQUENCE}{name}")
                if node is not None:
                    found[name] = node
    return found
