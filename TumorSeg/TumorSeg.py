"""The scripted module TumorSeg: what 3D Slicer calls, wired to the package TumorSegModule.

This file must parse under Python 3.9, which older versions of Slicer have: it says there what is
needed, before anything newer is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

OLDEST = (5, 10)
"""Major and minor version of Slicer that the module needs."""

FOLDER = Path(__file__).resolve().parent
if str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))

from TumorSegModule.library import find_library  # noqa: E402

find_library()


def too_old() -> str:
    """Return a line for the user if this Slicer is too old for the module, else ""."""
    version = (slicer.app.majorVersion, slicer.app.minorVersion)
    if version >= OLDEST:
        return ""
    return _("TumorSeg needs 3D Slicer {needed} or newer; this is {found}.").format(
        needed="{}.{}".format(*OLDEST), found="{}.{}".format(*version)
    )


class TumorSeg(ScriptedLoadableModule):
    """What the module is."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "TumorSeg"
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.icon = qt.QIcon(str(FOLDER / "Resources" / "Icons" / "TumorSeg.png"))
        parent.dependencies = ["Segmentations", "SegmentEditor", "Sequences", "Terminologies"]
        parent.contributors = ["The TumorSeg authors"]
        parent.helpText = _(
            "Segments tumours and organs in CT and MRI with neural networks, slice by slice, as"
            " segments that the Segment Editor corrects. Choose a volume and click Segment."
            " Not a medical device: check every slice before you rely on it."
        )
        parent.helpText += self.documentationLink()
        parent.acknowledgementText = _(
            "The networks follow Ronneberger et al. 2015 (U-Net), Chaurasia and Culurciello 2017"
            " (LinkNet), Seo et al. 2020 (mU-Net) and Long et al. 2015 (FCN). Each model's card"
            " names the data that it was trained on."
        )
        slicer.app.startupCompleted.connect(self._register)

    def documentationLink(self) -> str:
        """Return a link to the page that comes with the module."""
        from TumorSegModule.widgets.documentation import PAGE

        text = _(
            "The {start}documentation{end} comes with the module and needs no internet."
        ).format(start=f'<a href="{PAGE.as_uri()}">', end="</a>")
        return f"<p>{text}</p>"

    def _register(self) -> None:
        if not too_old():
            from TumorSegModule.logic.registration import register

            register()


class TumorSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel; see `TumorSegModule.widgets.panel`."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.panel: Any = None
        self._settings: Any = None

    def setup(self) -> None:
        """Make the widgets."""
        ScriptedLoadableModuleWidget.setup(self)
        if line := too_old():
            label = qt.QLabel(line)
            label.wordWrap = True
            self.layout.addWidget(label)
            self.layout.addStretch(1)
            return
        widget = slicer.util.loadUI(self.resourcePath("UI/TumorSeg.ui"))
        self.layout.addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = TumorSegLogic()
        self.panel = self.makePanel(slicer.util.childWidgetVariables(widget))
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(scene, scene.StartImportEvent, self.onSceneStartImport)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneChanged)
        self.panel.connect(self.logic.getParameterNode())

    def makePanel(self, ui: Any) -> Any:
        """Return what drives the widgets."""
        from TumorSegModule.widgets.panel import Panel

        return Panel(ui)

    def enter(self) -> None:
        """The panel is shown."""
        if self.panel is not None:
            self.panel.connect(self.logic.getParameterNode())
            self.panel.enter()

    def exit(self) -> None:
        """Another module is shown."""
        if self.panel is not None:
            self.panel.exit()

    def cleanup(self) -> None:
        """Slicer ends, or the module is reloaded."""
        self.removeObservers()
        self.exit()  # a reload calls this alone; the editor's keys would stay with the main window
        if self.panel is not None:
            from TumorSegModule.widgets.installation import cancel_installation

            cancel_installation()
            self.panel.connect(None)
            self.panel.close()
            self.panel.retrain.close()
            self.logic.endWorker()

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        """Nothing of the scene may be used from here on."""
        self.panel.connect(None)
        self.panel.close()

    def onSceneStartImport(self, caller: Any, event: str) -> None:
        """A scene is added: keep the settings of what is worked on; its own would replace them."""
        parameters = self.logic.getParameterNode()
        if parameters.volume is not None:
            self._settings = slicer.vtkMRMLScriptedModuleNode()
            self._settings.Copy(parameters.parameterNode)

    def onSceneChanged(self, caller: Any, event: str) -> None:
        """The scene was closed or another was loaded: take its settings, if there were none."""
        parameters, kept = self.logic.getParameterNode(), self._settings
        self._settings = None
        if kept is not None:
            parameters.parameterNode.CopyWithScene(kept)
        parameters.Modified()  # the nodes that they refer to are there only now
        self.panel.connect(parameters)


