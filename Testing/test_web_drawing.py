"""Which views are drawn when and how, and that made-up patients are made once."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from TumorSegLib.image.volume import Volume


def test_a_sample_is_made_once_however_many_ask():
    from TumorSegWeb.samples import Sample

    begun, asked, made = threading.Event(), threading.Event(), []

    def make() -> list[Volume]:
        begun.set()
        asked.wait()
        made.append([])
        return made[-1]

    sample, answers = Sample(make), []
    threads = [threading.Thread(target=lambda: answers.append(sample())) for _ in range(2)]
    threads[0].start()
    begun.wait()
    threads[1].start()
    asked.set()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert all(answer is made[0] for answer in answers)


@pytest.fixture
def views(monkeypatch):
    """The slice views of an application, by orientation, and which of them are to be drawn."""
    pytest.importorskip("trame_slicer", reason="needs the extra web")
    from trame_rca.utils import RcaViewAdapter
    from trame_server import Server
    from trame_slicer.core import LayoutManager, SlicerApp
    from vtkmodules.vtkCommonCore import vtkObject

    from TumorSegWeb.drawing import register_views

    asked = []
    monkeypatch.setattr(
        RcaViewAdapter, "schedule_render", lambda adapter: asked.append(adapter.area_name)
    )
    monkeypatch.setattr(
        "trame_slicer.rca_view.rca_view_factory.create_task", lambda task: task.close()
    )
    vtkObject.GlobalWarningDisplayOff()  # of views without a screen

    async def make():
        application = SlicerApp()
        server = Server("drawing")
        server.client_type = "vue3"
        register_views(server, application.view_manager)
        layouts = LayoutManager(application.scene, application.view_manager, server)
        layouts.register_layout_dict(LayoutManager.default_grid_configuration())
        layouts.set_layout("Quad View")
        return application

    application = asyncio.run(make())
    by_orientation = {
        view.get_orientation(): view for view in application.view_manager.get_slice_views()
    }
    yield application, by_orientation, asked
    vtkObject.GlobalWarningDisplayOn()


def test_the_move_of_a_plane_has_its_own_view_drawn_alone(views):
    application, slices, asked = views
    assert sorted(slices) == ["Axial", "Coronal", "Sagittal"]
    for view in slices.values():
        assert view.render_window().GetMultiSamples() == 0
    asked.clear()
    slices["Axial"].get_view_node().SetSliceOffset(7)
    assert len(set(asked)) == 1
    slices["Coronal"].get_view_node().SetSliceOffset(7)
    assert len(set(asked)) == 2
    asked.clear()
    slices["Axial"].schedule_render()
    slices["Sagittal"].schedule_render()
    assert len(set(asked)) == 2

    from trame_slicer.utils import get_nodes_by_class

    for display in get_nodes_by_class("vtkMRMLSliceDisplayNode", application.scene):
        display.SetIntersectingSlicesVisibility(True)
    asked.clear()
    slices["Axial"].get_view_node().SetSliceOffset(9)
    assert len(set(asked)) == 3


def test_the_sides_of_a_slice_have_the_patients_letters_however_the_volume_lies(views):
    from slicer import util

    from TumorSegWeb.directions import directions_of

    application, slices, _asked = views
    volume = application.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    util.updateVolumeFromArray(volume, np.zeros((4, 5, 6), np.int16))
    volume.CreateDefaultDisplayNodes()

    def found(tilt):
        """The letters where the volume's coronal slices are turned in their plane."""
        cosine, sine = np.cos(tilt), np.sin(tilt)
        volume.SetIJKToRASDirections(-cosine, sine, 0, 0, 0, 1, sine, cosine, 0)
        application.display_manager.show_volume(volume, do_reset_views=True)
        return {name: " ".join(directions_of(view)) for name, view in slices.items()}

    assert found(0.2) == {"Axial": "R L A P", "Coronal": "R L S I", "Sagittal": "A P S I"}
    assert found(0.5) == {"Axial": "RI LS A P", "Coronal": "RI LS SR IL", "Sagittal": "A P SR IL"}

    def turned(degrees):
        """The letters of the axial view when its plane is turned about the body's axis."""
        angle = np.radians(degrees)
        along = (-np.cos(angle), np.sin(angle), 0)
        slices["Axial"].get_view_node().SetSliceToRASByNTP(0, 0, -1, *along, 0, 0, 0, 0)
        return directions_of(slices["Axial"])

    assert turned(0) == ["R", "L", "A", "P"]
    assert turned(10) == ["R", "L", "A", "P"]
    assert turned(90) == ["P", "A", "R", "L"]
    assert turned(180) == ["L", "R", "P", "A"]
    assert turned(30) == ["RP", "LA", "AR", "PL"]


