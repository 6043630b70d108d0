"""Figures beside those of the filters behind Slicer's Segment Statistics."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from measured_shapes import digitised, ellipsoid, grid_around, oblique, torus
from scipy import ndimage

from TumorSegLib.measurement.component import components_of_runs, runs_of
from TumorSegLib.measurement.quantities import QUANTITIES
from TumorSegLib.measurement.segment import measure_segment


def blobs(grid, seed):
    """Lesions of uneven outline, some with holes and dents."""
    noise = np.random.default_rng(seed).normal(size=grid.shape)
    return ndimage.gaussian_filter(noise, (1.2, 2.5, 2.5)) > 0.045


def statistics_of(mask, grid):
    """ITK's statistics of the components, as Slicer's "Label Map" plugin asks for them."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(np.ravel(grid.direction).tolist())
    filter_ = sitk.LabelShapeStatisticsImageFilter()
    filter_.ComputeFeretDiameterOn()
    filter_.ComputePerimeterOn()
    filter_.Execute(sitk.ConnectedComponent(image, True))
    return filter_


@pytest.mark.parametrize("spacing", [(1.3, 1.3, 1.3), (0.8, 0.8, 3.0)])
def test_components_are_those_of_itk(spacing):
    grid = grid_around(22, spacing, oblique(9, -6, 14), (-4.0, 5.0, 60.0))
    mask = blobs(grid, 3)
    found = measure_segment(mask, grid).parts
    itk = statistics_of(mask, grid)
    assert len(found) == itk.GetNumberOfLabels() > 10
    by_place = {tuple(np.round(itk.GetCentroid(label), 4)): label for label in itk.GetLabels()}
    for part in found:
        label = by_place[tuple(np.round(part.centroid_mm, 4))]
        assert part.voxels == itk.GetNumberOfPixels(label)
        assert part.volume_ml * 1000 == pytest.approx(itk.GetPhysicalSize(label))
        x, y, z, *size = itk.GetBoundingBox(label)
        assert part.box == tuple(
            (first, first + count) for first, count in zip((z, y, x), size[::-1], strict=True)
        )
        # ITK measures between the centres of voxels, we between outlines
        feret = itk.GetFeretDiameter(label)
        assert feret < part.longest_diameter_mm <= feret + max(spacing) + 1e-9
        if len(set(spacing)) == 1:
            assert part.surface_mm2 == pytest.approx(itk.GetPerimeter(label), rel=1e-6)


def test_mean_and_deviation_are_those_of_vtk():
    vtk = pytest.importorskip("vtk")
    from vtk.util.numpy_support import numpy_to_vtk

    grid = grid_around(15, (1.0, 1.0, 2.0))
    mask = digitised(ellipsoid((9.0, 7.0, 8.0)), grid)
    voxels = np.random.default_rng(1).normal(3000, 4, grid.shape).astype(np.float32)

    def image(array):
        data = vtk.vtkImageData()
        data.SetDimensions(*grid.shape[::-1])
        data.GetPointData().SetScalars(numpy_to_vtk(np.ravel(array), deep=True))
        return data

    stencil = vtk.vtkImageToImageStencil()
    stencil.SetInputData(image(mask.astype(np.uint8)))
    stencil.ThresholdByUpper(1)
    stencil.Update()
    accumulate = vtk.vtkImageAccumulate()
    accumulate.SetInputData(image(voxels))
    accumulate.SetStencilData(stencil.GetOutput())
    accumulate.Update()
    measurement = measure_segment(mask, grid, voxels=voxels)
    for found in (measurement, measurement.parts[0]):
        assert found.voxels == accumulate.GetVoxelCount()
        assert found.mean == pytest.approx(accumulate.GetMean()[0])
        assert found.standard_deviation == pytest.approx(
            accumulate.GetStandardDeviation()[0], rel=1e-3
        )


def test_a_ring_has_one_component_and_its_hole_is_surface():
    grid = grid_around(21, (1.0, 1.0, 1.0))
    mask = digitised(torus(15.0, 5.0), grid)
    (part,) = components_of_runs(runs_of(mask), grid, None, None)
    assert part.surface_mm2 == pytest.approx(statistics_of(mask, grid).GetPerimeter(1), rel=1e-6)
    assert part.mean is None
    assert part.certainty is None


def test_names_units_and_codes():
    """What Slicer's Segment Statistics and DICOM's context groups call them."""
    codes = {key: (quantity.code, quantity.unit_code) for key, quantity in QUANTITIES.items()}
    volume, millilitre = codes["volume_ml"]
    assert (volume.scheme, volume.value, volume.meaning) == ("SCT", "118565006", "Volume")
    assert (millilitre.scheme, millilitre.value) == ("UCUM", "cm3")
    assert codes["surface_mm2"][1].value == "mm2"
    pytest.importorskip("pydicom", "3", reason="dir() of a scheme fails in pydicom 2")
    codedict = pytest.importorskip("pydicom.sr.codedict").codes
    for code, unit in codes.values():
        for concept in (code, unit):
            if concept is None or concept.scheme.startswith("99"):
                continue
            known = getattr(codedict, concept.scheme)
            values = {getattr(known, name).value for name in known.dir()}
            assert concept.value in values, concept
