"""What is chosen in the panel: settings, volume, target, model, further sequences. MRML, no Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import slicer

from TumorSegLib.errors import InputError, ModelError
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegLib.slicer_io.images import Box
from TumorSegLib.slicer_io.nodes import is_case, volume_of
from TumorSegModule.logic import server_choice
from TumorSegModule.logic.kept_run import known_sequences
from TumorSegModule.logic.model_choice import ModelChoice, effective, run_settings
from TumorSegModule.logic.run_extent import box_of_region, box_of_shown_slice
from TumorSegModule.logic.run_options import Options
from TumorSegModule.logic.segments import REPLACE
from TumorSegModule.logic.settings import (
    REGION,
    THIS_SLICE,
    channel_node,
    set_channel_node,
)
from TumorSegModule.logic.volumes import check_usable, further_channels, obvious_sequences

if TYPE_CHECKING:
    from TumorSegModule.logic.parameters import Parameters


class Selection:
    """The scene's settings, and what they mean with the models that there are.

    Attributes:
        parameters: the settings, None while there is no scene.
        models: those to choose from.
    """

    def __init__(self, read_catalogue: Callable[[], Catalogue]) -> None:
        """Choose among the models that `read_catalogue` returns, now and whenever they change."""
        self.parameters: Parameters | None = None
        self._chosen_for: slicer.vtkMRMLScalarVolumeNode | None = None
        self.read_catalogue = read_catalogue
        self.models = ModelChoice(read_catalogue())

    def connect(self, parameters: Parameters | None) -> None:
        """Take the settings of a scene, None for none."""
        self.parameters = parameters
        self._chosen_for = self.volume

    def read_models(self) -> None:
        """Take the models that there are now."""
        self.models = ModelChoice(self.read_catalogue())

    @property
    def settings(self) -> Parameters:
        """The settings, where there is a scene."""
        assert self.parameters is not None
        return self.parameters

    @property
    def volume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The volume node to segment."""
        return self.parameters.volume if self.parameters else None

    @property
    def target(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The segmentation node to write to, None for a new one."""
        return self.parameters.target if self.parameters else None

    @property
    def case(
        self,
    ) -> tuple[slicer.vtkMRMLSegmentationNode | None, slicer.vtkMRMLScalarVolumeNode | None]:
        """The target if it is a case, and the volume that it was drawn on; None for what is not."""
        if self.target is None or not is_case(self.target):
            return None, None
        return self.target, volume_of(self.target) or self.volume

    @property
    def case_or_volume(
        self,
    ) -> tuple[slicer.vtkMRMLSegmentationNode | None, slicer.vtkMRMLScalarVolumeNode | None]:
        """The case; without one, the volume by itself."""
        segmentation, volume = self.case
        return segmentation, volume or self.volume

    @property
    def bundle(self) -> Bundle | None:
        """The model for the volume, None if there is none."""
        return self.models.bundle(self.parameters)

    @property
    def problem(self) -> str:
        """Why the volume cannot be segmented, "" if it can or none is chosen."""
        if self.volume is None:
            return ""
        try:
            check_usable(self.volume)
            placement_of(self.volume)
        except InputError as error:
            return str(error)
        return ""

    @property
    def slices(self) -> int:
        """Number of axial slices of the volume, 0 if there is none that can be segmented."""
        if self.volume is None or self.problem:
            return 0
        placement = placement_of(self.volume)
        return placement.grid.shape[placement.view.axes[0]]

    @property
    def shown_bundle(self) -> Bundle | None:
        """The model that the panel shows: the one for the volume, else the one that was picked."""
        bundle = None if self.problem else self.bundle
        return bundle or self.models.picked(self.parameters)

    def bundle_for(self, volume: slicer.vtkMRMLScalarVolumeNode) -> Bundle | None:
        """Return the model for any volume node, None if there is none."""
        if volume is self.volume:
            return self.bundle
        try:
            return self.models.bundle_for(volume, self.parameters)
        except (InputError, ModelError):
            return None

    def node(self, name: str) -> slicer.vtkMRMLNode | None:
        """Return the node of a setting, as "volume" or "region"."""
        return getattr(self.parameters, name) if self.parameters else None

    def keep_node(self, name: str, node: slicer.vtkMRMLNode | None) -> None:
        """Keep the node of a setting."""
        if self.parameters is not None:
            setattr(self.parameters, name, node)

    def let_go_of_target(self) -> None:
        """Let go of another volume's segmentation when a volume was chosen; see `volume_of`."""
        volume, target = self.volume, self.target
        if volume is None or volume is self._chosen_for:
            return
        self._chosen_for = volume
        if target is None or volume_of(target) is volume:
            return
        if volume_of(target) is not None or target.GetSegmentation().GetNumberOfSegments() > 0:
            self.settings.target = None

    def channel_node(self, name: str) -> slicer.vtkMRMLScalarVolumeNode | None:
        """Return the node that is chosen for a further sequence ("t1")."""
        return channel_node(self.parameters, name) if self.parameters is not None else None

    def keep_channel_node(self, name: str, node: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Choose the node for a further sequence."""
        if self.parameters is not None:
            set_channel_node(self.parameters, name, node)

    def chosen_sequences(self, bundle: Bundle) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
        """Return the nodes that are chosen beside the volume, by channel name.

        Raises:
            InputError: one of them is no scalar image.
        """
        by_name = {name: self.channel_node(name) for name in further_channels(bundle)}
        nodes = {name: node for name, node in by_name.items() if node is not None}
        for node in nodes.values():
            check_usable(node)
        return nodes

    @property
    def shown_sequences(self) -> dict[str, slicer.vtkMRMLScalarVolumeNode | None]:
        """The further sequences that are chosen for the volume, None where none is."""
        bundle = None if self.problem else self.bundle
        names = further_channels(bundle) if bundle is not None else []
        return {name: self.channel_node(name) for name in names}

    def sequences_of(
        self, volume: slicer.vtkMRMLScalarVolumeNode, bundle: Bundle
    ) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
        """Return any volume's further sequences by channel name.

        Those that are chosen, of another volume those that it was segmented with last, and the
        obvious ones.

        Raises:
            InputError: one that was chosen is no scalar image.
        """
        if volume is self.volume:
            return self.chosen_sequences(bundle)
        return known_sequences(volume, bundle)

    def accompanying(
        self, volume: slicer.vtkMRMLScalarVolumeNode
    ) -> list[slicer.vtkMRMLScalarVolumeNode]:
        """Return the nodes that are further sequences of a volume, as far as is known."""
        try:
            bundle = self.models.bundle_for(volume, self.parameters)
            chosen = self.sequences_of(volume, bundle)
            return [*chosen.values(), *obvious_sequences(volume, bundle).values()]
        except (InputError, ModelError):
            return []

    def within(self) -> Box | None:
        """Return the box along (z, y, x) to which a run is limited, None for the whole volume.

        Raises:
            InputError: the slice or region that is chosen does not meet the volume.
        """
        placement = placement_of(self.volume)
        if self.settings.extent == THIS_SLICE:
            return box_of_shown_slice(placement)
        if self.settings.extent == REGION:
            return box_of_region(placement, self.settings.region)
        return None

    def options(
        self,
        bundle: Bundle,
        target: slicer.vtkMRMLSegmentationNode | None,
        mode: str = REPLACE,
    ) -> Options:
        """Return what the settings ask for.

        Args:
            bundle: model, or member of the ensemble to run.
            target: segmentation node to write to, None for a new one.
            mode: what to do with segments that are there already.

        Raises:
            InputError: the settings do not fit the volume, or no server is named.
        """
        return Options(
            self.volume,
            effective(bundle, self.models.catalogue, self.settings),
            sequences=self.chosen_sequences(bundle),
            target=target,
            mode=mode,
            within=self.within(),
            run=run_settings(bundle, self.models.catalogue, self.settings),
            server=server_choice.checked(server_choice.wished()),
        )
