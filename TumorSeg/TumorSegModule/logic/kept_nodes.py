"""Where the nodes that selectors show are kept; see `TumorSegModule.logic.listeners.NodeKeeper`."""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from TumorSegModule.logic.listeners import SelectionListener
from TumorSegModule.logic.selection import Selection


@dataclass(frozen=True)
class SettingNode:
    """A node of the settings, as "volume", "target" or "region"."""

    selection: Selection
    name: str

    @property
    def node(self) -> slicer.vtkMRMLNode | None:
        """The node that is kept, None if none is."""
        return self.selection.node(self.name)

    def keep(self, node: slicer.vtkMRMLNode | None) -> None:
        """Keep a node, or None."""
        self.selection.keep_node(self.name, node)


@dataclass
class SequenceNode:
    """A further sequence, as "t1".

    Attributes:
        selection: keeps it.
        name: of the channel.
        listener: told when another is kept.
        picked: whether the user has picked one for this volume.
    """

    selection: Selection
    name: str
    listener: SelectionListener
    picked: bool = False

    @property
    def node(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The node that is kept, None if none is."""
        return self.selection.channel_node(self.name)

    def keep(self, node: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Keep a node, or None, as picked by the user."""
        if self.selection.parameters is not None:
            self.picked = True
            self.selection.keep_channel_node(self.name, node)
            self.listener.selection_changed()
