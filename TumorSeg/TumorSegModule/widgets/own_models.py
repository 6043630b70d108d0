"""The buttons below the list of models: import one from a file or folder, remove one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import TumorSegError
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import user_folder
from TumorSegLib.model.model_import import add_models, can_remove, remove_model, unpacked_models
from TumorSegModule.logic.listeners import ModelListener
from TumorSegModule.logic.selection import Selection
from TumorSegModule.widgets.dialogs import Question, confirm
from TumorSegModule.widgets.licence_question import agreed_to

FILE, FOLDER = "file", "folder"


class OwnModels:
    """Drives the buttons."""

    def __init__(
        self,
        ui: Any,
        selection: Selection,
        listener: ModelListener,
        *,
        choose: Callable[[str], str] | None = None,
        ask: Question = confirm,
        models_folder: Callable[[], Path] = user_folder,
    ) -> None:
        """Drive the buttons in `ui`.

        Args:
            ui: the panel's widgets.
            selection: has the models, and the one that is chosen.
            listener: told when models were imported or removed.
            choose: returns the path that the user chose for FILE or FOLDER, "" for none.
            ask: asks whether to go on.
            models_folder: returns the folder of the user's own models.
        """
        self._ui = ui
        self._selection = selection
        self._listener = listener
        self._choose = choose or choose_source
        self._ask = ask
        self._models_folder = models_folder
        ui.importFileButton.clicked.connect(lambda *_checked: self._import(FILE))
        ui.importFolderButton.clicked.connect(lambda *_checked: self._import(FOLDER))
        ui.removeModelButton.clicked.connect(self._remove)

    def show(self) -> None:
        """Show whether the chosen model can be removed."""
        bundle, button = self._selection.shown_bundle, self._ui.removeModelButton
        button.enabled = bundle is not None and can_remove(bundle, self._models_folder())
        button.toolTip = (
            _("Delete this model from this computer")
            if button.enabled
            else _("Models that come with TumorSeg cannot be removed")
        )

    def _import(self, kind: str) -> None:
        source = self._choose(kind)
        if not source:
            return
        models_folder = self._models_folder()
        try:
            with unpacked_models(Path(source), models_folder) as bundles:
                agreed = agreed_to(bundles, self._ask)
                added = (
                    add_models(bundles, self._selection.models.catalogue, models_folder)
                    if agreed
                    else []
                )
        except TumorSegError as error:
            slicer.util.errorDisplay(str(error), windowTitle="TumorSeg")
            return
        if added:
            self._listener.models_changed(added[0].id)

    def _remove(self, *_checked: Any) -> None:
        bundle = self._selection.shown_bundle
        if bundle is None or not self._ask(*removal_question(bundle), _("Remove")):
            return
        try:
            remove_model(bundle, self._selection.models.catalogue, self._models_folder())
        except TumorSegError as error:
            slicer.util.errorDisplay(str(error), windowTitle="TumorSeg")
            return
        self._listener.models_changed("")


def removal_question(bundle: Bundle) -> tuple[str, str]:
    """Return the question whether to remove a model, and what that means."""
    model = bundle.specification
    text = _("Remove {title} from this computer?").format(title=model.title)
    if model.provenance.base is not None:
        return text, _(
            "It was trained here on your corrected cases and exists nowhere else, unless you have"
            " copied its folder:\n{folder}"
        ).format(folder=bundle.folder)
    return text, _("It can be imported again from its file or folder.")


def choose_source(kind: str) -> str:
    """Ask for the .zip file or the folder of a model; return its path, "" for none."""
    dialog = qt.QFileDialog(slicer.util.mainWindow(), _("Import a model"))
    if kind == FOLDER:
        dialog.setFileMode(qt.QFileDialog.Directory)
        dialog.setOption(qt.QFileDialog.ShowDirsOnly, True)
    else:
        dialog.setFileMode(qt.QFileDialog.ExistingFile)
        dialog.setNameFilter(_("Models (*.zip)"))
    paths = dialog.selectedFiles() if dialog.exec_() else []
    return paths[0] if paths else ""
