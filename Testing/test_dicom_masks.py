"""DICOM Segmentations and RT Structure Sets are read back as corrected cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

pytest.importorskip("highdicom", reason="it reads what is written")

import highdicom
from dicom_writing import save
from pydicom.uid import generate_uid
from test_dicom_objects import OBLIQUE, ct, labelled, written

from TumorSegLib import cli
from TumorSegLib.errors import InputError
from TumorSegLib.export.contour_gaps import Outlines, slices_between
from TumorSegLib.export.contours import filled, united
from TumorSegLib.export.dicom_masks import read_dicom_segments
from TumorSegLib.reading import read_volume
from TumorSegLib.writing.dicom_content import content_of
from TumorSegLib.writing.dicom_segmentation import segmentation_dataset
from TumorSegLib.writing.dicom_source import find_source

pytestmark = pytest.mark.slow

SQUARE = np.array([(1.5, 0.5), (5.5, 0.5), (5.5, 3.5), (1.5, 3.5)])


def test_contours_are_filled_where_pixel_centres_are_inside():
    mask = filled([SQUARE], (6, 8))
    expected = np.zeros((6, 8), bool)
    expected[1:4, 2:6] = True
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(filled([SQUARE[::-1]], (6, 8)), expected)
    hole = np.array([(2.6, 1.6), (4.4, 1.6), (4.4, 2.4), (2.6, 2.4)])
    expected[2, 3:5] = False
    np.testing.assert_array_equal(filled([SQUARE, hole], (6, 8)), expected)


def boxed(*boxes):
    """Pixels of (first row, last row, first column, last column) of a slice of 12 x 20."""
    mask = np.zeros((12, 20), bool)
    for top, bottom, left, right in boxes:
        mask[top : bottom + 1, left : right + 1] = True
    return mask


def rectangle(top, bottom, left, right):
    low, high = (left - 0.4, top - 0.4), (right + 0.4, bottom + 0.4)
    return np.array([low, (high[0], low[1]), high, (low[0], high[1])])


LEFT, RIGHT = (1, 9, 1, 11), (2, 10, 8, 18)
"""Two boxes that meet."""


def test_contours_that_meet_are_added_up():
    """The part that both enclose was left hollow."""
    drawn = [rectangle(*LEFT), rectangle(*RIGHT)]
    np.testing.assert_array_equal(united(drawn, (12, 20)), boxed(LEFT, RIGHT))
    hole, both = (4, 6, 3, 5), (5, 6, 9, 10)
    expected = boxed(LEFT, RIGHT) & ~boxed(hole)
    np.testing.assert_array_equal(united([rectangle(*hole), *drawn], (12, 20)), expected)
    drawn += [rectangle(*hole), rectangle(*both)]  # the second is a hole of both
    np.testing.assert_array_equal(united(drawn, (12, 20)), expected & ~boxed(both))


def test_contours_within_contours_are_holes_and_islands():
    """However many there are, and drawn twice from other points."""
    boxes = [(k, 11 - k, k, 19 - k) for k in range(6)]
    drawn = [rectangle(*box) for box in boxes]
    expected = np.logical_xor.reduce([boxed(box) for box in boxes])
    np.testing.assert_array_equal(united(drawn, (12, 20)), expected)
    again = [np.roll(polygon, 1, axis=0) for polygon in drawn]
    np.testing.assert_array_equal(united([*drawn[::-1], *again], (12, 20)), expected)


def test_contours_beyond_the_slice_are_cut():
    np.testing.assert_array_equal(
        filled([np.array([(-9, -9), (99, -9), (99, 99), (-9, 99)])], (5, 7)), True
    )


@pytest.mark.parametrize("sides", [3, 7, 64])
def test_polygons_are_filled_as_their_edges_say(sides):
    """Every centre against the sign of its cross product with each edge of a convex polygon."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False) + 0.1
    polygon = np.column_stack([14.3 + 11 * np.cos(angle), 12.7 + 9 * np.sin(angle)])
    y, x = np.mgrid[:26, :30]
    after = np.roll(polygon, -1, axis=0)
    inside = np.ones(y.shape, bool)
    for (x0, y0), (x1, y1) in zip(polygon, after, strict=True):
        inside &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0
    np.testing.assert_array_equal(filled([polygon], (26, 30)), inside)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), OBLIQUE], ids=["axial", "oblique"])
