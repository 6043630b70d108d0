"""Which model segments a volume: the one that the user picked, or the default for its modality."""

from slicer.i18n import tr as _

from TumorSegLib.errors import InputError, ModelError
from TumorSegModule.logic.volumes import check_usable, modality_of_node


def called(specification):
    """Return a model's title and version, the version once."""
    title, version = specification.title, specification.version
    return title if title.endswith(version) else f"{title} {version}"


class ModelChoice:
    """Chooses among the segmenting models of a catalogue.

    Attributes:
        catalogue: of all models.
        bundles: those that segment.
    """

    def __init__(self, catalogue):
        """Choose among the models in `catalogue`."""
        self.catalogue = catalogue
        self.bundles = [b for b in catalogue.bundles if b.specification.task == "segmentation"]
        self._key = self._modality = None

    def picked(self, parameters):
        """Return the model that the user picked, None if the default is wanted."""
        name = parameters.model if parameters is not None else ""
        return next((bundle for bundle in self.bundles if bundle.id == name), None)

    def bundle(self, parameters):
        """Return the model for the panel's volume, None if there is none."""
        picked = self.picked(parameters)
        if picked is not None or parameters.volume is None:
            return picked
        try:
            return self.catalogue.default_for(self.modality(parameters.volume))
        except (InputError, ModelError):
            return None

    def bundle_for(self, volume, parameters):
        """Return the model for any volume: the one picked, if it fits, or the default.

        Raises:
            InputError: the volume cannot be segmented.
            ModelError: there is no model for it.
        """
        picked, modality = self.picked(parameters), self.modality(volume)
        if picked is not None and picked.specification.modality == modality:
            return picked
        return self.catalogue.default_for(modality)

    def modality(self, volume):
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

    def why_none(self, volume):
        """Return why there is no model for a usable volume."""
        try:
            modality = self.modality(volume)
        except InputError as error:
            return str(error)
        return _(
            "There is no model for {modality} volumes here; choose another with Change."
        ).format(modality=modality)
