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

    def __init__(self, name, logic=None, path="", make_widget=lambda: None):
        self.name = self.title = name
        self.path = path
        self._logic, self._make_widget = logic, make_widget
        self._widget = None

    def logic(self):
        return self._logic

    def widgetRepresentation(self):
        """Return the module's widget, made when it is asked for the first time."""
        if self._widget is None:
            self._widget = self._make_widget()
        return self._widget


class Signals(qt.QObject):
    """The signals of what follows, which are no QObjects here: PySide keeps `connect` to itself."""

    moduleAboutToBeUnloaded = qt.Signal(str)
    startupCompleted = qt.Signal()


class BySignature:
    """Connects signals named by their C++ signatures, which Slicer's own Python files do."""

    def __init__(self):
        self._signals = Signals()

    def connect(self, signature, receiver):
        getattr(self._signals, signature.partition("(")[0]).connect(receiver)

    def disconnect(self, signature, receiver):
        getattr(self._signals, signature.partition("(")[0]).disconnect(receiver)


class ModuleManager(BySignature):
    """What `slicer.app.moduleManager()` is."""

    @property
    def moduleAboutToBeUnloaded(self):
        return self._signals.moduleAboutToBeUnloaded

    def module(self, name):
        return getattr(slicer.modules, name.lower(), None)


class CommandOptions:
    """What `slicer.app.commandOptions()` is."""

    noMainWindow = True
    testingEnabled = True


class Application(BySignature):
    """What `slicer.app` is."""

    def __init__(self, logic, folder, version):
        super().__init__()
        self._logic = logic
        self._manager = ModuleManager()
        self.majorVersion, self.minorVersion = version
        self.temporaryPath = self.slicerHome = self.cachePath = folder
        self.documentationBaseUrl = "https://slicer.readthedocs.io/en/latest/"

    @property
    def startupCompleted(self):
        return self._signals.startupCompleted

    def applicationLogic(self):
        return self._logic

    def moduleManager(self):
        return self._manager

    def moduleDocumentationUrl(self, moduleName):
        return f"{self.documentationBaseUrl}user_guide/modules/{moduleName.lower()}.html"

    def commandOptions(self):
        return CommandOptions

    def testingEnabled(self):
        return True

    def processEvents(self):
        qt.QApplication.processEvents()

    def translate(self, context, key):
        return qt.QCoreApplication.translate(context, key)

    def userSettings(self):
        return qt.QSettings(f"{self.temporaryPath}/settings.ini", qt.QSettings.IniFormat)

    def settings(self):
        return self.userSettings()

    def layoutManager(self):
        return None


def boot(version):
    """Make the scene; must run once before anything of the module is imported.

    Args:
        version: major and minor version that the application says it has.
    """
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
    slicer.app = Application(application_logic, folder, version)
    slicer.app.keep = (cache, data_io)
    scene.AddObserver(scene.NodeAddedEvent, _add_to_hierarchy)
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, _remove_from_hierarchy)


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