def test_a_segmentation_is_read_back(tmp_path, orientation):
    case = labelled(ct(tmp_path / "ct", orientation=orientation))
    out, _ = written(tmp_path / "ct", case)
    masks = read_dicom_segments(out, case.volume)
    assert [mask.name for mask in masks] == ["Liver", "Liver tumour"]
    assert masks[0].model == f"{case.specification.id} {case.specification.version}"
    for mask, label in zip(masks, case.specification.labels, strict=True):
        box, values = mask.placed(case.volume.grid)
        np.testing.assert_array_equal(values, case.labelmap[box] == label.value)


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
def test_other_kinds_of_segmentation_are_read(tmp_path, kind):
    case = labelled(ct(tmp_path / "ct"))
    source = find_source(tmp_path / "ct", case.volume.grid)
    ours = segmentation_dataset(content_of(case), source)
    if kind == "LABELMAP":
        pixels = case.labelmap
    else:
        pixels = np.stack([(case.labelmap == value) * 0.6 for value in (1, 2)], axis=-1)
        pixels[0, 0, 0] = 0.3
    theirs = highdicom.seg.Segmentation(
        source_images=list(source.datasets),
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=[
            highdicom.seg.SegmentDescription.from_dataset(item) for item in ours.SegmentSequence
        ],
        series_instance_uid=generate_uid(),
        series_number=5,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="another",
        manufacturer_model_name="another",
        software_versions="1",
        device_serial_number="1",
    )
    theirs.save_as(tmp_path / "theirs.dcm")
    masks = read_dicom_segments(tmp_path / "theirs.dcm", case.volume)
    for mask, label in zip(masks, case.specification.labels, strict=True):
        np.testing.assert_array_equal(mask.labelmap == 1, case.labelmap == label.value)


def structure_set(
    path: Path, volume, contours, *, name="Liver tumour", frame=None, kind="CLOSED_PLANAR"
) -> Path:
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Modality = "RTSTRUCT"
    roi, drawn, referred = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    roi.ROINumber = drawn.ReferencedROINumber = 4
    roi.ROIName = name
    drawn.ContourSequence = []
    for points in contours:
        item = pydicom.Dataset()
        item.ContourGeometricType = kind
        item.ContourData = [f"{number:.6g}" for number in np.ravel(points)]
        drawn.ContourSequence.append(item)
    if frame:
        referred.FrameOfReferenceUID = frame
        dataset.ReferencedFrameOfReferenceSequence = [referred]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [roi], [drawn]
    save(dataset, path)
    return path


def in_patient(volume, plane: float, polygon: np.ndarray) -> np.ndarray:
    indices = np.column_stack([polygon, np.full(len(polygon), plane), np.ones(len(polygon))])
    return (indices @ volume.grid.affine.T)[:, :3]


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), OBLIQUE], ids=["axial", "oblique"])
def test_structures_are_read(tmp_path, orientation):
    volume = ct(tmp_path / "ct", orientation=orientation)
    drawn = [in_patient(volume, plane, SQUARE + plane) for plane in (2, 3, 4)]
    (mask,) = read_dicom_segments(structure_set(tmp_path / "s.dcm", volume, drawn), volume)
    assert mask.name == "Liver tumour"
    expected = np.zeros(volume.grid.shape, bool)
    for plane in (2, 3, 4):
        expected[plane, 1 + plane : 4 + plane, 2 + plane : 6 + plane] = True
    np.testing.assert_array_equal(mask.labelmap == 1, expected)


@pytest.mark.parametrize(("kind", "pixels"), [("CLOSED_PLANAR", 22), ("CLOSEDPLANAR_XOR", 20)])
def test_contours_that_meet_are_taken_as_their_kind_says(tmp_path, kind, pixels):
    volume = ct(tmp_path / "ct")
    drawn = [in_patient(volume, 4, SQUARE + shift) for shift in (0, (3, 1))]
    path = structure_set(tmp_path / "s.dcm", volume, drawn, kind=kind)
    (mask,) = read_dicom_segments(path, volume)
    assert mask.labelmap.sum() == pixels


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "OPEN_PLANAR"])
def test_contours_of_other_programs_are_read(tmp_path, kind):
    """In any order, stored twice, around a hole by a keyhole, or open with ends that meet."""
    volume = ct(tmp_path / "ct")
    around = [(1.5, 1.5), (9.5, 1.5), (9.5, 4.5), (6.5, 4.5), (6.5, 3.5), (3.5, 3.5), (3.5, 6.5)]
    back = [(6.5, 6.5), (6.5, 4.5), (9.5, 4.5), (9.5, 9.5), (1.5, 9.5), (1.5, 1.5)]
    ring = np.array([*around, *back])
    drawn = [in_patient(volume, plane, ring) for plane in (4, 2, 3, 4)]
    path = structure_set(tmp_path / "s.dcm", volume, drawn, kind=kind)
    (mask,) = read_dicom_segments(path, volume)
    expected = np.zeros(volume.grid.shape, bool)
    expected[2:5, 2:10, 2:10] = True
    expected[2:5, 4:7, 4:7] = False
    np.testing.assert_array_equal(mask.labelmap == 1, expected)


