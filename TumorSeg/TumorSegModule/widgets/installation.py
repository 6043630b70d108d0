"""What the worker needs that Slicer does not bring: asked for once, inside the first run.

PyTorch's build is chosen by light-the-torch, as the extension PyTorch does it, with the command
that the extension runs; here it runs in a process of its own, so that Slicer stays usable and the
download can be cancelled. Slicer 5.10 and later are served alike: pip itself is the same in all.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from TumorSegLib.support.torch_support import why_not_train
from TumorSegModule.logic import dicom_packages, requirements
from TumorSegModule.logic.install_process import InstallProcess, Step
from TumorSegModule.logic.requirements import INCOMPLETE, TOO_OLD, Missing
from TumorSegModule.logic.worker_client import python_command
from TumorSegModule.widgets.install_dialog import InstallDialog

PIP_OPTIONS = ["--no-input", "--disable-pip-version-check", "--progress-bar", "raw"]
ALONE_AGAIN = ["--force-reinstall", "--no-deps"]
LIGHT_THE_TORCH = "light-the-torch>=0.5"

_open: list[InstallDialog] = []
"""The dialog of the installation under way; there is one at most."""


def missing_packages(*, training: bool = False, pdf: bool = False) -> list[str]:
    """Return the names of the packages that must be installed, without importing any."""
    found = requirements.missing_packages(training=training, pdf=pdf)
    return [package.name for package in found]


def ensure_installed(
    then: Callable[[], object], *, training: bool = False, pdf: bool = False
) -> bool:
    """Return whether everything is there; if not, ask once, and call `then` when it is installed.

    Args:
        then: called without arguments after an installation that went well.
        training: retraining's packages are needed, too.
        pdf: what writes PDFs is needed, too.

    Nothing that Slicer brings is replaced, and no torch that is there and will do.
    """
    if training and (reason := why_not_train()):
        slicer.util.errorDisplay(reason, windowTitle="TumorSeg")
        return False
    missing = requirements.missing_packages(training=training, pdf=pdf)
    if not missing:
        return True
    if _open:
        _open[0].window.raise_()
        return False
    if any(package.name == "torch" for package in missing) and not _has_pytorch_extension():
        slicer.util.errorDisplay(
            _(
                "The extension PyTorch is missing. Install it in the Extensions Manager, restart"
                " Slicer, and click Segment again."
            ),
            windowTitle="TumorSeg",
        )
        return False
    if slicer.util.confirmOkCancelDisplay(question(missing, training, pdf), windowTitle="TumorSeg"):
        _install(missing, then, training, pdf)
    return False


def ensure_dicom_packages(then: Callable[[], object]) -> bool:
    """Return whether what writes DICOM objects is there; if not, ask once as `ensure_installed`."""
    if not dicom_packages.are_missing():
        return True
    if _open:
        _open[0].window.raise_()
        return False
    names = ", ".join(line.partition(">=")[0] for line in dicom_packages.TOGETHER)
    asked = _(
        "To write DICOM objects, TumorSeg needs {packages}, about 6 MB to download.\n\nThey are"
        " installed once, into {folder}, where only TumorSeg looks: nothing that Slicer brings is"
        " replaced."
        "\n\nInstall now?"
    ).format(packages=names, folder=dicom_packages.own_folder())
    if slicer.util.confirmOkCancelDisplay(asked, windowTitle="TumorSeg"):

        def ended(well: bool) -> None:
            _open.clear()
            importlib.invalidate_caches()
            if well and not dicom_packages.are_missing():
                then()
            elif well:
                slicer.util.errorDisplay(
                    _("{packages}: installed, but not found; try again.").format(packages=names),
                    windowTitle="TumorSeg",
                )

        words = [*python_command(), "-m", "pip", *dicom_packages.install_words(), *PIP_OPTIONS]
        step = Step(_("Installing packages for DICOM"), lambda: words)
        _open.append(InstallDialog(InstallProcess([step]), ended))
        _open[0].start()
    return False


def cancel_installation() -> None:
    """End an installation under way, as when Slicer ends."""
    for dialog in tuple(_open):
        dialog.cancel()


def question(missing: Sequence[Missing], training: bool, pdf: bool = False) -> str:
    """Return the question that names all that would be installed, how large, and where."""
    folder = next(path for path in sys.path if path.endswith("site-packages"))
    lines = [
        _("{purpose}, TumorSeg needs {packages}.").format(
            purpose=_("To retrain")
            if training
            else _("To write a PDF")
            if pdf
            else _("To segment"),
            packages=", ".join(package.name for package in missing),
        )
    ]
    if along := requirements.also_installed(missing):
        lines.append(_("With them come: {packages}.").format(packages=", ".join(along)))
    if any(package.name == "torch" for package in missing):
        lines.append(
            _(
                "0.2 to 3 GB to download, 0.8 to 6 GB on disk, by your graphics card; for NVIDIA"
                " cards with NVIDIA's libraries (nvidia-…, triton)."
            )
        )
    for package in missing:
        if package.why == TOO_OLD:
            lines.append(
                _("{name} {version} does not do and is replaced; restart Slicer then.").format(
                    name=package.name, version=package.version
                )
            )
        elif package.why == INCOMPLETE:
            lines.append(
                _("{name} is there in part only, as after an interrupted installation.").format(
                    name=package.name
                )
            )
    lines.append(
        _(
            "They are installed once, into Slicer's own Python in {folder}. Nothing that Slicer"
            " brings is replaced. Without a network, see “Without internet” in the documentation."
        ).format(folder=folder)
    )
    return "\n\n".join([*lines, _("Install now?")])


def _has_pytorch_extension() -> bool:
    try:
        import PyTorchUtils  # noqa: F401
    except ImportError:
        return False
    return True


def _install(
    missing: Sequence[Missing], then: Callable[[], object], training: bool, pdf: bool
) -> None:
    try:
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    except OSError as error:
        slicer.util.errorDisplay(
            _(
                "Nothing was installed, as no temporary folder can be made: {reason}. Free space"
                " there and try again."
            ).format(reason=error.strerror or error),
            windowTitle="TumorSeg",
        )
        return

    def ended(well: bool) -> None:
        _open.clear()
        folder.cleanup()
        importlib.invalidate_caches()
        if not well:
            return
        if absent := missing_packages(training=training, pdf=pdf):
            slicer.util.errorDisplay(
                _("{packages}: installed, but not found; restart Slicer and try again.").format(
                    packages=", ".join(absent)
                ),
                windowTitle="TumorSeg",
            )
            return
        then()

    steps = _steps(missing, Path(folder.name) / "constraints.txt")
    _open.append(InstallDialog(InstallProcess(steps), ended))
    _open[0].start()


def _steps(missing: Sequence[Missing], file: Path) -> list[Step]:
    """Return the commands that install `missing`, keeping the versions of all that is there.

    Args:
        missing: see `TumorSegModule.logic.requirements`.
        file: for the versions to be kept, written anew before each command.
    """
    python = python_command()

    def words(
        module: str, told: Sequence[str], packages: Sequence[Missing], *options: str
    ) -> list[str]:
        kept = requirements.constraints(packages)
        file.write_text("\n".join(kept) + "\n", "utf-8")
        return [*python, "-m", module, "install", *told, "-c", str(file), *PIP_OPTIONS, *options]

    def without_torch(packages: Sequence[Missing], *options: str) -> list[str]:
        if not requirements.installed_version("torch"):
            raise RuntimeError(_("PyTorch is not there, and these packages would bring any build."))
        return words("pip", [package.requirement for package in packages], packages, *options)

    torch = [package for package in missing if package.name == "torch"]
    others = [package for package in missing if package.name != "torch"]
    steps = []
    if torch:
        build = [torch[0].requirement, "torchvision"]
        steps.append(
            Step(
                _("Installing light-the-torch, which chooses the build of PyTorch"),
                lambda: words("pip", [LIGHT_THE_TORCH], torch),
            )
        )
        if torch[0].why == INCOMPLETE:
            steps.append(
                Step(
                    _("Repairing PyTorch"),
                    lambda: words("light_the_torch", build, torch, *ALONE_AGAIN),
                )
            )
        steps.append(Step(_("Installing PyTorch"), lambda: words("light_the_torch", build, torch)))
    if incomplete := [package for package in others if package.why == INCOMPLETE]:
        steps.append(Step(_("Repairing packages"), lambda: without_torch(incomplete, *ALONE_AGAIN)))
    if others:
        steps.append(Step(_("Installing packages"), lambda: without_torch(others)))
    names = ", ".join(package.name for package in [*torch, *others])
    steps.append(Step(_("Trying the packages"), lambda: [*python, "-c", f"import {names}"]))
    return steps
