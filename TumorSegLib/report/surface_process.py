"""Draws surfaces of structures with VTK, in a process that a missing OpenGL may end.

`python -m TumorSegLib.report.surface_process` reads arrays (`numpy.savez`) from its standard input
and writes pictures, uint8 (views, rows, columns, 3), in the same way to its standard output.
Axes are those of the axial view: x to the patient's left, y to posterior, z to superior.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXELS = 460
SMOOTHING_ITERATIONS = 20
PASS_BAND = 0.08
SEE_THROUGH = 0.3
PALE = (0.72, 0.70, 0.66)
"""Colour of what lesions are seen through: its own would change theirs."""
VIEWS = (
    ((0, 0, -1), (0, -1, 0)),  # from the feet, anterior up
    ((0, -1, 0), (0, 0, 1)),  # from the front
    ((1, 0, 0), (0, 0, 1)),  # from the left
)
"""Where the camera is, as seen from the middle, and what is up."""


def draw(arrays: dict[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Return pictures of the structures.

    Args:
        arrays: of structure n, "mask_n" uint8 (z, y, x), 255 inside; "spacing_n" and "origin_n"
            mm along (x, y, z); "colour_n" 0 to 255; "solid_n" 1 where it is not see-through.
    """
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - what renders, if anything does
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow, vtkWindowToImageFilter

    renderer = vtkRenderer()
    renderer.SetBackground(1, 1, 1)
    count = sum(name.startswith("mask_") for name in arrays)
    for number in sorted(range(count), key=lambda number: not arrays[f"solid_{number}"]):
        part = {name: arrays[f"{name}_{number}"] for name in ("mask", "spacing", "origin")}
        actor = _surface(**part)
        look = actor.GetProperty()
        solid = bool(arrays[f"solid_{number}"])
        look.SetColor(*(arrays[f"colour_{number}"] / 255 if solid else PALE))
        look.SetOpacity(1.0 if solid else SEE_THROUGH)
        look.SetSpecular(0.2)
        renderer.AddActor(actor)
    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(PIXELS, PIXELS)
    window.SetMultiSamples(4)
    window.AddRenderer(renderer)
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    bounds = np.reshape(renderer.ComputeVisiblePropBounds(), (3, 2))
    centre = bounds.mean(axis=1)
    pictures = []
    for side, up in VIEWS:
        camera.SetFocalPoint(*centre)
        camera.SetPosition(*(centre + np.array(side, float)))
        camera.SetViewUp(*up)
        renderer.ResetCamera()
        camera.SetParallelScale(0.54 * max(np.ptp(bounds, axis=1).max(), 1e-3))
        window.Render()
        grab = vtkWindowToImageFilter()
        grab.SetInput(window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars())
        pictures.append(pixels.reshape(height, width, -1)[::-1, :, :3].copy())
    return np.stack(pictures)


def _surface(mask: NDArray[np.uint8], spacing: NDArray[Any], origin: NDArray[Any]) -> Any:
    """Return an actor that shows a mask's surface, smoothed."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import (
        vtkFlyingEdges3D,
        vtkPolyDataNormals,
        vtkWindowedSincPolyDataFilter,
    )
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    framed = np.pad(mask, 1)  # so that what touches the border is closed
    image = vtkImageData()
    image.SetDimensions(*framed.shape[::-1])
    image.SetSpacing(*map(float, spacing))
    image.SetOrigin(*map(float, origin - spacing))
    image.GetPointData().SetScalars(numpy_to_vtk(framed.ravel()))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 127.5)
    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(edges.GetOutputPort())
    smooth.SetNumberOfIterations(SMOOTHING_ITERATIONS)
    smooth.SetPassBand(PASS_BAND)
    smooth.NormalizeCoordinatesOn()
    normals = vtkPolyDataNormals()
    normals.SetInputConnection(smooth.GetOutputPort())
    normals.SplittingOff()
    mapper = vtkPolyDataMapper()
    mapper.SetInputConnection(normals.GetOutputPort())
    mapper.ScalarVisibilityOff()
    actor = vtkActor()
    actor.SetMapper(mapper)
    return actor


def main() -> None:
    """Draw what the standard input asks for."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever VTK and OpenGL print
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as found:
        pictures = draw({name: found[name] for name in found.files})
    kept = io.BytesIO()
    np.save(kept, pictures)
    with answer:
        answer.write(kept.getvalue())


if __name__ == "__main__":
    main()
