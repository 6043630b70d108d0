"""The section Advanced: where to run, device, precision, flips, ensemble, detector, memory, log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegModule.logic.model_choice import detector_for, ensemble_of
from TumorSegModule.logic.parameters import Parameters
from TumorSegModule.logic.run_status import Status
from TumorSegModule.logic.worker_client import WorkerClient
from TumorSegModule.widgets.server_choice import ServerChoice

DEVICES = (
    (_("Automatic"), "auto"),
    (_("Processor (CPU)"), "cpu"),
    (_("NVIDIA graphics card (CUDA)"), "cuda"),
    (_("Apple graphics (MPS)"), "mps"),
)
PRECISIONS = (
    (_("Automatic"), "auto"),
    (_("Single (reproducible)"), "fp32"),
    (_("bfloat16 (faster where the hardware has it)"), "bf16"),
)
FLIPS = (
    (_("As the model says"), "auto"),
    (_("On (twice the time)"), "on"),
    (_("Off"), "off"),
)


class AdvancedSection:
    """Drives the section's widgets."""

    def __init__(self, ui: Any, client: WorkerClient) -> None:
        """Drive the widgets in `ui`; the log is that of the worker's `client`."""
        self._ui = ui
        self._client = client
        self._server = ServerChoice(ui)
        self._parameters: Parameters | None = None
        self._combos = (
            (ui.deviceSelector, "device", DEVICES),
            (ui.precisionSelector, "precision", PRECISIONS),
            (ui.flipsSelector, "flips", FLIPS),
        )
        for combo, name, choices in self._combos:
            for text, value in choices:
                combo.addItem(text, value)
            combo.currentIndexChanged.connect(self._setter(combo, name))
        ui.deviceNote.text = _("Which device is used, and why, is told after the first run.")

    def connect(self, parameters: Parameters | None) -> None:
        """Keep the settings in `parameters`."""
        self._parameters = parameters

    def show(self, bundle: Bundle | None, catalogue: Catalogue) -> None:
        """Show the settings; the ensemble can be chosen where `bundle` belongs to one."""
        for combo, name, _choices in self._combos:
            combo.currentIndex = combo.findData(getattr(self._parameters, name))
        for box, offered, what, why_not in (
            (
                self._ui.ensembleBox,
                bundle is not None and ensemble_of(bundle, catalogue) is not None,
                _("Averages the models of this task: slower, a little more accurate."),
                _("The chosen model belongs to no ensemble."),
            ),
            (
                self._ui.onlyDetectedBox,
                bundle is not None and detector_for(bundle, catalogue) is not None,
                _("Faster, and fewer false findings; what the detector misses stays empty."),
                _("There is no detector for the chosen model."),
            ),
        ):
            box.enabled = offered
            box.toolTip = what if offered else why_not

    def show_status(self, status: Status) -> None:
        """Show where the last run took place, and the log."""
        if status.device:
            self._ui.deviceNote.text = _("Last run on {device}").format(device=status.device)
        log = "\n".join(self._client.log)
        if self._ui.logText.plainText != log:
            self._ui.logText.plainText = log

    def _setter(self, combo: Any, name: str) -> Callable[..., None]:
        def changed(*_overloaded: Any) -> None:
            value = combo.itemData(combo.currentIndex)
            if self._parameters is not None and value and getattr(self._parameters, name) != value:
                setattr(self._parameters, name, value)

        return changed
