"""What the panel's selectors offer, and where the module stands in Slicer's list."""

from __future__ import annotations

import numpy as np
import pytest
from bright_models import write_model
from scenes import add_head


@pytest.mark.parametrize(
    "kind",
    ["vtkMRMLLabelMapVolumeNode", "vtkMRMLVectorVolumeNode", "vtkMRMLDiffusionWeightedVolumeNode"],
)
def test_only_images_are_offered(bench, kind):
    write_model(bench.models, "tiny")
    bench.open()
    bench.parameters.volume, _ = add_head(bench.slicer)
    bench.turn()
    image = slicer_image(bench.slicer, kind)
    bench.turn()
    selectors = [bench.panel.ui.volumeSelector]
    selectors += [row.selector for row in bench.panel._sequences._rows.values()]
    assert len(selectors) == 3
    for selector in selectors:
        nodes = [selector.nodeFromIndex(index) for index in range(selector.nodeCount())]
        offered = [node.GetName() for node in nodes]
        assert image.GetName() not in offered
        assert "FLAIR" in offered


def slicer_image(slicer, kind):
    node = slicer.mrmlScene.AddNewNodeByClass(kind, "Not an image")
    slicer.util.updateVolumeFromArray(node, np.zeros((4, 8, 8), np.int16))
    return node


def test_results_and_regions_can_be_renamed(bench):
    write_model(bench.models, "tiny")
    ui = bench.open().ui
    for selector in (ui.targetSelector, ui.regionSelector):
        assert selector.property("renameEnabled")


def test_the_category_is_translated_as_slicers_own(host, monkeypatch):
    import TumorSeg

    def translate(context, text):
        return f"{context}/{text}"

    monkeypatch.setattr(TumorSeg, "translate", translate)
    parent = type("Parent", (), {"path": ""})()
    TumorSeg.TumorSeg(parent)
    assert parent.categories == ["qSlicerAbstractCoreModule/Segmentation"]


def test_a_tensor_volume_is_neither_queued_nor_taken_for_a_sequence(bench):
    write_model(bench.models, "tiny")
    panel, slicer = bench.open(), bench.slicer
    tensors = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLDiffusionTensorVolumeNode", "T1")
    tensors.SetAndObserveImageData(tensor_image((12, 64, 64)))
    flair, _ = add_head(slicer, "FLAIR")
    bench.parameters.volume = flair
    bench.turn()
    assert panel.selection.channel_node("t1") is None
    panel.ui.queueAddAllButton.click()
    assert [entry.name for entry in panel._queue.entries] == ["FLAIR"]
    bench.parameters.volume = tensors
    bench.turn()
    assert "no grey values" in panel.ui.inputNote.text
    assert not panel.ui.segmentButton.enabled


def tensor_image(shape):
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*shape[::-1])
    values = np.zeros((np.prod(shape), 9), np.float32)
    image.GetPointData().SetTensors(numpy_to_vtk(values, deep=True))
    return image
