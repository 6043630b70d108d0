"""The self test that runs within the application, with its own worker and a shipped model."""

import time

import qt
import slicer

PATIENCE_SECONDS = 300


def segment_phantom(test):
    """Segment a phantom's FLAIR by a click; raises AssertionError if no segment appears."""
    from TumorSegModule.registration import load_brain_phantom

    flair = load_brain_phantom()[0]
    panel = slicer.modules.TumorSegWidget.panel
    panel.parameters.volume = flair
    panel.parameters.target = None
    test.delayDisplay("Segmenting")
    panel.ui.segmentButton.click()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while panel.session.busy and time.monotonic() < deadline:
        qt.QApplication.processEvents()
    assert not panel.session.status.failed, panel.session.status.line
    assert panel.parameters.target is not None, "no segmentation was made"
    assert panel.parameters.target.GetSegmentation().GetNumberOfSegments() > 0, "no segments"
    test.delayDisplay("Test passed")
