"""How much is done between two turns of Slicer's event loop, on a volume of 512 x 512 x 80.

Counted, not timed; `benchmarks/event_loop.py` prints milliseconds.
"""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
from bright_models import write_ct_model, write_model
from scenes import add_head, add_large_body, edit_by_hand, segment_mask
from short_turns import short_turns

MOST_BYTES = 8 << 20
"""Of new arrays in one turn; the label map has 20 MiB, the part of it with what is found 2."""

MOST_RESERVED = 4 << 20
"""Bytes of shared memory in one turn, which the system fills with zeros."""

MOST_KEPT = 1 << 22
"""Voxels of the label maps of which Slicer keeps a copy for Undo; the volume has 20 MiB."""

MOST_MEASURED = 32 << 20
"""Bytes of what is measured: of what the segments hold, not of label maps that are mostly empty."""


class Turns:
    """Counts what the turns of an event loop do, by a clock that shows time to be short.

    Attributes:
        made: bytes of new arrays, by turn.
        steps: of copying voxels to shared memory, by turn.
        sizes: bytes a step, by array that was copied.
        reserved: bytes of shared memory, by turn.
    """

    def __init__(self, qt, monkeypatch):
        from TumorSegModule.logic import exporter, runner, segment_copies, worker_errand
        from TumorSegModule.widgets import idle_work

        self.made, self.steps, self.sizes, self.reserved = [], [0], [], [0]
        self._least = runner.COPY_BYTES
        short_turns(monkeypatch, idle_work, runner, worker_errand)
        for module in (exporter, runner, segment_copies):
            monkeypatch.setattr(module, "copy_voxels", self._counting(module.copy_voxels))
        if hasattr(os, "posix_fallocate"):
            monkeypatch.setattr(os, "posix_fallocate", self._reserving(os.posix_fallocate))
        tracemalloc.start()
        self._timer = qt.QTimer()
        self._timer.timeout.connect(self._turn)
        self._timer.start(0)

    def check(self):
        """Check that no turn did much."""
        self._timer.stop()
        self._turn()
        tracemalloc.stop()
        assert max(self.made[:-1]) < MOST_BYTES
        assert max(self.steps) <= 1
        assert max(self.reserved) <= MOST_RESERVED
        assert max(self.sizes, default=0) <= self._least

    def _counting(self, copy):
        def copied(voxels, block):
            count = 0
            for _ in copy(voxels, block):
                count += 1
                self.steps[-1] += 1
                yield
            self.sizes.append(voxels.nbytes / count)

        return copied

    def _reserving(self, reserve):
        def reserved(descriptor, start, size):
            self.reserved[-1] += size
            reserve(descriptor, start, size)

        return reserved

    def _turn(self):
        now, peak = tracemalloc.get_traced_memory()
        if self.made:
            self.made[-1] = peak - self.made[-1]
        self.made.append(now)
        self.steps.append(0)
        self.reserved.append(0)
        tracemalloc.reset_peak()


@pytest.fixture
def body(bench):
    """A CT of 40 MiB with a liver and a tumour in it."""
    write_ct_model(bench.models, "tiny-ct")
    bench.open()
    bench.volume = add_large_body(bench.slicer, slices=80)
    bench.parameters.volume = bench.volume
    bench.turn(200)
    return bench


def test_a_run_holds_up_no_turn(body, monkeypatch):
    turns = Turns(body.qt, monkeypatch)
    body.panel.ui.segmentButton.click()
    body.until(lambda: not body.panel.session.busy)
    turns.check()
    assert not body.panel.session.status.failed, body.panel.session.status.line
    assert len(turns.sizes) == 1
    assert segment_mask(body.slicer, body.parameters.target, body.volume).sum() > 4e5


def test_the_sensitivity_slider_holds_up_no_turn(body, monkeypatch):
    assert not body.run().failed
    turns = Turns(body.qt, monkeypatch)
    for value in range(0, 100, 10):
        body.panel.ui.sensitivitySlider.value = value
        body.turn(20)
    body.until(lambda: not body.panel.session.pending)
    turns.check()


def test_comparing_with_the_models_mask_and_the_map_hold_up_no_turn(body, monkeypatch):
    assert not body.run().failed
    review, target = body.panel.review, body.parameters.target
    body.until(lambda: not review.busy)
    edit_by_hand(body.slicer, target, body.volume, np.s_[20:40, 100:140, 100:140])
    turns = Turns(body.qt, monkeypatch)
    body.panel.ui.uncertaintyBox.checked = True
    body.until(lambda: not review.busy)
    turns.check()
    assert len(turns.made) > 50
    assert '"slices": 20' in target.GetAttribute("TumorSeg.Correction")


