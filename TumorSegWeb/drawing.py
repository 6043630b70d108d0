"""How the views are drawn: sparingly, for where there is no graphics card the processor does it.

trame-slicer draws them with eight samples a pixel, which takes most of the time there, as large as
the browser shows them, and all slice views when the plane of one is moved.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from slicer import vtkMRMLApplicationLogic, vtkMRMLScene
from trame_rca.utils import RcaViewAdapter
from trame_server import Server
from trame_slicer.app.ui import (
    create_vertical_slice_view_gutter_ui,
    create_vertical_view_gutter_ui,
)
from trame_slicer.core import ViewManager
from trame_slicer.rca_view import RemoteSliceViewFactory, RemoteThreeDViewFactory
from trame_slicer.utils import get_nodes_by_class
from trame_slicer.views import ScheduledRenderStrategy, SliceView, ViewLayoutDefinition
from vtkmodules.vtkRenderingCore import vtkRenderWindow

from TumorSegWeb.clock import Paced
from TumorSegWeb.directions import build_directions
from TumorSegWeb.fitting import FIRST, LAST, Fitting
from TumorSegWeb.names import named

MOST_PIXELS = 1_000_000
"""Of a picture; the browser enlarges it on larger screens. Volumes have 512 x 512 a slice."""

BLURRED_FPS = 10.0
"""Pictures a second of a view without the pointer, as trame-slicer has it."""

SLICES_FPS = 20.0
"""Of a slice view with the pointer, where the processor draws as many."""

PAUSE_SECONDS = 0.025
"""Between two pictures of a slice view, for the first to be sent and shown; of pictures that follow
each other at once, the browser would show the last alone."""

STILL_QUALITY = 90
"""Of JPEG, as trame-slicer has it for pictures at rest. Where those that move have it too, none is
drawn a second time, and none waits for the time at which that would be done."""


def register_views(server: Server, views: ViewManager) -> None:
    """Have views made here; call it before trame-slicer's application does, which asks in turn."""
    views.register_factory(_SliceViews(server))
    views.register_factory(_ThreeDViews(server))


class _SliceViews(RemoteSliceViewFactory):
    """Slice views as 3D Slicer draws them, without multisampling."""

    def __init__(self, server: Server) -> None:
        super().__init__(
            server,
            populate_view_ui_f=named(_build_gutter),
            blur_fps=BLURRED_FPS,
            interactive_quality=STILL_QUALITY,
            target_fps=SLICES_FPS,
        )
        self._moving: list[SliceView] = []

    def _create_view(
        self,
        view: ViewLayoutDefinition,
        scene: vtkMRMLScene,
        app_logic: vtkMRMLApplicationLogic,
    ) -> Any:
        made = super()._create_view(view, scene, app_logic)
        made.slicer_view.render_window().SetMultiSamples(0)
        made.view_adapter.max_pixel_count = MOST_PIXELS
        Fitting(made.slicer_view, app_logic)
        _Pause(made.slicer_view.render_window(), made.view_adapter)
        made.slicer_view.set_scheduled_render(
            _WhereSomethingChanged(
                made.view_adapter.schedule_render, made.slicer_view, self._moving
            )
        )
        return made


class _ThreeDViews(RemoteThreeDViewFactory):
    """3-D views whose edges are smoothed in the finished picture."""

    def __init__(self, server: Server) -> None:
        super().__init__(
            server, populate_view_ui_f=named(create_vertical_view_gutter_ui), blur_fps=BLURRED_FPS
        )

    def _create_view(
        self,
        view: ViewLayoutDefinition,
        scene: vtkMRMLScene,
        app_logic: vtkMRMLApplicationLogic,
    ) -> Any:
        made = super()._create_view(view, scene, app_logic)
        made.slicer_view.render_window().SetMultiSamples(0)
        made.slicer_view.renderer().UseFXAAOn()
        made.view_adapter.max_pixel_count = MOST_PIXELS
        return made


def _build_gutter(server: Server, view_id: str, view: SliceView) -> None:
    create_vertical_slice_view_gutter_ui(server, view_id, _SliderView(server, view))
    build_directions(server, view_id, view)


class _SliderView:
    """A slice view as its slider sees it, which is told of moves a few times a second."""

    def __init__(self, server: Server, view: SliceView) -> None:
        self._server, self._view = server, view
        self.modified = self

    def connect(self, call: Callable[[SliceView], None]) -> None:
        """Call when the view was moved."""
        paced = Paced(self._server.state, lambda: call(self._view))
        self._view.modified.connect(lambda _view: paced.start())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


class _Pause:
    """Keeps a pause between the pictures of a view, however long each takes to draw."""

    def __init__(self, window: vtkRenderWindow, adapter: RcaViewAdapter) -> None:
        """Look after the view that `window` draws and `adapter` sends."""
        self._adapter = adapter
        self._wanted = self._set = adapter.target_fps
        self._began = 0.0
        window.AddObserver("StartEvent", self._drawing)
        window.AddObserver("EndEvent", self._drawn)

    def _drawing(self, *_event: Any) -> None:
        self._began = time.monotonic()

    def _drawn(self, *_event: Any) -> None:
        if self._adapter.target_fps != self._set:  # as where the pointer has come or gone
            self._wanted = self._adapter.target_fps
        least = time.monotonic() - self._began + PAUSE_SECONDS
        self._adapter.target_fps = self._set = min(self._wanted, 1 / least)


class _WhereSomethingChanged(ScheduledRenderStrategy):
    """Leaves out what another slice view's move asks for.

    3D Slicer's managers have all slice views drawn when the plane of one is moved. Only those that
    show where planes intersect look different then.
    """

    def __init__(self, draw: Callable[[], None], view: SliceView, moving: list[SliceView]) -> None:
        """Have a view drawn.

        Args:
            draw: does that soon.
            view: the view.
            moving: views whose plane is being moved, shared by all.
        """
        super().__init__()
        self._draw, self._view, self._moving = draw, view, moving
        node: Any = view.get_view_node()
        node.AddObserver("ModifiedEvent", lambda *_: moving.append(view), FIRST)
        node.AddObserver("ModifiedEvent", lambda *_: moving.remove(view), LAST)

    def schedule_render(self) -> None:
        """Have the view drawn soon, unless it would look the same."""
        if not self._moving or self._view in self._moving or _shows_planes(self._view):
            self._draw()


def _shows_planes(view: SliceView) -> bool:
    """Tell whether slice views show where their planes intersect."""
    displays = get_nodes_by_class("vtkMRMLSliceDisplayNode", view.get_view_node().GetScene())
    return any(display.GetIntersectingSlicesVisibility() for display in displays)
