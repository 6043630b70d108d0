"""What the worker needs that Slicer does not bring: asked for once, inside the first run."""

import importlib
import importlib.util
import shutil
import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _

RESOURCES = Path(__file__).resolve().parent.parent / "Resources"
REQUIREMENTS = RESOURCES / "requirements.txt"
TRAINING_REQUIREMENTS = RESOURCES / "requirements-training.txt"
TORCH_REQUIREMENT = ">=2.4"
TORCH_SIZE = _("0.2 to 3 GB to download, 0.8 to 6 GB on disk, by your graphics card")


def python_command():
    """Return the words that start Slicer's own Python."""
    return [shutil.which("PythonSlicer") or sys.executable]


def missing_packages(*, training=False):
    """Return the names of the packages that must be installed, without importing any."""
    importlib.invalidate_caches()
    lines = [line for path in _files(training) for line in _requirement_lines(path)]
    needed = ["torch", *(line.partition(">=")[0] for line in lines)]
    return [name for name in needed if importlib.util.find_spec(name) is None]


def ensure_installed(*, training=False):
    """Install what is missing after asking once; return whether everything is there.

    With `training`, that is also what retraining needs.

    Nothing that Slicer brings is replaced: PyTorch comes through the PyTorch extension, which
    chooses the build for this computer, and only packages that are absent are handed to pip.
    """
    missing = missing_packages(training=training)
    if not missing:
        return True
    folder = next(path for path in sys.path if path.endswith("site-packages"))
    size = f" ({TORCH_SIZE})" if "torch" in missing else ""
    question = _(
        "{purpose}, TumorSeg needs {packages}{size}.\n\nThey are installed once, into Slicer's own"
        " Python in {folder}. Nothing that Slicer brings is replaced. Without a network, see"
        " “Without internet” in the documentation.\n\nInstall now?"
    ).format(
        purpose=_("To retrain") if training else _("To segment"),
        packages=", ".join(missing),
        size=size,
        folder=folder,
    )
    if not slicer.util.confirmOkCancelDisplay(question, windowTitle="TumorSeg"):
        return False
    if "torch" in missing and not _install_torch():
        return False
    if any(name != "torch" for name in missing):
        for path in _files(training):
            _install_requirements(path, missing)
    return not missing_packages(training=training)


def _install_torch():
    try:
        import PyTorchUtils
    except ImportError:
        slicer.util.errorDisplay(
            _(
                "The extension PyTorch is missing. Install it in the Extensions Manager, restart"
                " Slicer, and click Segment again."
            ),
            windowTitle="TumorSeg",
        )
        return False
    logic = PyTorchUtils.PyTorchUtilsLogic()
    torch = logic.installTorch(askConfirmation=False, torchVersionRequirement=TORCH_REQUIREMENT)
    return torch is not None


def _install_requirements(path, missing):
    """Hand the missing lines of a file of requirements to Slicer's own installer."""
    for module in ("packaging", "pydeps"):  # the name differs between Slicer 5.11 and later
        if importlib.util.find_spec(f"slicer.{module}") is not None:
            installer = importlib.import_module(f"slicer.{module}")
            installer.pip_ensure(
                installer.load_requirements(str(path)),
                prompt_install=False,
                requester="TumorSeg",
            )
            return
    lines = [line for line in _requirement_lines(path) if line.partition(">=")[0] in missing]
    slicer.util.pip_install(lines)


def _files(training):
    return [REQUIREMENTS, TRAINING_REQUIREMENTS] if training else [REQUIREMENTS]


def _requirement_lines(path):
    return path.read_text("utf-8").split()
