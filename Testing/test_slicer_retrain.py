"""The section Retrain on real MRML: a process that is followed, a chart, the comparison."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from bright_models import write_model
from panel_bench import alive
from synthetic_data import write_nnunet

from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.worker.retrain_events import Measuring, to_line

FAKE = Path(__file__).resolve().parent / "fake_retrain.py"


@pytest.fixture
def ready(bench, monkeypatch):
    """A panel whose retraining is a stand-in that ends at once."""
    from TumorSegModule.logic.retrain_process import RetrainProcess

    monkeypatch.setenv("TUMORSEG_MODELS", str(bench.models))
    write_model(bench.models, "tiny", default=True)
    bench.retrain_process = RetrainProcess([sys.executable, str(FAKE)], bench.folder / "runs")
    bench.open()
    bench.ui = bench.panel.ui
    bench.ui.retrainDatasetEdit.text = str(bench.folder / "Dataset501_Corrected")
    bench.turn()
    return bench


def run(bench):
    bench.ui.retrainStartButton.click()
    bench.until(
        lambda: not bench.panel.retrain.process.busy and not bench.panel.retrain._timer.active
    )


def chart_values(bench, column):
    table = bench.panel.retrain.plot.table.GetTable()
    array = table.GetColumnByName(column)
    return [array.GetValue(row) for row in range(array.GetNumberOfTuples())]


def test_a_run_is_shown_as_a_chart_of_loss_and_dice(ready):
    run(ready)
    chart = ready.panel.retrain.plot.chart
    names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(3)]
    assert names == ["Loss", "Loss, held-out cases", "Dice, held-out cases"]
    for number in range(3):
        series = chart.GetNthPlotSeriesNode(number)
        assert series.GetTableNode() is ready.panel.retrain.plot.table
        assert series.GetTableNode().GetTable().GetColumnByName(series.GetYColumnName())
    assert chart_values(ready, "Epoch") == [0, 1, 2, 3, 4]
    assert chart_values(ready, "Dice, held-out cases") == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])
    loss = chart_values(ready, "Loss")
    assert loss[0] != loss[0]
    assert loss[1] > loss[4]


def test_a_better_model_is_in_the_picker_and_may_become_the_default(ready):
    write_model(ready.models, "tiny-1.1.0")
    run(ready)
    ui = ready.ui
    table = ui.retrainTable
    cells = [table.item(0, column).text() for column in range(5)]
    assert cells == ["new (1)", "Tumour", "0.700", "0.800", "+0.100"]
    assert "better" in ui.retrainStatusLabel.text
    assert any("tiny-1.1.0" in ui.modelList.item(n).text() for n in range(ui.modelList.count))
    assert ui.retrainBaseSelector.findData("tiny-1.1.0") >= 0
    assert not ui.retrainDefaultButton.isHidden()
    assert Catalogue.of([ready.models]).default_for("MR").id == "tiny"
    ui.retrainDefaultButton.click()
    assert Catalogue.of([ready.models]).default_for("MR").id == "tiny-1.1.0"
    assert not ui.retrainDefaultButton.enabled


def test_a_worse_model_is_not_offered_as_the_default(ready, monkeypatch):
    monkeypatch.setenv("FAKE_RETRAIN", "worse")
    run(ready)
    assert "not better" in ready.ui.retrainStatusLabel.text
    assert "It is not in the list of models" in ready.ui.retrainStatusLabel.text
    assert ready.ui.retrainDefaultButton.isHidden()
    assert not ready.ui.retrainReportButton.isHidden()


def test_a_run_is_stopped_and_resumed(ready, monkeypatch):
    monkeypatch.setenv("FAKE_RETRAIN", "wait")
    ui, process = ready.ui, ready.panel.retrain.process
    ui.retrainStartButton.click()
    ready.until(lambda: process.state.epoch == 2)
    assert ui.retrainStartButton.text == "Stop"
    assert "epoch 2 of 4" in ui.retrainProgressBar.format
    assert "the base has 0.500" in ui.retrainStatusLabel.text
    ui.retrainStartButton.click()
    assert not ui.retrainStartButton.enabled
    ready.until(lambda: not process.busy)
    ready.turn(600)
    assert "Resume goes on" in ui.retrainStatusLabel.text
    assert not ui.retrainResumeButton.isHidden()
    folder = process.folder
    ui.retrainResumeButton.click()
    ready.until(lambda: process.state.stage == "done")
    assert process.folder == folder
    assert sorted(process.state.rows) == [0, 1, 2, 3, 4]
    ready.turn(600)
    assert ui.retrainResumeButton.isHidden()


def test_a_run_of_another_data_set_of_the_same_name_is_not_gone_on_with(ready, monkeypatch):
    monkeypatch.setenv("FAKE_RETRAIN", "wait")
    ui, process = ready.ui, ready.panel.retrain.process
    ui.retrainStartButton.click()
    ready.until(lambda: process.state.epoch == 2)
    ui.retrainStartButton.click()
    ready.until(lambda: not process.busy)
    ready.turn(600)
    own = ui.retrainDatasetEdit.text
    ui.retrainDatasetEdit.text = str(ready.folder / "elsewhere" / "Dataset501_Corrected")
    assert ui.retrainResumeButton.isHidden()
    assert "Stopped after a whole epoch" in ui.retrainStatusLabel.text  # of the run that there was
    ui.retrainDatasetEdit.text = own
    assert not ui.retrainResumeButton.isHidden()


def test_a_run_that_cannot_be_started_leaves_nothing_of_the_last_one(ready):
    run(ready)
    process, command = ready.panel.retrain.process, ready.panel.retrain.process._command
    process._command, folder = ["/nowhere/python"], process.folder
    run(ready)
    assert "/nowhere/python" in ready.ui.retrainStatusLabel.text
    assert ready.ui.retrainTable.isHidden()
    assert ready.ui.retrainReportButton.isHidden()
    assert process.folder == folder
    process._command = command
    run(ready)
    assert process.state.stage == "done"


def test_the_next_scenes_tables_are_left_alone(ready):
    run(ready)
    scene, plot = ready.slicer.mrmlScene, ready.panel.retrain.plot
    ids = plot.table.GetID(), plot.chart.GetID()
    scene.Clear()
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", "Lesions of the next patient")
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Areas of the next patient")
    assert (table.GetID(), chart.GetID()) == ids
    ready.ui.retrainPlotButton.click()
    assert table.GetTable().GetNumberOfColumns() == 0
    assert plot.chart is not chart
    assert chart_values(ready, "Epoch") == [0, 1, 2, 3, 4]


def test_closing_the_scene_leaves_the_run_alone(ready, monkeypatch):
    monkeypatch.setenv("FAKE_RETRAIN", "wait")
    section = ready.panel.retrain
    ready.ui.retrainStartButton.click()
    ready.until(lambda: section.plot.chart is not None and section.process.state.epoch == 2)
    pid = section.process._process.pid
    ready.slicer.mrmlScene.Clear()
    ready.turn(50)
    assert section.plot.chart is None
    section._poll()
    section.process.poll = lambda: True
    section._poll()
    del section.process.poll
    assert section.plot.chart is None  # the next patient's scene gets none unasked
    ready.ui.retrainPlotButton.click()
    assert section.plot.chart is not None
    assert alive(pid)
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
    (section.process.folder / "stop").touch()
    ready.until(lambda: not section.process.busy)
    ready.turn(600)
    ready.ui.retrainResumeButton.click()
    ready.until(lambda: section.process.state.stage == "done")
    ready.turn(600)
    assert chart_values(ready, "Epoch") == [0, 1, 2, 3, 4]


def test_the_module_ends_its_run(ready, monkeypatch):
    monkeypatch.setenv("FAKE_RETRAIN", "wait")
    process = ready.panel.retrain.process
    ready.ui.retrainStartButton.click()
    ready.until(lambda: process.state.epoch == 2)
    pid = process._process.pid
    ready.widget.cleanup()
    assert not alive(pid)
    assert process.resumable(ready.panel.retrain.request) == process.folder


def test_runs_to_go_on_with_are_looked_for_when_a_folder_is_entered(ready, monkeypatch):
    from PySide6 import QtCore, QtTest

    section, edit = ready.panel.retrain, ready.ui.retrainDatasetEdit
    looked = []
    monkeypatch.setattr(
        section.process, "resumable", lambda request: looked.append(request.dataset) or "folder"
    )
    edit.text = ""
    QtTest.QTest.keyClicks(edit, "/data")
    assert ready.ui.retrainStartButton.enabled
    assert ready.ui.retrainResumeButton.isHidden()
    assert not looked
    QtTest.QTest.keyClick(edit, QtCore.Qt.Key_Return)
    assert looked == ["/data"]
    assert not ready.ui.retrainResumeButton.isHidden()


def test_refusals_are_one_line(ready, monkeypatch):
    monkeypatch.setenv("FAKE_RETRAIN", "refuse")
    run(ready)
    assert ready.ui.retrainStatusLabel.text == "data: found 1 patient, expected two or more"
    assert ready.ui.retrainStartButton.enabled


def test_nothing_can_be_started_without_a_data_set(ready):
    ready.ui.retrainDatasetEdit.text = ""
    ready.turn()
    assert not ready.ui.retrainStartButton.enabled


def test_hours_or_epochs(ready):
    ui, section = ready.ui, ready.panel.retrain
    assert section.request.words[-2:] == ["--epochs", "10"]
    ui.retrainUnitSelector.currentIndex = 1
    ui.retrainAmountBox.value = 2.5
    ui.retrainOldEdit.text = "/old"
    assert section.request.words[-4:] == ["--hours", "2.5", "--old-cases", "/old"]


def test_a_look_at_the_run_takes_in_only_what_is_new(ready, monkeypatch):
    monkeypatch.setenv("FAKE_RETRAIN", "wait")
    process = ready.panel.retrain.process
    ready.ui.retrainStartButton.click()
    ready.until(lambda: (process.state.epoch, process.state.step) == (2, 2))
    taken = []
    with monkeypatch.context() as patch:
        patch.setattr(process, "_follow", taken.append)
        patch.setattr(process._process, "wait", lambda *_: pytest.fail("waits for the run"))
        for _ in range(20):
            ready.panel.retrain._poll()
        assert not taken
        with (process.folder / "progress.jsonl").open("a") as file:
            file.write(f'{to_line(Measuring("tiny", 1, 2))}\n{{"event": "half a li')
        for _ in range(20):
            ready.panel.retrain._poll()
        assert taken == [Measuring("tiny", 1, 2)]


@pytest.mark.slow
def test_a_click_retrains_for_real(bench, monkeypatch):
    monkeypatch.setenv("TUMORSEG_MODELS", str(bench.models))
    monkeypatch.setenv("HOME", str(bench.folder))  # slices are cached there
    monkeypatch.setattr(
        "TumorSegLib.worker.process_group.LOW_PRIORITY", 0
    )  # or a busy machine starves it
    write_model(
        bench.models,
        "tiny",
        modality="CT",
        channels=[{"name": "ct", "title": "CT"}],
        input={
            "channels": [{"name": "ct", "title": "CT"}],
            "in_plane": {"kind": "field_of_view", "size": 64},
            "normalisation": {"kind": "window", "low": -100, "high": 250},
        },
        labels=[{**_label(), "name": "Ball"}],
    )
    bench.open()
    data = write_nnunet(bench.folder / "Dataset502_Balls", 3)
    ui = bench.panel.ui
    ui.retrainDatasetEdit.text = str(data)
    ui.retrainAmountBox.value = 1
    ui.retrainStartButton.click()
    bench.until(lambda: not bench.panel.retrain.process.busy)
    bench.turn(600)
    assert bench.panel.retrain.process.state.stage == "done", ui.retrainStatusLabel.text
    result = bench.panel.retrain.process.state.result
    assert (Path(result.folder) / "model.json").exists()
    assert (ui.retrainBaseSelector.findData("tiny-1.1.0") >= 0) == result.better
    assert chart_values(bench, "Epoch") == [0, 1]


def _label():
    from bright_models import TUMOUR

    return TUMOUR
