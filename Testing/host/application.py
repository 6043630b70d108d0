"""A real MRML scene with the real module logics, and what `slicer.app` and `slicer.modules` say."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from types import SimpleNamespace

import qt
import slicer
import vtk

LOGICS = {
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Plots": "vtkSlicerPlotsLogic",
}
SHOWN_IN_HIERARCHY = (
    "vtkMRMLVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLTransformNode",
)


class Module:
    """What `slicer.modules.NAME` is."""

    def __init__(self, name, logic=None, path=""):
        self.name = self.title = name
        self.path = path
        self._logic = logic

    def logic(self):
        return self._logic


class Application(qt.QObject):
    """What `slicer.app` is."""

    startupCompleted = qt.Signal()
    majorVersion, minorVersion = 5, 12

    def __init__(self, logic, folder):
        super().__init__()
        self._logic = logic
        self.temporaryPath = self.slicerHome = folder

    def applicationLogic(self):
        return self._logic

    def testingEnabled(self):
        return True

    def processEvents(self):
        qt.QApplication.processEvents()

    def userSettings(self):
        return qt.QSettings(f"{self.temporaryPath}/settings.ini", qt.QSettings.IniFormat)

    settings = userSettings

    def layoutManager(self):
        return None

    def extensionsManagerModel(self):
        return None


def boot():
    """Make the scene; must run once before anything of the module is imported."""
    folder = tempfile.mkdtemp(prefix="stand-in-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    scene = slicer.vtkMRMLScene()
    application_logic = slicer.vtkSlicerApplicationLogic()
    application_logic.SetTemporaryPath(folder)
    application_logic.SetMRMLScene(scene)
    colours = application_logic.GetColorLogic()
    colours.SetMRMLScene(scene)
    colours.AddDefaultColorNodes()
    application_logic.SetModuleLogic("Colors", colours)
    cache, data_io = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(folder)
    data_io.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(data_io)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    slicer.mrmlScene = scene
    slicer.modules = SimpleNamespace(colors=Module("Colors", colours))
    for name, class_name in LOGICS.items():
        logic = getattr(slicer, class_name)()
        if name == "Terminologies":
            logic.SetModuleShareDirectory(folder)
        logic.SetMRMLApplicationLogic(application_logic)
        logic.SetMRMLScene(scene)
        application_logic.SetModuleLogic(name, logic)
        setattr(slicer.modules, name.lower(), Module(name, logic))
    slicer.app = Application(application_logic, folder)
    slicer.app.keep = (cache, data_io)
    scene.AddObserver(scene.NodeAddedEvent, _add_to_hierarchy)
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, _remove_from_hierarchy)
    slicer.util.mainWindow = lambda verbose=True: None


@vtk.calldata_type(vtk.VTK_OBJECT)
def _add_to_hierarchy(scene, event, node):
    """Do what Qt plugins do in the application."""
    if scene.IsImporting() or node.GetHideFromEditors():
        return
    if any(node.IsA(kind) for kind in SHOWN_IN_HIERARCHY):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        if hierarchy is not None and not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _remove_from_hierarchy(scene, event, node):
    """Do what Qt plugins do in the application."""
    if node.IsA("vtkMRMLSubjectHierarchyNode"):
        return  # of an added scene, which is being merged into the one that is there
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    if item:
        hierarchy.RemoveItem(item, False, False)
