"""The section Advanced: device, precision, flips, ensemble, detector, memory, log."""

from slicer.i18n import tr as _

from TumorSegLib.errors import ModelError

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

    def __init__(self, ui, client):
        """Drive the widgets in `ui`; the log is that of the worker's `client`."""
        self._ui = ui
        self._client = client
        self._parameters = None
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

    def connect(self, parameters):
        """Keep the settings in `parameters`."""
        self._parameters = parameters

    def update(self, bundle, catalogue):
        """Show the settings; the ensemble can be chosen where `bundle` belongs to one."""
        for combo, name, _choices in self._combos:
            combo.currentIndex = combo.findData(getattr(self._parameters, name))
        ensemble = bundle is not None and ensemble_of(bundle, catalogue) is not None
        self._ui.ensembleBox.enabled = ensemble
        self._ui.ensembleBox.toolTip = (
            _("Averages the models of this task: slower, a little more accurate.")
            if ensemble
            else _("The chosen model belongs to no ensemble.")
        )
        detector = bundle is not None and detector_for(bundle, catalogue) is not None
        self._ui.onlyDetectedBox.enabled = detector
        self._ui.onlyDetectedBox.toolTip = (
            _("Faster, and fewer false findings; what the detector misses stays empty.")
            if detector
            else _("There is no detector for the chosen model.")
        )

    def show(self, status):
        """Show where the last run took place, and the log."""
        if status.device:
            self._ui.deviceNote.text = _("Last run on {device}").format(device=status.device)
        log = "\n".join(self._client.log)
        if self._ui.logText.plainText != log:
            self._ui.logText.plainText = log

    def _setter(self, combo, name):
        def changed(*_overloaded):
            value = combo.itemData(combo.currentIndex)
            if self._parameters is not None and value and getattr(self._parameters, name) != value:
                setattr(self._parameters, name, value)

        return changed


def effective(bundle, catalogue, settings):
    """Return `bundle`, or its ensemble if `settings` want that."""
    ensemble = ensemble_of(bundle, catalogue)
    return ensemble if settings.ensemble and ensemble is not None else bundle


def run_settings(bundle, catalogue, settings):
    """Return `settings` for a run of `bundle` as arguments of `Options`."""
    return {
        "device": settings.device,
        "precision": settings.precision,
        "flips": {"on": True, "off": False}.get(settings.flips),
        "keep_model": settings.keepModel,
        "gate": detector_for(bundle, catalogue) if settings.onlyDetected else None,
    }


def detector_for(bundle, catalogue):
    """Return the detector in `catalogue` that looks at the same images, None if there is none."""
    model = bundle.specification
    try:
        detector = catalogue.default_for(model.modality, "detection")
    except ModelError:
        return None
    same = detector.specification.input.channels[0].name == model.input.channels[0].name
    return detector if same else None


def ensemble_of(bundle, catalogue):
    """Return the ensemble in `catalogue` that `bundle` is a member of, None if there is none."""
    return next((b for b in catalogue.bundles if bundle.id in b.specification.members), None)