def test_a_whole_slice_stays_in_view_unless_it_was_zoomed(views):
    from slicer import util
    from vtkmodules.vtkCommonCore import vtkCommand

    application, slices, _asked = views
    volume = application.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    util.updateVolumeFromArray(volume, np.zeros((20, 100, 100), np.int16))
    volume.SetSpacing(2, 2, 5)
    volume.CreateDefaultDisplayNodes()
    application.display_manager.show_volume(volume, do_reset_views=True)
    view = slices["Axial"]

    def field_of_view(width, height):
        view.interactor().UpdateSize(width, height)
        view.interactor().InvokeEvent(vtkCommand.WindowResizeEvent)
        return view.get_view_node().GetFieldOfView()[:2]

    place = view.get_slice_value() + 10
    view.set_slice_value(place)
    assert field_of_view(660, 680) == pytest.approx((200, 206), abs=1)
    assert field_of_view(440, 680) == pytest.approx((200, 309), abs=1)
    assert field_of_view(600, 300) == pytest.approx((400, 200), abs=1)
    assert view.get_slice_value() == pytest.approx(place)
    view.zoom_in()
    assert min(field_of_view(440, 680)) < 150


def test_a_segmentation_that_is_edited_no_more_is_let_go_of(views):
    import gc
    import weakref

    from TumorSegWeb.editor import Editor

    application, _slices, _asked = views
    scene, told = application.scene, []
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    nodes = [scene.AddNewNodeByClass("vtkMRMLSegmentationNode") for _ in range(2)]
    editor = application.segmentation_editor
    editor.segmentation_modified.connect(lambda: told.append(True))
    for node in nodes:
        Editor(editor).edit(node, volume)
        if node is nodes[0]:
            earlier = weakref.ref(editor.active_segmentation)
    gc.collect()
    assert earlier() is None
    told.clear()
    for _again in range(2):
        nodes[0].Modified()
    assert told == []
    nodes[1].Modified()
    assert told == [True]
    scene.RemoveNode(nodes[1])
    Editor(editor).edit(nodes[0], volume)
    nodes[1].Modified()
    assert editor.active_segmentation_node is nodes[0]


def test_the_segmentation_that_was_worked_on_last_is_there_again_and_shown_alone(
    views, monkeypatch
):
    import slicer
    from slicer import util

    from TumorSegWeb import slicer_layer

    scene = views[0].scene
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    slicer_layer.provide(scene)

    from TumorSegModule.logic.new_segmentation import new_segmentation
    from TumorSegWeb.targets import Targets

    volumes = [scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in "ab"]
    for volume in volumes:
        util.updateVolumeFromArray(volume, np.zeros((2, 3, 4), np.int16))
    targets = Targets()
    first, other = (targets.last(volume) for volume in volumes)
    assert targets.last(volumes[0]) is first
    second = new_segmentation(volumes[0])
    targets.work_on(second)
    assert targets.of(volumes[0]) == [first, second]
    assert targets.last(volumes[0]) is second
    assert targets.last(volumes[1]) is other

    def shown():
        return [bool(node.GetDisplayVisibility()) for node in (first, second, other)]

    assert shown() == [False, True, False]  # the other may be another patient's
    targets.work_on(other)
    assert shown() == [False, False, True]
    targets.drawn_on(second, volumes)  # they are sequences of one case
    targets.work_on(other)
    assert shown() == [False, True, True]
    targets.work_on(first)
    targets.work_on(other)
    assert shown() == [False, False, True]
    targets.work_on(first)
    assert targets.last(volumes[0]) is first
    assert first.GetDisplayVisibility()
    scene.RemoveNode(first)
    assert targets.last(volumes[0]) is second


def test_what_follows_the_wheel_is_told_at_once_then_now_and_then(monkeypatch):
    from TumorSegWeb import clock

    monkeypatch.setattr(clock, "PACE_SECONDS", 0.01)
    calls, shown = [], []

    class State:
        """Of the page: shown when a block ends."""

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            shown.append(len(calls))

    async def turn():
        paced = clock.Paced(State(), lambda: calls.append(len(calls)))
        for _ in range(5):
            paced.start()
        assert len(calls) == 1
        while len(calls) < 2:
            await asyncio.sleep(0.001)
        while paced._pausing:
            await asyncio.sleep(0.001)
        assert len(calls) == 2  # the last of five is told of, and nothing twice
        assert shown == [2]  # where no event of the page would show it
        paced.start()
        assert len(calls) == 3

    asyncio.run(turn())


def test_a_view_has_a_pause_after_each_picture_however_long_it_took(monkeypatch):
    pytest.importorskip("trame_slicer", reason="needs the extra web")
    from types import SimpleNamespace

    from vtkmodules.vtkRenderingCore import vtkRenderWindow

    from TumorSegWeb import drawing

    window, adapter, now = vtkRenderWindow(), SimpleNamespace(target_fps=10.0), [0.0]
    monkeypatch.setattr(drawing, "time", SimpleNamespace(monotonic=lambda: now[0]))
    drawing._Pause(window, adapter)

    def period(seconds):
        """Seconds between pictures that take `seconds` to draw."""
        window.InvokeEvent("StartEvent")
        now[0] += seconds
        window.InvokeEvent("EndEvent")
        return 1 / adapter.target_fps

    assert period(0.01) == pytest.approx(0.1)
    adapter.target_fps = 20.0  # the pointer comes
    assert period(0.01) == pytest.approx(0.05)
    assert period(0.2) == pytest.approx(0.2 + drawing.PAUSE_SECONDS)
    assert period(0.01) == pytest.approx(0.05)
    adapter.target_fps = 10.0  # and goes
    assert period(0.01) == pytest.approx(0.1)
