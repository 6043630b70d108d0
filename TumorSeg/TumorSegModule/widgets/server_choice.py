"""In the section Advanced: where to run, the server's address, and the user's token for it."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from TumorSegLib.errors import TumorSegError
from TumorSegModule.logic import server_choice
from TumorSegModule.logic.server_choice import HERE, SERVER
from TumorSegModule.widgets.dialogs import Question, confirm

PLACES = ((_("This computer"), HERE), (_("Server"), SERVER))


class ServerChoice:
    """Drives the widgets."""

    def __init__(self, ui: Any) -> None:
        """Drive those in `ui`, and show what is kept."""
        self._ui = ui
        for text, value in PLACES:
            ui.whereSelector.addItem(text, value)
        ui.whereSelector.currentIndex = ui.whereSelector.findData(server_choice.where())
        ui.serverAddress.text = server_choice.address()
        ui.whereSelector.currentIndexChanged.connect(self._choose)
        ui.serverAddress.editingFinished.connect(self._keep_address)
        ui.serverToken.editingFinished.connect(self._keep_token)
        self._show()

    def _choose(self, *_overloaded: Any) -> None:
        selector = self._ui.whereSelector
        server_choice.choose(selector.itemData(selector.currentIndex))
        self._show()

    def _keep_address(self) -> None:
        server_choice.keep_address(self._ui.serverAddress.text)
        self._show()

    def _keep_token(self) -> None:
        """Keep a token that was entered; it is not shown again."""
        from TumorSegLib.remote.credentials import keep_token

        entered = self._ui.serverToken.text
        if not entered:
            return
        self._ui.serverToken.text = ""
        try:
            keep_token(entered)
        except (TumorSegError, OSError) as error:
            self._ui.serverNote.text = str(error)
            return
        self._ui.serverNote.text = _("The token is kept in your own folder, for you alone.")

    def _show(self) -> None:
        ui, remote = self._ui, server_choice.where() == SERVER
        for name in ("Address", "Token"):
            getattr(ui, f"server{name}").visible = remote
            getattr(ui, f"server{name}Label").visible = remote
        ui.deviceSelector.enabled = not remote
        ui.serverNote.visible = remote
        ui.serverNote.text = (
            _("Voxels and where they lie are sent, and nothing else of an image.")
            if server_choice.address()
            else _("Enter the address that whoever runs the server has told you.")
        )


def run_here_instead(line: str, ask: Question = confirm) -> bool:
    """Ask whether to run on this computer what a server did not do.

    Args:
        line: why it did not.
        ask: see `TumorSegModule.widgets.dialogs.confirm`.
    """
    return ask(_("The server has not segmented this volume."), line, _("Segment on this computer"))
