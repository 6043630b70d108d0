"""From what a script asks for to what is run: model, further sequences, target, limits. MRML."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError, ModelError, TumorSegError
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.licences import licences_of
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegLib.slicer_io.images import Box
from TumorSegModule.logic.doubts import doubts_of_node
from TumorSegModule.logic.model_choice import detector_for
from TumorSegModule.logic.requirements import missing_packages
from TumorSegModule.logic.run_extent import box_of_region
from TumorSegModule.logic.run_options import Options, edits_in
from TumorSegModule.logic.segments import ADD, NEW, REPLACE
from TumorSegModule.logic.volumes import (
    check_usable,
    further_channels,
    modality_of_node,
    obvious_sequences,
)

REFUSE = "refuse"
"""Do not run where segments that the model would write were edited by hand."""

MODES = (REFUSE, REPLACE, ADD, NEW)

Model = str | Path | Bundle | None
"""Id or folder of a model, a model, or None for the default of the volume's modality."""


def check_installed() -> None:
    """Refuse to run where packages are missing.

    Raises:
        TumorSegError: with their names, and how to install them.
    """
    if missing := missing_packages():
        names = ", ".join(package.name for package in missing)
        raise TumorSegError(
            _(
                "TumorSeg needs {packages}, not installed here; click Segment in the panel once,"
                " which offers to install what is needed"
            ).format(packages=names)
        )


def script_options(
    volume: slicer.vtkMRMLScalarVolumeNode,
    model: Model,
    catalogue: Catalogue,
    *,
    channels: Mapping[str, slicer.vtkMRMLScalarVolumeNode] | None = None,
    target: slicer.vtkMRMLSegmentationNode | None = None,
    edited: str = REFUSE,
    slices: tuple[int, int] | None = None,
    region: slicer.vtkMRMLMarkupsROINode | None = None,
    only_detected: bool = False,
    run: RunOptions | None = None,
) -> Options:
    """Return what to run; arguments as in `TumorSegLogic.startSegmentation`.

    Args:
        volume: node to segment.
        model: see `Model`.
        catalogue: of all models.
        channels: nodes of further sequences by channel name; the obvious ones if not given.
        target: segmentation node to write to, None for a new one.
        edited: what to do with segments that were edited by hand, one of `MODES`.
        slices: first and last + 1 of the axial slices to segment, 0 the most inferior.
        region: to limit the run to.
        only_detected: segment only slices on which a detector finds something.
        run: how to run the model.

    Raises:
        InputError: a node, a channel or a limit cannot be used, or segments were edited.
        ModelError: there is no such model.
    """
    if volume is None:
        raise InputError(_("found no volume, expected a volume node of the scene"))
    check_usable(volume)
    bundle = _bundle(model, volume, catalogue)
    detector = detector_for(bundle, catalogue) if only_detected else None
    if only_detected and detector is None:
        raise ModelError(
            _("model {id}: there is no detector for it; leave onlyDetected out").format(
                id=bundle.id
            )
        )
    _log_licences([*catalogue.members(bundle), *([detector] if detector else [])])
    return Options(
        volume,
        bundle,
        sequences=_sequences(channels, volume, bundle),
        target=target,
        mode=_mode(edited, target, volume, bundle),
        within=_within(volume, slices, region),
        show=False,
        run=replace(run or RunOptions(), slice_detector=str(detector.folder) if detector else None),
    )


def _bundle(model: Model, volume: slicer.vtkMRMLScalarVolumeNode, catalogue: Catalogue) -> Bundle:
    if model is None:
        bundle = catalogue.default_for(modality_of_node(volume))
        if found := doubts_of_node(volume, bundle, picked=False):
            raise InputError(
                _("{doubt}; no model is chosen for it, pass one as model").format(doubt=found[0])
            )
        return bundle
    bundle = model if isinstance(model, Bundle) else catalogue.find(str(model))
    if bundle.specification.task != "segmentation":
        raise ModelError(
            _("model {id}: is for {task}, expected one that segments").format(
                id=bundle.id, task=bundle.specification.task
            )
        )
    return bundle


def _sequences(
    channels: Mapping[str, slicer.vtkMRMLScalarVolumeNode] | None,
    volume: slicer.vtkMRMLScalarVolumeNode,
    bundle: Bundle,
) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
    if channels is None:
        return obvious_sequences(volume, bundle)
    known = further_channels(bundle)
    if unknown := sorted(set(channels) - set(known)):
        raise InputError(
            _("model {id}: found channels {found}, expected some of: {known}").format(
                id=bundle.id, found=", ".join(unknown), known=", ".join(known) or _("none")
            )
        )
    return {name: channels[name] for name in known if channels.get(name) is not None}


def _mode(
    edited: str,
    target: slicer.vtkMRMLSegmentationNode | None,
    volume: slicer.vtkMRMLScalarVolumeNode,
    bundle: Bundle,
) -> str:
    if edited not in MODES:
        raise InputError(
            _("edited={found}: expected one of: {known}").format(
                found=edited, known=", ".join(MODES)
            )
        )
    names = edits_in(target, volume, bundle)
    if not names:
        return REPLACE
    if edited == REFUSE:
        raise InputError(
            _(
                "{name}: edited by hand since a model ran: {segments}; pass edited as one of:"
                " {known}"
            ).format(
                name=target.GetName() if target is not None else "",
                segments=", ".join(names),
                known=", ".join(MODES[1:]),
            )
        )
    return edited


def _within(
    volume: slicer.vtkMRMLScalarVolumeNode,
    slices: tuple[int, int] | None,
    region: slicer.vtkMRMLMarkupsROINode | None,
) -> Box | None:
    placement = placement_of(volume)
    if region is not None:
        if slices is not None:
            raise InputError(_("found slices and a region, expected one of them"))
        return box_of_region(placement, region)
    if slices is None:
        return None
    start, stop = slices
    count = placement.grid.shape[placement.view.axes[0]]
    if not 0 <= start < stop <= count:
        raise InputError(
            _("slices {start} to {stop}: expected first and last + 1 within 0 to {count}").format(
                start=start, stop=stop, count=count
            )
        )
    return placement.box_of_slices(start, stop)


def _log_licences(bundles: list[Bundle]) -> None:
    """Say which licences the weights have; a script has nobody to ask."""
    for licence in licences_of(bundles):
        line = _("The model's weights have the licence {name}: {use}")
        logging.info(line.format(name=licence.name, use=licence.use or licence.url))
