"""Pictures of every state of the panel and of the views, which the documentation shows.

They show digital phantoms only. With TUMORSEG_PICTURES=docs/images they are written there,
otherwise to a temporary folder.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from bright_models import write_ct_model
from panel_bench import ROOT
from scenes import edit_by_hand

SHIPPED = ROOT / "Resources" / "Models"
MODEL = "brain-lgg-linknet"

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    chosen = os.environ.get("TUMORSEG_PICTURES")
    return Path(chosen).resolve() if chosen else tmp_path


@pytest.fixture
def phantom(bench):
    """The shipped models and the sequences of the brain phantom."""
    if not (SHIPPED / MODEL / "model.json").is_file():
        pytest.skip(f"needs the shipped model {MODEL}")
    from TumorSegModule.logic.registration import load_brain_phantom

    bench.models.rmdir()
    bench.models.symlink_to(SHIPPED)
    bench.open()
    bench.flair, *_ = load_brain_phantom()
    return bench


def is_drawn(path, colours=20):
    """Tell whether a picture is there and more than a flat area."""
    import qt

    image = qt.QImage(str(path))
    assert not image.isNull(), path
    seen = {
        image.pixel(x, y) for x in range(0, image.width(), 5) for y in range(0, image.height(), 5)
    }
    return len(seen) > colours


def take(bench, path):
    import pictures

    pictures.picture_of_widget(bench.root, path)
    assert is_drawn(path, 8), path


def test_pictures_of_a_case(phantom, folder):
    import pictures

    phantom.parameters.volume = phantom.flair
    phantom.turn(20)
    take(phantom, folder / "panel-ready.png")
    phantom.panel.ui.changeModelButton.click()
    take(phantom, folder / "panel-models.png")
    phantom.panel.ui.changeModelButton.click()

    phantom.panel.ui.segmentButton.click()
    take(phantom, folder / "panel-starting.png")
    phantom.until(lambda: phantom.panel.session.status.done >= 8)
    take(phantom, folder / "panel-running.png")
    phantom.until(lambda: not phantom.panel.session.busy)
    assert not phantom.panel.session.status.failed, phantom.panel.session.status.line
    take(phantom, folder / "panel-result.png")

    target = phantom.parameters.target
    array = phantom.slicer.util.arrayFromSegmentBinaryLabelmap(
        target, target.GetSegmentation().GetNthSegmentID(0), phantom.flair
    )
    index = int(array.sum(axis=(1, 2)).argmax())
    ijk_to_ras = phantom.slicer.util.vtkMatrixFromArray(np.eye(4))
    phantom.flair.GetIJKToRASMatrix(ijk_to_ras)
    offset = ijk_to_ras.MultiplyPoint([0, 0, index, 1])[2]
    pictures.picture_of_slice(phantom.flair, folder / "slice.png", offset=offset)
    assert is_drawn(folder / "slice.png")
    target.CreateClosedSurfaceRepresentation()
    pictures.picture_in_3d(folder / "view-3d.png")
    assert is_drawn(folder / "view-3d.png")

    phantom.panel.ui.resultSection.collapsed = True
    phantom.panel.ui.advancedSection.collapsed = False
    take(phantom, folder / "panel-advanced.png")
    phantom.panel.ui.advancedSection.collapsed = True
    phantom.panel.ui.queueSection.collapsed = False
    phantom.panel.ui.queueAddAllButton.click()
    take(phantom, folder / "panel-queue.png")


def test_pictures_of_a_review(phantom, folder):
    import pictures

    slicer = phantom.slicer
    phantom.parameters.volume = phantom.flair
    phantom.turn(20)
    assert not phantom.run().failed
    pictures.picture_of_slice(phantom.flair, folder / "slice-uncertainty.png", offset=0)
    phantom.panel.selection_changed()  # a view was added
    review, ui = phantom.panel.review, phantom.panel.ui
    for _ in range(2):
        ui.nextUnsureButton.click()
        phantom.until(lambda: review.current in review.seen)
    edit_by_hand(slicer, phantom.parameters.target, phantom.flair, np.s_[11:14, 100:120, 100:112])
    ui.uncertaintyBox.checked = True
    phantom.until(lambda: not review.busy)
    offset = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").GetSliceOffset()
    pictures.picture_of_slice(phantom.flair, folder / "slice-uncertainty.png", offset=offset)
    assert is_drawn(folder / "slice-uncertainty.png")
    ui.resultSection.collapsed = True
    take(phantom, folder / "panel-review.png")


def test_picture_of_a_growing_result(phantom, folder):
    """The views show the slices that are done while the others are computed."""
    import pictures

    phantom.parameters.volume = phantom.flair
    phantom.turn(20)
    phantom.one_event_at_a_time()
    phantom.click()
    phantom.until(lambda: phantom.panel.session.status.done >= 12)
    pictures.picture_of_slice(phantom.flair, folder / "slice-running.png", offset=0)
    assert is_drawn(folder / "slice-running.png")
    phantom.until(lambda: not phantom.panel.session.busy)


def test_pictures_of_problems(bench, folder):
    from TumorSegModule.logic.registration import load_abdomen_phantom

    bench.open()
    take(bench, folder / "panel-empty.png")
    (ct,) = load_abdomen_phantom()
    bench.parameters.volume = ct
    bench.turn(20)
    assert "no model for CT" in bench.panel.ui.inputNote.text
    take(bench, folder / "panel-no-model.png")


def test_picture_of_a_failed_run(bench, folder):
    from scenes import HEAD_MATRIX

    write_ct_model(bench.models, "tiny-ct")
    bench.open()
    voxels = np.zeros((8, 64, 64))
    voxels[2] = np.nan
    voxels[3] = 3
    bench.parameters.volume = bench.slicer.util.addVolumeFromArray(voxels, HEAD_MATRIX, "Broken CT")
    bench.parameters.model = "tiny-ct"
    bench.turn()
    status = bench.run()
    assert status.failed
    assert "NaN" in status.line
    take(bench, folder / "panel-error.png")


def test_picture_of_the_question_about_edits(phantom, folder):
    import qt
    from picture_label import label_picture

    from TumorSegModule.widgets.dialogs import ask_about_edits

    phantom.parameters.volume = phantom.flair
    assert not phantom.run().failed
    edit_by_hand(phantom.slicer, phantom.parameters.target, phantom.flair, np.s_[0:2, 40:60, 40:60])
    clicked = []

    def answer():
        box = next(w for w in qt.QApplication.topLevelWidgets() if isinstance(w, qt.QMessageBox))
        box.grab().save(str(folder / "question-edits.png"))
        label_picture(folder / "question-edits.png")
        button = next(b for b in box.buttons() if b.text == "Add")
        clicked.append(button.text)
        button.click()

    qt.QTimer.singleShot(200, answer)
    assert ask_about_edits(["Tumour"]) == "add"
    assert clicked == ["Add"]
    assert is_drawn(folder / "question-edits.png", 5)


def test_picture_of_an_export(phantom, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "Corrected cases").mkdir()
    phantom.parameters.volume = phantom.flair
    assert not phantom.run().failed
    target = phantom.parameters.target
    added = target.GetSegmentation().AddEmptySegment("Cyst", "Cyst")
    edit_by_hand(phantom.slicer, target, phantom.flair, np.s_[0:2, 40:60, 40:60], index=1)
    assert added == "Cyst"
    ui = phantom.panel.ui
    ui.resultSection.collapsed = True
    ui.reviewSection.collapsed = True
    ui.exportSection.collapsed = False
    ui.exportFolder.text = "~/Corrected cases"
    phantom.turn(20)
    box = ui.exportTable.cellWidget(0, 1)
    box.currentIndex = box.findText("Leave out")
    ui.exportButton.click()
    phantom.until(lambda: not phantom.panel.export.exporter.busy)
    assert "1 case exported to Dataset501_brain" in ui.exportResult.text
    take(phantom, folder / "panel-export.png")


def test_picture_of_a_report(phantom, folder, tmp_path):
    phantom.parameters.volume = phantom.flair
    assert not phantom.run().failed
    ui, report = phantom.panel.ui, phantom.panel.report
    for section in (ui.resultSection, ui.reviewSection):
        section.collapsed = True
    ui.reportSection.collapsed = False
    report._choose, report._open = lambda _name: str(tmp_path / "report.html"), lambda _path: None
    ui.volumeReportBox.checked = True
    ui.reportButton.click()
    phantom.until(lambda: not report.writer.busy)
    assert ui.reportResult.text.startswith("Written: ")
    ui.reportResult.text = "Written: C:/Users/me/Documents/report.html"
    phantom.turn(20)
    take(phantom, folder / "panel-report.png")


@pytest.fixture
def two_models(bench, monkeypatch):
    """A shipped model, a stricter one that poses as its next version, and the brain phantom."""
    if not (SHIPPED / MODEL / "model.json").is_file():
        pytest.skip(f"needs the shipped model {MODEL}")
    from TumorSegModule.logic.registration import load_brain_phantom
    from TumorSegModule.logic.retrain_process import RetrainProcess

    (bench.models / MODEL).symlink_to(SHIPPED / MODEL)
    content = json.loads((SHIPPED / MODEL / "model.json").read_text())
    content |= {"id": f"{MODEL}-1.1.0", "version": "1.1.0", "default": False}
    content["title"] += ", retrained 1.1.0"
    content["labels"][0]["threshold"] = 0.97
    retrained = bench.models / content["id"]
    retrained.mkdir()
    (retrained / "model.json").write_text(json.dumps(content))
    (retrained / "weights.safetensors").symlink_to(SHIPPED / MODEL / "weights.safetensors")
    monkeypatch.setenv("TUMORSEG_MODELS", str(bench.models))
    command = [sys.executable, str(ROOT / "Testing" / "fake_retrain.py")]
    bench.retrain_process = RetrainProcess(command, bench.folder / "runs")
    bench.open()
    bench.parameters.volume, *_ = load_brain_phantom()
    bench.panel.ui.resultSection.collapsed = True
    bench.panel.ui.reviewSection.collapsed = True
    bench.turn(20)
    return bench


def test_pictures_of_two_models_side_by_side(two_models, folder):
    import pictures

    ui, volume = two_models.panel.ui, two_models.parameters.volume
    ui.compareSection.collapsed = False
    ui.compareButton.click()
    two_models.until(lambda: not two_models.panel.compare.running)
    assert not ui.compareTable.isHidden(), ui.compareNote.text
    take(two_models, folder / "panel-compare.png")
    for name in ("Red", "Yellow"):
        path = folder / f"compare-{name.lower()}.png"
        pictures.picture_of_slice(volume, path, offset=0, name=name, size=(360, 360))
        assert is_drawn(path)


def test_pictures_of_retraining(two_models, folder, monkeypatch):
    import pictures

    section, ui = two_models.panel.retrain, two_models.panel.ui
    monkeypatch.setenv("FAKE_RETRAIN", "wait")
    ui.retrainSection.collapsed = False
    ui.retrainDatasetEdit.text = "C:/TumorSeg/Dataset501_brain"
    ui.retrainStartButton.click()
    two_models.until(lambda: section.process.state.epoch == 2 and section.plot.chart is not None)
    take(two_models, folder / "panel-retraining.png")
    ui.retrainStartButton.click()
    two_models.until(lambda: not section.process.busy)
    ui.retrainResumeButton.click()
    two_models.until(lambda: section.process.state.stage == "done")
    two_models.turn(600)
    take(two_models, folder / "panel-retrained.png")
    pictures.picture_of_chart(section.plot.chart, folder / "retraining-plot.png")
    assert is_drawn(folder / "retraining-plot.png", 8)


def test_pictures_of_lesions(phantom, folder, tmp_path):
    """The lesions of the abdomen phantom, and how they have changed since a made-up earlier one."""
    import pictures
    from lesion_bench import settle

    from TumorSegModule.logic.registration import load_abdomen_phantom

    slicer, ui = phantom.slicer, phantom.panel.ui
    (volume,) = load_abdomen_phantom()
    phantom.parameters.volume = volume
    pictures.picture_of_slice(volume, tmp_path / "view.png", offset=0)
    assert not phantom.run().failed
    ui.resultSection.collapsed = ui.reviewSection.collapsed = True
    ui.lesionsSection.collapsed = False
    settle(phantom)
    ui.nextLesionButton.click()
    take(phantom, folder / "panel-lesions.png")
    offset = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").GetSliceOffset()
    pictures.picture_of_slice(volume, folder / "slice-lesion.png", offset=offset)
    assert is_drawn(folder / "slice-lesion.png")
    ui.plotAreasButton.click()
    (chart,) = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    pictures.picture_of_chart(chart, folder / "lesions-areas.png")
    assert is_drawn(folder / "lesions-areas.png", 8)

    target = phantom.parameters.target
    earlier = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "CT, three months ago")
    earlier.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name in target.GetSegmentation().GetSegmentIDs():
        earlier.GetSegmentation().CopySegmentFromSegmentation(target.GetSegmentation(), name)
    tumours = target.GetSegmentation().GetNthSegmentID(1)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(earlier, tumours, volume) > 0
    smaller = (array & np.roll(array, 5, 2) & np.roll(array, -5, 2)).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(smaller, earlier, tumours, volume)
    ui.lesionsSection.collapsed, ui.followUpSection.collapsed = True, False
    ui.earlierSelector.setCurrentNode(earlier)
    settle(phantom)
    take(phantom, folder / "panel-follow-up.png")


def test_a_picture_of_saving_to_dicom(phantom, folder, monkeypatch):
    pytest.importorskip("highdicom", reason="it writes DICOM objects")
    from test_slicer_dicom import add_series, body, open_database, save, segmentation

    open_database(phantom, monkeypatch)
    phantom.ui = phantom.panel.ui
    phantom.volume = add_series(phantom, patient="Phantom^Abdomen")
    phantom.parameters.volume = phantom.volume
    drawn = segmentation(phantom, **{"Liver": body() == 100, "Liver tumour": body() == 300})
    drawn.SetName("CT Liver and tumours")
    phantom.parameters.target = drawn
    for name in ("reviewSection", "resultSection"):
        getattr(phantom.ui, name).collapsed = True
    phantom.ui.dicomSection.collapsed = False
    assert "patient Phantom^Abdomen" in save(phantom)
    take(phantom, folder / "panel-dicom.png")
