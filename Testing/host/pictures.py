"""Pictures of panels, and of slice and 3-D views drawn by the real displayable managers."""

from __future__ import annotations

import slicer
import vtk
from picture_label import label_picture

_views = {}


def picture_of_widget(widget, path, width=430):
    """Save a widget as it looks at `width` pixels and the height that it wants."""
    widget.resize(width, 100)
    widget.show()
    for _ in range(3):  # word wrap and collapsed sections settle one after the other
        slicer.app.processEvents()
        height = widget.layout().totalHeightForWidth(width)
        widget.resize(width, height)
    slicer.app.processEvents()
    widget.grab().save(str(path))
    widget.hide()
    label_picture(path)


def picture_of_slice(volume, path, *, offset=None, size=(480, 480), name="Red"):
    """Save an axial slice view of `volume` with the segmentations on it."""
    view = _slice_view(name, size)
    view.show(volume, offset)
    view.save(path)


def picture_in_3d(path, *, size=(480, 480)):
    """Save a 3-D view of what the scene shows in 3-D."""
    view = _ThreeDView(size)
    view.save(path)


def picture_of_chart(chart, path, *, size=(640, 360)):
    """Save a chart of scatter series much as Slicer's plot view draws it."""
    view = vtk.vtkContextView()
    view.GetRenderWindow().SetOffScreenRendering(True)
    view.GetRenderWindow().SetSize(*size)
    drawn = vtk.vtkChartXY()
    drawn.SetShowLegend(True)
    drawn.SetTitle(chart.GetTitle())
    drawn.GetAxis(vtk.vtkAxis.BOTTOM).SetTitle(chart.GetXAxisTitle())
    axis = drawn.GetAxis(vtk.vtkAxis.LEFT)
    axis.SetTitle(chart.GetYAxisTitle() or "")
    if not chart.GetYAxisRangeAuto():
        axis.SetBehavior(vtk.vtkAxis.FIXED)
        axis.SetRange(*chart.GetYAxisRange())
    view.GetScene().AddItem(drawn)
    for index in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(index)
        plot = drawn.AddPlot(vtk.vtkChart.LINE)
        table = series.GetTableNode().GetTable()
        plot.SetInputData(table, series.GetXColumnName(), series.GetYColumnName())
        plot.SetColorF(*series.GetColor())
        plot.SetWidth(2)
        dots = series.GetMarkerStyle() != series.MarkerStyleNone
        plot.SetMarkerStyle(vtk.vtkPlotPoints.CIRCLE if dots else vtk.vtkPlotPoints.NONE)
        plot.SetLabel(series.GetName())
    _save(view.GetRenderWindow(), path)


def _slice_view(name, size):
    if name not in _views:
        _views[name] = _SliceView(name, size)
    return _views[name]


def _save(window, path):
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    writer = vtk.vtkPNGWriter()
    writer.SetInputConnection(grab.GetOutputPort())
    writer.SetFileName(str(path))
    writer.Write()
    label_picture(path)


class _View:
    """A render window with a group of displayable managers."""

    def __init__(self, size):
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)

    def save(self, path):
        _save(self.window, path)


class _SliceView(_View):
    def __init__(self, name, size):
        super().__init__(size)
        scene = slicer.mrmlScene
        self.node = slicer.vtkMRMLSliceNode()
        self.node.SetName(name)
        self.node.SetLayoutName(name)
        self.node.SetSingletonTag(name)
        self.node = scene.AddNode(self.node)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLScene(scene)
        self.logic.SetSliceNode(self.node)
        self.mapper_image = vtk.vtkImageMapper()
        self.mapper_image.SetColorWindow(255)
        self.mapper_image.SetColorLevel(127.5)
        self.background = vtk.vtkActor2D()
        self.background.SetMapper(self.mapper_image)
        self.renderer.AddViewProp(self.background)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        for name in (
            "vtkMRMLSegmentationsDisplayableManager2D",
            "vtkMRMLMarkupsDisplayableManager",
        ):
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self.group = factory.InstantiateDisplayableManagers(self.renderer)
        self.group.SetMRMLDisplayableNode(self.node)

    def show(self, volume, offset):
        composite = self.logic.GetSliceCompositeNode()
        composite.SetBackgroundVolumeID(volume.GetID())
        width, height = self.window.GetSize()
        self.node.SetDimensions(width, height, 1)
        self.node.GetSliceToRAS().SetElement(0, 0, -1)  # the patient's right on the left
        self.node.UpdateMatrices()
        self.logic.FitSliceToAll(width, height)
        if offset is not None:
            self.logic.SetSliceOffset(offset)
        self.logic.UpdatePipeline()
        self.mapper_image.SetInputConnection(self.logic.GetImageDataConnection())


class _ThreeDView(_View):
    def __init__(self, size):
        super().__init__(size)
        scene = slicer.mrmlScene
        self.node = scene.GetFirstNodeByClass("vtkMRMLViewNode") or scene.AddNewNodeByClass(
            "vtkMRMLViewNode"
        )
        self.renderer.SetBackground(0.9, 0.92, 0.95)
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        if not factory.IsDisplayableManagerRegistered("vtkMRMLSegmentationsDisplayableManager3D"):
            factory.RegisterDisplayableManager("vtkMRMLSegmentationsDisplayableManager3D")
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self.group = factory.InstantiateDisplayableManagers(self.renderer)
        self.group.SetMRMLDisplayableNode(self.node)
        camera = self.renderer.GetActiveCamera()
        self.renderer.ResetCamera()
        camera.SetPosition(camera.GetFocalPoint()[0], camera.GetFocalPoint()[1] + 500, 60)
        camera.SetViewUp(0, 0, 1)
        self.renderer.ResetCamera()