class TumorSegLogic(ScriptedLoadableModuleLogic):
    """The scene's settings, and runs without the panel.

    >>> logic = TumorSegLogic()
    >>> segmentationNode = logic.segment(volumeNode)

    All objects of this class share one worker process, in which their runs follow each other; the
    panel has one of its own. See `docs/scripting.md`.
    """

    _runs: Any = None

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._parameters: Any = None

    def getParameterNode(self) -> Any:
        """Return the scene's settings: the same object as long as the scene has the same node.

        Each new one would leave its observers on the node.
        """
        from TumorSegModule.logic.parameters import Parameters

        node = super().getParameterNode()
        if self._parameters is None or self._parameters.parameterNode is not node:
            self._parameters = Parameters(node)
        return self._parameters

    def segment(
        self, volumeNode: slicer.vtkMRMLScalarVolumeNode, model: Any = None, **options: Any
    ) -> slicer.vtkMRMLSegmentationNode:
        """Segment a volume and return the segmentation node, on the volume's own grid.

        Waits for the result; meanwhile the application stays alive.

        Args:
            volumeNode: to segment.
            model: see `startSegmentation`.
            options: the other arguments of `startSegmentation`.

        Raises:
            TumorSegError: as there, or the run failed (`SegmentationError`, also if it was
                cancelled or the scene closed); its text says why and what to do.
        """
        return self.startSegmentation(volumeNode, model, **options).wait()

    def startSegmentation(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        model: Any = None,
        *,
        channels: dict[str, Any] | None = None,
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
        edited: str = "refuse",
        slices: tuple[int, int] | None = None,
        regionNode: slicer.vtkMRMLMarkupsROINode | None = None,
        onlyDetected: bool = False,
        device: str = "auto",
        precision: str = "auto",
        mirroring: bool | None = None,
        keepModel: bool = True,
        finished: Callable[[Any], object] | None = None,
        progress: Callable[[Any], object] | None = None,
    ) -> Any:
        """Start to segment a volume and return at once; runs follow each other.

        Args:
            volumeNode: to segment.
            model: id or folder of a model; the default for the volume's modality if not given.
            channels: nodes of further sequences by name, as {"t1": node}; if not given, those whose
                names tell what they are, as in the panel.
            segmentationNode: to write to; a new one if not given.
            edited: what to do with segments in it that were edited by hand since a model ran:
                "refuse", "replace", "add" or "new segmentation".
            slices: first and last + 1 of the axial slices to segment, 0 the most inferior.
            regionNode: region of interest to which to limit the run.
            onlyDetected: segment only slices on which a detector finds something.
            device: "auto", "cpu", "cuda" or "mps".
            precision: "auto", "fp32" (reproducible) or "bf16".
            mirroring: average with mirrored slices; as the model says if not given.
            keepModel: keep the model in memory for the next run.
            finished: called with the run when it is over, well or not.
            progress: called with the run when further slices are computed.

        Returns:
            A `TumorSegModule.logic.scripting.ScriptedRun`: `state`, `finished`, `cancel()`,
            `wait()`, `segmentationNode`, `line`.

        Raises:
            TumorSegError: a node or argument cannot be used, there is no such model, or a package
                is missing; nothing was started.
        """
        from TumorSegLib.inference.run_options import RunOptions
        from TumorSegLib.model.catalogue import default_catalogue
        from TumorSegModule.logic.script_options import check_installed, script_options

        check_installed()
        options = script_options(
            volumeNode,
            model,
            default_catalogue(),
            channels=channels,
            target=segmentationNode,
            edited=edited,
            slices=slices,
            region=regionNode,
            only_detected=onlyDetected,
            run=RunOptions(device, precision, mirroring, keepModel),
        )
        return self._scriptedRuns().submit(options, finished=finished, progress=progress)

    def endWorker(self) -> None:
        """Cancel the runs of all scripts, and end the process that runs models.

        Its memory is free then; the next run starts another.
        """
        runs, TumorSegLogic._runs = TumorSegLogic._runs, None
        if runs is not None:
            runs.close()

    @staticmethod
    def _scriptedRuns() -> Any:
        from TumorSegModule.logic.scripting import ScriptedRuns
        from TumorSegModule.logic.worker_client import WorkerClient, python_command
        from TumorSegModule.widgets.qt_clock import QtClock

        if TumorSegLogic._runs is None:
            TumorSegLogic._runs = ScriptedRuns(WorkerClient(python_command()), QtClock())
        return TumorSegLogic._runs


class TumorSegTest(ScriptedLoadableModuleTest):
    """Self test in the application: a volume that the module makes is segmented by a real model."""

    def runTest(self) -> None:
        """Run it."""
        self.setUp()
        self.test_segment_phantom()

    def test_segment_phantom(self) -> None:
        """A phantom of a brain has segments after a click."""
        if line := too_old():
            self.skipTest(line)
        from TumorSegModule.self_test import segment_phantom

        segment_phantom(self)
