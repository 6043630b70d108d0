"""Further sequences (T1, T1 after contrast): one selector for each that the model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.specification import Channel, Input
from TumorSegModule.logic.kept_nodes import SequenceNode
from TumorSegModule.logic.kept_run import known_sequences
from TumorSegModule.logic.listeners import SelectionListener
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.volumes import check_usable, on_another_grid
from TumorSegModule.widgets.node_choice import NodeChoice, NodeChoices


@dataclass(frozen=True)
class _Row:
    """A label, its selector, and where what is picked there is kept."""

    label: Any
    selector: Any
    choice: NodeChoice
    kept: SequenceNode


class SequencesSection:
    """Drives the rows of selectors below the volume."""

    def __init__(
        self, ui: Any, selection: Selection, choices: NodeChoices, listener: SelectionListener
    ) -> None:
        """Put rows into `ui.sequences`.

        Args:
            ui: the panel's widgets.
            selection: keeps the sequences.
            choices: of all selectors.
            listener: told when the user picked.
        """
        self._ui = ui
        self._selection = selection
        self._choices = choices
        self._listener = listener
        self._rows: dict[str, _Row] = {}
        self._suggested_for: tuple[str, tuple[str, ...]] | None = None

    def connect(self) -> None:
        """The settings are others."""
        self._suggested_for = None
        self._forget_picks()

    def show(self, bundle: Bundle | None) -> str:
        """Show a row for each further sequence of the model; return a note for the user."""
        volume = self._selection.volume
        channels = bundle.specification.input.channels[1:] if volume and bundle else ()
        self._show_rows(channels)
        self._ui.sequences.visible = bool(channels)
        if bundle is None or not channels:
            return ""
        self._suggest(bundle)
        self._show_stand_ins(bundle.specification.input)
        self._choices.show()
        return self._note(channels)

    def _show_rows(self, channels: tuple[Channel, ...]) -> None:
        """Show the rows of `channels` alone; rows of other models stay, hidden."""
        for channel in channels:
            if channel.name not in self._rows:
                self._rows[channel.name] = self._new_row(channel.name)
            self._rows[channel.name].label.text = channel.title
        shown = {channel.name for channel in channels}
        for name, row in self._rows.items():
            row.label.visible = row.selector.visible = name in shown

    def _show_stand_ins(self, given: Input) -> None:
        """Say in each row what a run would use if nothing were picked there."""
        names = [channel.name for channel in given.channels]
        present = {name for name in names[1:] if self._selection.channel_node(name) is not None}
        for name in names[1:]:
            stand_in = given.stand_in(name, (present | {names[0]}) - {name})
            self._rows[name].choice.show_none_as(
                _("Needed by this model")
                if stand_in is None
                else _("Not given; replaced by {name}").format(name=stand_in.upper())
            )

    def _new_row(self, name: str) -> _Row:
        label, selector = qt.QLabel(), slicer.qMRMLNodeComboBox()
        label.minimumWidth = self._ui.volumeLabel.minimumWidth
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.showChildNodeTypes = False
        selector.noneEnabled = True
        selector.addEnabled = selector.removeEnabled = False
        selector.setMRMLScene(slicer.mrmlScene)
        self._ui.sequences.layout().addRow(label, selector)
        kept = SequenceNode(self._selection, name, self._listener)
        return _Row(label, selector, self._choices.add(selector, kept), kept)

    def _suggest(self, bundle: Bundle) -> None:
        """Fill in what is obvious, once a volume, and nothing over the user's choice."""
        volume: Any = self._selection.volume
        channels = tuple(channel.name for channel in bundle.specification.input.channels[1:])
        key = (volume.GetID(), channels)
        if key == self._suggested_for:
            return
        changed_volume = self._suggested_for is not None and self._suggested_for[0] != key[0]
        self._suggested_for = key
        if changed_volume:
            self._forget_picks()
        names = [name for name in channels if not self._rows[name].kept.picked]
        nodes = known_sequences(volume, bundle, names)
        for name in names:
            if changed_volume or self._selection.channel_node(name) is None:
                self._selection.keep_channel_node(name, nodes.get(name))

    def _note(self, channels: tuple[Channel, ...]) -> str:
        chosen = [self._selection.channel_node(channel.name) for channel in channels]
        nodes = [node for node in chosen if node is not None]
        try:
            for node in nodes:
                check_usable(node)
        except InputError as error:
            return str(error)
        elsewhere = on_another_grid(self._selection.volume, nodes)
        if not elsewhere:
            return ""
        return _("On another grid than the volume, will be resampled onto it: {names}.").format(
            names=", ".join(elsewhere)
        )

    def _forget_picks(self) -> None:
        for row in self._rows.values():
            row.kept.picked = False
