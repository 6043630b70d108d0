"""The self test that runs within the application, with its own worker and a shipped model."""

from __future__ import annotations

import time
from typing import Any

import slicer

from TumorSegLib.errors import ModelError
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.support.words import is_or_are

PATIENCE_SECONDS = 300
MODULE = "TumorSeg"


def segment_phantom(test: Any) -> None:
    """Choose a phantom's FLAIR and segment it by a click.

    Where PyTorch or a model is missing, as where the extension is built, the panel alone is
    tested and the rest is skipped with a line: nothing may be installed without a question, and
    nobody is there to answer.

    Args:
        test: of Slicer's kind, with `delayDisplay`.

    Raises:
        AssertionError: the panel does not offer to segment, or no segment appears.
    """
    from TumorSegModule.logic.registration import load_brain_phantom

    panel = slicer.util.getModuleWidget(MODULE).panel
    flair = load_brain_phantom()[0]
    panel.parameters.target = None
    panel.parameters.volume = flair
    assert panel.ui.volumeSelector.currentNode() is flair, "the volume is not in the selector"
    if skipped := _missing():
        test.delayDisplay(f"Skipped: segmenting, because {skipped}")
        return
    assert panel.ui.segmentButton.enabled, panel.ui.inputNote.text
    test.delayDisplay("Segmenting")
    panel.ui.segmentButton.click()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while panel.session.busy and time.monotonic() < deadline:
        slicer.app.processEvents()
    assert not panel.session.busy, f"not done after {PATIENCE_SECONDS} s"
    assert not panel.session.status.failed, panel.session.status.line
    assert panel.parameters.target is not None, "no segmentation was made"
    assert panel.parameters.target.GetSegmentation().GetNumberOfSegments() > 0, "no segments"
    test.delayDisplay("Test passed")


def _missing() -> str:
    """Return why nothing can be segmented here, "" if it can."""
    from TumorSegModule.widgets.installation import missing_packages

    packages = missing_packages()
    if packages:
        return f"{', '.join(packages)} {is_or_are(packages)} not installed"
    try:
        default_catalogue().default_for("MR")
    except ModelError as error:
        return str(error)
    return ""
