"""A panel whose worker is stepped, and what a run must have found."""

from __future__ import annotations

import numpy as np
from bright_models import TUMOUR, write_model
from scenes import HEAD_MATRIX
from stepped_worker import SteppedClient

from TumorSegLib.image.grid import LPS_FROM_RAS, grid_from_affine
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.inference.sensitivity import apply_sensitivity
from TumorSegLib.model.bundle import read_bundle

SHAPE = (5, 32, 32)
DIM, STRICT = "dim", "strict"
"""Models that differ in how bright a tumour must be."""

CHANNELS = [{"name": "flair", "title": "FLAIR"}]
INPUT = {
    "channels": CHANNELS,
    "in_plane": {"kind": "field_of_view", "size": 32},
    "normalisation": {"kind": "window", "low": 0, "high": 200},
}


class Stepping:
    """What a test does with a `Bench` whose worker goes on only when it is told to.

    Attributes:
        bench: the panel's.
        client: of the worker.
        endings: of all runs, in the order in which they were told.
        started: options of all runs by number.
        of_queue: numbers of the queue's.
    """

    def __init__(self, bench, monkeypatch):
        import TumorSegModule.widgets.panel as module

        monkeypatch.setattr(module, "POLL_MILLISECONDS", 3_600_000)  # polls are the test's
        self.bench, self.slicer = bench, bench.slicer
        self.client = bench.client = SteppedClient()
        write_model(bench.models, DIM, default=True, channels=CHANNELS, input=INPUT)
        strict = [{**TUMOUR, "threshold": 0.999}]
        write_model(bench.models, STRICT, channels=CHANNELS, input=INPUT, labels=strict)
        self.panel = bench.open()
        self.session = self.panel.session
        self.endings, self.started, self.of_queue = [], {}, set()
        self._segmenters = {}
        start, ended = self.session.start, self.panel.run_ended

        def note_start(options):
            number = start(options)
            assert number not in self.started
            self.started[number] = options
            if self.queue.running:
                self.of_queue.add(number)
            return number

        def note_end(ending):
            self.endings.append(ending)
            ended(ending)

        self.session.start, self.panel.run_ended = note_start, note_end

    @property
    def queue(self):
        return self.panel._queue

    @property
    def states(self):
        """State and line of the queue's entries by name."""
        return {entry.name: (entry.state, entry.line) for entry in self.queue.entries}

    def add_volume(self, kind, name=None):
        """Add a volume with a tumour of its own; volumes of equal kinds have equal voxels."""
        node = self.slicer.util.addVolumeFromArray(
            voxels(kind), HEAD_MATRIX, name or f"FLAIR{kind}"
        )
        node.SetAttribute("DICOM.Modality", "MR")
        return node

    def poll(self, times=1):
        """Do what the panel's timer does, where it runs."""
        for _ in range(times):
            if self.panel._timer.active:
                self.panel._poll()
            self.bench.turn()

    def until(self, condition, polls=400):
        for _ in range(polls):
            if condition():
                return
            self.poll()
        raise AssertionError(f"waited in vain; {self.session.status}")

    def until_running(self):
        """Go on to amid a run's slices."""
        self.until(lambda: self.session.status.stage == "running" and self.session.status.done)

    def until_idle(self):
        self.until(lambda: not self.session.pending)

    def run(self):
        """Click, and wait for the end; return its `Ending`."""
        self.bench.click()
        self.until_idle()
        return self.endings[-1]

    def expected(self, volume, model, sensitivity=0):
        """The mask that the model finds, without panel and worker, or the slider's for it."""
        if model not in self._segmenters:
            self._segmenters[model] = Segmenter(read_bundle(self.bench.models / model))
        segmenter, array = self._segmenters[model], self.slicer.util.arrayFromVolume(volume)
        matrix = ijk_to_world(self.slicer, volume)
        grid = grid_from_affine(LPS_FROM_RAS @ matrix, array.shape, volume.GetName())
        result = segmenter.segment({"flair": Volume(array, grid)})
        if sensitivity:
            specification, share = segmenter.specification, sensitivity / 100
            apply_sensitivity(
                result.probabilities, result.labelmap, specification, grid, sensitivity=share
            )
        return result.labelmap > 0

    def found(self, segmentation, volume):
        """The mask of a segmentation's only segment, voxel by voxel where the volume's lie."""
        points = self.world_points(segmentation)
        mask = np.zeros(self.slicer.util.arrayFromVolume(volume).shape, bool)
        if len(points):
            inverse = np.linalg.inv(ijk_to_world(self.slicer, volume))
            indices = (inverse @ np.c_[points, np.ones(len(points))].T)[:3]
            np.testing.assert_allclose(indices, np.rint(indices), atol=1e-2)
            x, y, z = np.rint(indices).astype(int)
            mask[z, y, x] = True
        return mask

    def world_points(self, segmentation, local=None):
        """Where a segmentation's voxels lie in the world, or its points `local` do."""
        points = local_points(self.slicer, segmentation) if local is None else local
        return moved(points, to_world(self.slicer, segmentation))

    def expected_points(self, volume, model):
        """Where the voxels lie that the model finds in a volume."""
        zyx = np.argwhere(self.expected(volume, model))
        return moved(zyx[:, ::-1], ijk_to_world(self.slicer, volume))

    def is_right(self, ending):
        """Tell whether a result is exactly what the model finds in the volume of its run."""
        options = self.started[ending.number]
        mask = self.expected(options.volume, options.bundle.id)
        assert mask.any()
        return bool((self.found(ending.target, options.volume) == mask).all())


def voxels(kind):
    """Voxels of a head whose tumour, with a dimmer rim, lies where none of another kind does."""
    array = np.zeros(SHAPE, np.int16)
    array[0, 0, :16] = range(16)  # as in no label map
    array[:, 2:-2, 2:-2] = 60
    y, x = 4 + 6 * (kind // 4 % 4), 4 + 6 * (kind % 4)
    array[1:4, y : y + 5, x : x + 5] = 120
    array[1:4, y + 1 : y + 4, x + 1 : x + 4] = 200
    return array


def to_world(slicer, node):
    """The 4x4 matrix of what lies above a node."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def ijk_to_world(slicer, volume):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return to_world(slicer, volume) @ slicer.util.arrayFromVTKMatrix(matrix)


def moved(points, matrix):
    """Points (n, 3) as a matrix moves them, each once and in a fixed order."""
    points = (matrix @ np.c_[points, np.ones(len(points))].T)[:3].T
    return np.unique(points.round(2) + 0.0, axis=0)


def local_points(slicer, segmentation):
    """Centres (n, 3) of a segmentation's voxels in its own coordinates, see `moved`."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    content, points = segmentation.GetSegmentation(), [np.zeros((0, 3))]
    for number in range(content.GetNumberOfSegments()):
        segment = content.GetNthSegment(number)
        image = segment.GetRepresentation("Binary labelmap")
        scalars = image.GetPointData().GetScalars() if image is not None else None
        if scalars is None or image.IsEmpty():
            continue
        x0, x1, y0, y1, z0, z1 = image.GetExtent()
        array = vtk_to_numpy(scalars).reshape(z1 - z0 + 1, y1 - y0 + 1, x1 - x0 + 1)
        zyx = np.argwhere(array == segment.GetLabelValue()) + np.array([z0, y0, x0])
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        points.append(moved(zyx[:, ::-1], slicer.util.arrayFromVTKMatrix(matrix)))
    return moved(np.concatenate(points), np.eye(4))
