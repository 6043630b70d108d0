"""Further sequences (T1, T1 after contrast): one selector for each that the model takes."""

from functools import partial

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegModule.logic.parameters import channel_node, set_channel_node
from TumorSegModule.logic.volumes import check_usable, on_another_grid, suggest_sequences


class SequencesSection:
    """Drives the rows of selectors below the volume."""

    def __init__(self, ui, choices, changed):
        """Put rows into `ui.sequences`, and what is picked there into `choices`.

        `changed` is called when the user picked.
        """
        self._ui = ui
        self._choices = choices
        self._changed = changed
        self._parameters = None
        self._rows = {}
        self._suggested_for = None
        self._picked = set()

    def connect(self, parameters):
        """Keep the choice in `parameters`."""
        self._parameters = parameters
        self._suggested_for = None
        self._picked = set()

    def update(self, volume, bundle):
        """Show a row for each further sequence of the model; return a note for the user."""
        channels = bundle.specification.input.channels[1:] if volume and bundle else ()
        self._show_rows(channels)
        self._ui.sequences.visible = bool(channels)
        if not channels:
            return ""
        self._suggest(volume, channels)
        self._choices.show()
        return self._note(volume, channels)

    def chosen(self, bundle):
        """Return the chosen nodes by channel name.

        Raises:
            InputError: one of them is no scalar image.
        """
        names = [channel.name for channel in bundle.specification.input.channels[1:]]
        nodes = {name: channel_node(self._parameters, name) for name in names}
        nodes = {name: node for name, node in nodes.items() if node is not None}
        for node in nodes.values():
            check_usable(node)
        return nodes

    def suggested(self, volume, bundle):
        """Return the obvious nodes by channel name for a volume of the queue."""
        names = [channel.name for channel in bundle.specification.input.channels[1:]]
        return suggest_sequences(volume, names, _volumes())

    def _show_rows(self, channels):
        """Show the rows of `channels` alone; rows of other models stay, hidden."""
        for channel in channels:
            if channel.name not in self._rows:
                self._rows[channel.name] = self._new_row(channel.name)
            label, _selector, choice = self._rows[channel.name]
            label.text = channel.title
            choice.show_none_as(
                _("Not given; replaced by {name}").format(name=channel.replaced_by.upper())
                if channel.replaced_by
                else _("Needed by this model")
            )
        shown = {channel.name for channel in channels}
        for name, (label, selector, _choice) in self._rows.items():
            label.visible = selector.visible = name in shown

    def _new_row(self, name):
        label, selector = qt.QLabel(), slicer.qMRMLNodeComboBox()
        label.minimumWidth = self._ui.volumeLabel.minimumWidth
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.showChildNodeTypes = False
        selector.noneEnabled = True
        selector.addEnabled = selector.removeEnabled = False
        selector.setMRMLScene(slicer.mrmlScene)
        self._ui.sequences.layout().addRow(label, selector)
        choice = self._choices.add(selector, partial(self._node, name), partial(self._keep, name))
        return label, selector, choice

    def _node(self, name):
        return channel_node(self._parameters, name) if self._parameters is not None else None

    def _keep(self, name, node):
        if self._parameters is not None:
            self._picked.add(name)
            set_channel_node(self._parameters, name, node)
            self._changed()

    def _suggest(self, volume, channels):
        """Fill in what is obvious, once a volume, and nothing over the user's choice."""
        key = (volume.GetID(), tuple(channel.name for channel in channels))
        if key == self._suggested_for:
            return
        changed_volume = self._suggested_for is not None and self._suggested_for[0] != key[0]
        self._suggested_for = key
        if changed_volume:
            self._picked = set()
        names = [channel.name for channel in channels if channel.name not in self._picked]
        found = suggest_sequences(volume, names, _volumes())
        for name in names:
            if changed_volume or channel_node(self._parameters, name) is None:
                set_channel_node(self._parameters, name, found.get(name))

    def _note(self, volume, channels):
        nodes = [channel_node(self._parameters, channel.name) for channel in channels]
        nodes = [node for node in nodes if node is not None]
        try:
            for node in nodes:
                check_usable(node)
        except InputError as error:
            return str(error)
        elsewhere = on_another_grid(volume, nodes)
        if not elsewhere:
            return ""
        return _("On another grid than the volume, will be resampled onto it: {names}.").format(
            names=", ".join(elsewhere)
        )


def _volumes():
    return slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