def test_contours_that_would_lose_voxels_are_refused(tmp_path):
    """A structure without them went into the data set as background."""
    volume = ct(tmp_path / "ct")
    drawn = [in_patient(volume, plane, SQUARE) for plane in (2, 3)]
    path = structure_set(tmp_path / "open.dcm", volume, drawn, kind="OPEN_PLANAR")
    with pytest.raises(InputError, match="contours of Liver tumour are open"):
        read_dicom_segments(path, volume)
    drawn = [in_patient(volume, plane, SQUARE) for plane in (1, 3, 7, 5)]
    with pytest.raises(InputError, match="are 2 slices apart or more"):
        read_dicom_segments(structure_set(tmp_path / "gaps.dcm", volume, drawn), volume)
    drawn = [in_patient(volume, plane, SQUARE) for plane in (1, 3)]
    with pytest.raises(InputError, match=r"are 2 slices apart or more \(as on slices 2 and 4\)"):
        read_dicom_segments(structure_set(tmp_path / "two.dcm", volume, drawn), volume)
    points = structure_set(tmp_path / "points.dcm", volume, drawn[:1], kind="POINT")
    assert read_dicom_segments(points, volume) == ()


def drawn_on(shape, *parts):
    """A structure whose parts are squares on these slices, each beside the others."""
    mask = np.zeros(shape, bool)
    for place, planes in enumerate(parts):
        mask[list(planes), 2:6, 6 * place + 1 : 6 * place + 5] = True
    return mask


@pytest.mark.parametrize(
    ("parts", "apart"),
    [
        ([(3, 4, 8, 10, 12, 14)], (8, 10)),  # most of it on every second slice
        ([(0, 3, 6)], (0, 3)),
        ([(3, 5)], (3, 5)),
        ([range(2, 9), (3, 5)], (3, 5)),  # hidden by the other part's slices
        ([range(12), (1, 3, 5, 6)], (1, 3)),
        ([(2,), (4,), (6,)], (2, 4)),  # a slanting vessel
    ],
)
def test_a_part_on_every_second_slice_is_noticed(parts, apart):
    assert Outlines.of(drawn_on((16, 20, 30), *parts)).apart() == apart


@pytest.mark.parametrize(
    ("parts", "left_out"),
    [
        ([range(3, 9)], []),
        ([(3, 4), (6, 7)], []),  # two lesions, one higher than the other
        ([(1,), (4,), (9,)], []),  # three small ones
        ([(5,)], []),
        ([()], []),
        ([(3, 4, 6, 7)], [(4, 6)]),
        ([(3, 4, 12, 13)], [(4, 12)]),  # two above each other, or one with a gap
        ([range(2, 10), (3, 4, 6, 7)], [(4, 6)]),
        ([(2, 5)], [(2, 5)]),
    ],
)
def test_parts_that_lie_apart_are_no_fault_and_gaps_are_told(parts, left_out):
    outlines = Outlines.of(drawn_on((16, 20, 30), *parts))
    assert outlines.apart() is None
    assert outlines.left_out() == left_out


def test_slices_are_named_from_one_on():
    assert slices_between([(4, 6)]) == "slice 6"
    assert slices_between([(4, 6), (8, 12)]) == "slices 6, 10 to 12"
    assert slices_between([(2 * k, 2 * k + 2) for k in range(9)]) == "slices 2, 4, 6, 8, 10, ..."