def test_measuring_the_lesions_holds_up_no_turn(body, monkeypatch):
    """Neither copying what is measured nor reading 400 lesions: each turn takes two steps."""
    assert not body.run().failed
    target, segments = body.parameters.target, body.panel.measured.segments
    specks = np.zeros((80, 512, 512), np.uint8)
    specks[25:55:6, 160:370:24, 130:320:20] = 1
    name = target.GetSegmentation().GetNthSegmentID(1)
    body.slicer.util.updateSegmentBinaryLabelmapFromArray(specks, target, name, body.volume)
    turns = Turns(body.qt, monkeypatch)
    body.panel.ui.lesionsSection.collapsed = False
    body.until(lambda: not segments.busy)
    turns.check()
    assert len(segments.findings.lesions) == specks.sum() > 400
    assert len(turns.made) > 50
    assert sum(turns.reserved) < MOST_MEASURED


def test_removing_a_lesion_holds_up_no_turn(body, monkeypatch):
    """Not even where label maps are as large as the volume, which Slicer copies for Undo."""
    assert not body.run().failed
    target, measured = body.parameters.target, body.panel.measured
    for index in (0, 1):
        edit_by_hand(body.slicer, target, body.volume, np.s_[30:33, 160:163, 140:143], index)
    body.panel.ui.lesionsSection.collapsed = False
    body.until(lambda: not measured.busy)
    content, kept, save = target.GetSegmentation(), [], body.panel.editor.save_for_undo

    def counted():
        images = [content.GetNthSegment(n).GetRepresentation("Binary labelmap") for n in (0, 1)]
        kept.append(sum(image.GetNumberOfPoints() for image in images))
        save()

    monkeypatch.setattr(body.panel.editor, "save_for_undo", counted)
    lesions = segment_mask(body.slicer, target, body.volume, 1).sum()
    body.panel.ui.lesionsTable.selectRow(1)
    turns = Turns(body.qt, monkeypatch)
    body.panel.ui.removeLesionButton.click()
    body.until(lambda: not measured.lesions.busy)
    body.turn()
    turns.check()
    assert len(turns.made) > 20
    assert len(kept) == 1
    assert kept[0] < MOST_KEPT
    assert segment_mask(body.slicer, target, body.volume, 1).sum() == lesions - 27


def test_a_second_click_starts_inference_at_once(bench, monkeypatch):
    """Neither is the worker started anew, nor the model loaded, nor the volume copied."""
    model = write_model(bench.models, "tiny")
    bench.open()
    bench.parameters.volume, _ = add_head(bench.slicer)
    assert not bench.run().failed
    pid = bench.client.pid
    weights = model / "weights.safetensors"
    status = weights.stat()
    weights.write_bytes(bytes(status.st_size))  # a network cannot be made of these
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    monkeypatch.setattr("TumorSegModule.logic.runner.copy_voxels", lambda *_: pytest.fail("copies"))
    for _ in range(3):
        assert not bench.run().failed
    assert bench.client.pid == pid


def test_an_export_holds_up_no_turn(body, monkeypatch):
    from TumorSegLib.model.bundle import read_bundle
    from TumorSegLib.slicer_io.geometry import placement_of
    from TumorSegModule.logic.segments import REPLACE, write_segments

    monkeypatch.setenv("XDG_DATA_HOME", str(body.folder / "home"))
    node = body.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "corrected")
    node.SetReferenceImageGeometryParameterFromVolumeNode(body.volume)
    labels = (body.slicer.util.arrayFromVolume(body.volume) > 0).astype(np.uint8)
    box = (20, 60, 150, 380, 120, 330)
    specification = read_bundle(body.models / "tiny-ct").specification
    matrix = placement_of(body.volume).ijk_to(node)
    write_segments(node, specification, labels, box, matrix, mode=REPLACE)
    body.parameters.target = node
    body.panel.ui.exportSection.collapsed = False
    body.panel.ui.exportFolder.text = str(body.folder)
    body.turn(100)
    turns = Turns(body.qt, monkeypatch)
    body.panel.ui.exportButton.click()
    body.until(lambda: not body.panel.export.exporter.busy)
    turns.check()
    assert len(turns.sizes) == 2  # the volume and the label map
    assert "1 case exported" in body.panel.ui.exportResult.text
