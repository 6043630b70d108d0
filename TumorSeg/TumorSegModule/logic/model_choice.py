"""Which model segments a volume: the one that the user picked, or the default for its modality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError, ModelError
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.specification import ModelSpecification
from TumorSegModule.logic.settings import Settings
from TumorSegModule.logic.volumes import check_usable, modality_of_node

if TYPE_CHECKING:
    from TumorSegModule.logic.parameters import Parameters


def called(specification: ModelSpecification) -> str:
    """Return a model's title and version, the version once."""
    title, version = specification.title, specification.version
    return title if title.endswith(version) else f"{title} {version}"


class ModelChoice:
    """Chooses among the segmenting models of a catalogue.

    Attributes:
        catalogue: of all models.
        bundles: those that segment.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        """Choose among the models in `catalogue`."""
        self.catalogue = catalogue
        self.bundles = [b for b in catalogue.bundles if b.specification.task == "segmentation"]
        self._key: tuple[Any, ...] | None = None
        self._modality = ""

    def picked(self, parameters: Parameters | Settings | None) -> Bundle | None:
        """Return the model that the user picked, None if the default is wanted."""
        name = parameters.model if parameters is not None else ""
        return next((bundle for bundle in self.bundles if bundle.id == name), None)

    def bundle(self, parameters: Parameters | None) -> Bundle | None:
        """Return the model for the panel's volume, None if there is none."""
        picked = self.picked(parameters)
        if picked is not None or parameters is None or parameters.volume is None:
            return picked
        try:
            return self.catalogue.default_for(self.modality(parameters.volume))
        except (InputError, ModelError):
            return None

    def bundle_for(
        self, volume: slicer.vtkMRMLScalarVolumeNode, parameters: Parameters | Settings | None
    ) -> Bundle:
        """Return the model for any volume: the one picked, if it fits, or the default.

        Raises:
            InputError: the volume cannot be segmented.
            ModelError: there is no model for it.
        """
        picked, modality = self.picked(parameters), self.modality(volume)
        if picked is not None and picked.specification.modality == modality:
            return picked
        return self.catalogue.default_for(modality)

    def modality(self, volume: slicer.vtkMRMLScalarVolumeNode) -> str:
        """Return a volume's modality, worked out once for the same voxels.

        Raises:
            InputError: there is nothing to see in the volume, or it is no scalar image.
        """
        check_usable(volume)
        key = (volume.GetID(), volume.GetImageData().GetMTime(), volume.GetMTime())
        if key != self._key:
            self._modality = modality_of_node(volume)
            self._key = key
        return self._modality

    def why_none(self, volume: slicer.vtkMRMLScalarVolumeNode, advice: str = "") -> str:
        """Return why there is no model for a usable volume.

        Args:
            volume: node.
            advice: what to do; by default what there is in the panel.
        """
        try:
            modality = self.modality(volume)
        except InputError as error:
            return str(error)
        return _("There is no model for {modality} volumes here; {advice}.").format(
            modality=modality, advice=advice or _("choose or import another with Change")
        )


def effective(bundle: Bundle, catalogue: Catalogue, settings: Parameters | Settings) -> Bundle:
    """Return `bundle`, or its ensemble if `settings` want that."""
    ensemble = ensemble_of(bundle, catalogue)
    return ensemble if settings.ensemble and ensemble is not None else bundle


def run_settings(
    bundle: Bundle, catalogue: Catalogue, settings: Parameters | Settings
) -> RunOptions:
    """Return how `settings` want `bundle` to be run."""
    detector = detector_for(bundle, catalogue) if settings.onlyDetected else None
    return RunOptions(
        device=settings.device,
        precision=settings.precision,
        mirror_tta={"on": True, "off": False}.get(settings.flips),
        keep_model=settings.keepModel,
        slice_detector=None if detector is None else str(detector.folder),
    )


def detector_for(bundle: Bundle, catalogue: Catalogue) -> Bundle | None:
    """Return the detector in `catalogue` that looks at the same images, None if there is none."""
    model = bundle.specification
    try:
        detector = catalogue.default_for(model.modality, "detection")
    except ModelError:
        return None
    same = detector.specification.input.channels[0].name == model.input.channels[0].name
    return detector if same else None


def ensemble_of(bundle: Bundle, catalogue: Catalogue) -> Bundle | None:
    """Return the ensemble in `catalogue` that `bundle` is a member of, None if there is none."""
    return next((b for b in catalogue.bundles if bundle.id in b.specification.members), None)