def test_a_segmentation_of_slices_that_drift_a_little_is_read_back(tmp_path):
    """The reader takes them for straight, so what refers to them lies on the volume, too."""
    positions = [(10.0 + 0.015 * k, -20.0, 3.0 * k) for k in range(9)]
    case = labelled(ct(tmp_path / "ct", positions=positions))
    assert not case.volume.warnings
    out, _ = written(tmp_path / "ct", case)
    masks = read_dicom_segments(out, case.volume)
    np.testing.assert_array_equal(masks[0].labelmap == 1, case.labelmap == 1)


def test_thin_slices_at_rounded_positions_are_met(tmp_path):
    """To a tenth of a millimetre: up to 0.05 mm off, which is more than a tenth of a slice."""
    positions = [(10.0, -20.0, round(0.45 * k, 1)) for k in range(9)]
    case = labelled(ct(tmp_path / "ct", positions=positions, SliceThickness="0.45"))
    assert not case.volume.warnings
    out, _ = written(tmp_path / "ct", case)
    masks = read_dicom_segments(out, case.volume)
    np.testing.assert_array_equal(masks[0].labelmap == 1, case.labelmap == 1)
    drawn = in_patient(case.volume, 3, SQUARE)
    drawn[:, 2] = positions[3][2]
    (mask,) = read_dicom_segments(
        structure_set(tmp_path / "s.dcm", case.volume, [drawn]), case.volume
    )
    assert np.flatnonzero(mask.labelmap.any(axis=(1, 2))).tolist() == [3]


def test_what_lies_elsewhere_is_refused(tmp_path):
    volume = ct(tmp_path / "ct")
    between = structure_set(tmp_path / "between.dcm", volume, [in_patient(volume, 2.5, SQUARE)])
    with pytest.raises(InputError, match="between or beyond the volume's slices"):
        read_dicom_segments(between, volume)
    other = structure_set(
        tmp_path / "other.dcm", volume, [in_patient(volume, 2, SQUARE)], frame=generate_uid()
    )
    with pytest.raises(InputError, match="another frame of reference"):
        read_dicom_segments(other, volume)
    case = labelled(ct(tmp_path / "second"))
    out, _ = written(tmp_path / "second", case)
    with pytest.raises(InputError, match="another frame of reference"):
        read_dicom_segments(out, volume)
    moved = replace(case.volume.grid, origin=(11.0, -20.0, 5.0))
    with pytest.raises(InputError, match="other pixels than the volume's"):
        read_dicom_segments(out, replace(case.volume, grid=moved, origin=None))


def test_no_segmentation_and_damaged_ones_are_told(tmp_path):
    volume = ct(tmp_path / "ct")
    image = next((tmp_path / "ct").iterdir())
    with pytest.raises(InputError, match=r"modality CT, expected a segmentation"):
        read_dicom_segments(image, volume)
    case = labelled(volume)
    out, _ = written(tmp_path / "ct", case)
    content = out.read_bytes()
    for length in (200, 1000, len(content) - 100):
        cut = tmp_path / "cut.dcm"
        cut.write_bytes(content[:length])
        with pytest.raises(InputError):
            read_dicom_segments(cut, volume)


def test_the_command_exports_both(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))  # where the key of hashes is kept
    case = labelled(ct(tmp_path / "ct"))
    out, _ = written(tmp_path / "ct", case)
    dataset = tmp_path / "Dataset001_Corrected"
    words = ["--dataset", str(dataset), "--model", "liver-ct-unet", "--quiet"]
    images = ["--channel", f"ct={tmp_path / 'ct'}"]
    assert cli.main(["export", str(out), *words, *images]) == 0
    (stored,) = (dataset / "labelsTr").iterdir()
    np.testing.assert_array_equal(read_volume(stored).voxels, case.labelmap)
    drawn = [in_patient(case.volume, 3, SQUARE)]
    contours = structure_set(tmp_path / "s.dcm", case.volume, drawn)
    assert cli.main(["export", str(contours), *words, *images, "--replace"]) == 0
    assert read_volume(stored).voxels.sum() == 2 * 12
    gap = [in_patient(case.volume, plane, SQUARE) for plane in (2, 3, 5, 6)]
    contours = structure_set(tmp_path / "gap.dcm", case.volume, gap)
    words.remove("--quiet")
    assert cli.main(["export", str(contours), *words, *images, "--replace"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "contours of Liver tumour: none on slice 5, but on both sides at the same place" in told
    assert cli.main(["export", str(contours), *words]) == 2
    assert "needs its image" in capsys.readouterr().err
