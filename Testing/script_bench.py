"""`TumorSegLogic` without the panel, for tests."""

from __future__ import annotations

import sys
from contextlib import contextmanager

from panel_bench import no_vtk_errors
from scenes import HEAD_MATRIX
from stepping import voxels
from waiting import wait_until


class Scripts:
    """What a test does with `TumorSegLogic`.

    Attributes:
        slicer: the stand-in.
        logic: one object of the class.
        clients: of the workers, in the order in which they were made.
    """

    def __init__(self, slicer, kind, monkeypatch):
        import TumorSeg
        from TumorSegModule.logic import worker_client

        self.slicer, self.kind, self.clients = slicer, TumorSeg.TumorSegLogic, []
        client = worker_client.WorkerClient if kind is None else lambda _python: kind()

        def new_client(_python):
            self.clients.append(client([sys.executable]))
            return self.clients[-1]

        monkeypatch.setattr(worker_client, "WorkerClient", new_client)
        self.logic = self.kind()

    @property
    def client(self):
        return self.clients[-1]

    @property
    def names(self):
        """Names of the scene's segmentations, previews and kept masks included."""
        nodes = self.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return sorted(node.GetName() for node in nodes)

    def add_volume(self, kind, name=None):
        node = self.slicer.util.addVolumeFromArray(
            voxels(kind), HEAD_MATRIX, name or f"FLAIR{kind}"
        )
        node.SetAttribute("DICOM.Modality", "MR")
        return node

    def until(self, condition):
        wait_until(condition, turn=self.slicer.app.processEvents)


@contextmanager
def scripts_with(host, kind, monkeypatch):
    """Yield `Scripts` whose workers are clients of a `kind`, None for real processes."""
    with no_vtk_errors():
        scripts = Scripts(host, kind, monkeypatch)
        yield scripts
        scripts.logic.endWorker()
        host.mrmlScene.Clear()
