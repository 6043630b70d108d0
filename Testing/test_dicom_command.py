"""What the worker writes when the panel saves segments as DICOM, read back by others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest

pytest.importorskip("highdicom", reason="it reads what is written")

import highdicom
from dicom_writing import AXIAL
from test_dicom_objects import OBLIQUE, SHAPE, checked, ct
from test_grid import rotation_about

from TumorSegLib.errors import Cancelled, InputError, OutputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.slicer_io.fingerprint import voxels_fingerprint
from TumorSegLib.slicer_io.terminology import DICOM_MASTER_LIST, terminology_of
from TumorSegLib.worker.dicom_command import answer
from TumorSegLib.worker.dicom_protocol import DicomMask, SaveDicom
from TumorSegLib.worker.protocol import from_line, to_line
from TumorSegLib.worker.shared_voxels import SharedMask, SharedVolume

pytestmark = pytest.mark.slow

KIDNEY = (
    f"{DICOM_MASTER_LIST}~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney"
    "~SCT^24028007^Right~Anatomic codes - DICOM master list~^^~^^"
)
MASS = (
    f"{DICOM_MASTER_LIST}~SCT^49755003^Morphologically Abnormal Structure~SCT^4147007^Mass~^^"
    "~Anatomic codes - DICOM master list~SCT^64033007^Kidney~SCT^7771000^Left"
)


class Case:
    """A series, and segments of it that are drawn on its grid under a transform of the scene."""

    def __init__(self, folder, *, orientation=AXIAL, moved=None, **series):
        self.folder = folder
        self.volume = ct(folder / "ct", orientation=orientation, **series)
        self.own = self.volume.grid.affine
        self.world = self.own if moved is None else moved @ self.own
        self.blocks, self.masks, self.events = {}, [], []
        self.outputs = (folder / "seg.dcm", folder / "sr.dcm")

    def add(
        self,
        name,
        mask,
        terminology="",
        *,
        model="tiny 1",
        as_drawn=None,
        corner=(0, 0, 0),
        said=("", ""),
    ):
        block = f"b{len(self.blocks)}"
        self.blocks[block] = mask.astype(np.uint8) * 3
        affine = self.world.copy()
        affine[:3, 3] = (self.world @ [*corner[::-1], 1])[:3]
        drawn = voxels_fingerprint(mask, corner) if as_drawn is None else as_drawn
        shared = SharedMask(
            block, "uint8", mask.shape, f"id{block}", name, 3, tuple(affine.ravel()), model
        )
        self.masks.append(DicomMask(shared, terminology, (200, 10, 30), drawn, said))

    @property
    def command(self):
        grid = self.volume.grid
        direction = tuple(np.ravel(grid.direction))
        shared = SharedVolume(
            "v", "int16", grid.shape, grid.spacing, grid.origin, direction, "CT"
        )  # fmt: skip
        images = tuple(str(path) for path in sorted((self.folder / "ct").iterdir()))
        return SaveDicom(
            1, shared, tuple(self.own.ravel()), tuple(self.masks), images,
            (str(self.outputs[0]), str(self.outputs[1])), "By hand",
        )  # fmt: skip

    def save(self, **changes):
        command = from_line(to_line(replace(self.command, **changes)))
        spacing = np.linalg.norm(self.world[:3, :3], axis=0)
        grid = Grid(
            self.volume.grid.shape,
            tuple(spacing),
            tuple(self.world[:3, 3]),
            tuple(map(tuple, self.world[:3, :3] / spacing)),
        )
        volume = Volume(self.volume.voxels, grid, name="CT")
        return answer(command, volume, lambda name, *_: self.blocks[name], self.events.append)

    def segments(self):
        """Masks of the written segmentation by label, placed by positions alone."""
        dataset = highdicom.seg.segread(self.outputs[0])
        grid = self.volume.grid
        normal = np.array(grid.direction)[:, 2]
        pixels = dataset.pixel_array.reshape(-1, *grid.shape[1:])
        names = [item.SegmentLabel for item in dataset.SegmentSequence]
        masks = {name: np.zeros(grid.shape, bool) for name in names}
        frames = dataset.PerFrameFunctionalGroupsSequence
        for frame, values in zip(frames, pixels, strict=True):
            place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
            plane = round(float((place - grid.origin) @ normal / grid.spacing[2]))
            shared = dataset.SharedFunctionalGroupsSequence[0]  # of a single segment
            said = frame if "SegmentIdentificationSequence" in frame else shared
            number = said.SegmentIdentificationSequence[0].ReferencedSegmentNumber
            masks[names[number - 1]][plane] = values > 0
        return masks


def box(*slices):
    mask = np.zeros(SHAPE, bool)
    mask[slices] = True
    return mask


A = box(slice(2, 6), slice(5, 15), slice(8, 20))
B = box(slice(4, 8), slice(10, 22), slice(15, 33))


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
def test_segments_that_overlap_keep_their_voxels(tmp_path, orientation):
    case = Case(tmp_path, orientation=orientation)
    case.add("A", A, KIDNEY)
    case.add("B", B[4:8, 10:, 15:33], MASS, corner=(4, 10, 15))
    saved = case.save()
    for name, mask in (("A", A), ("B", B)):
        np.testing.assert_array_equal(case.segments()[name], mask)
    written = [pydicom.dcmread(path) for path in case.outputs]
    assert saved.instances == tuple(dataset.SOPInstanceUID for dataset in written)
    assert saved.descriptions == ("By hand", "By hand, measurements")
    assert [dataset.SeriesDescription for dataset in written] == list(saved.descriptions)
    groups = highdicom.sr.srread(case.outputs[1]).content.get_volumetric_roi_measurement_groups()
    volumes = [group.get_measurements()[0].value for group in groups]
    voxel_ml = 0.8 * 0.7 * 3 / 1000
    expected = [np.count_nonzero(mask) * voxel_ml for mask in (A, B, B)]  # B is a lesion, too
    np.testing.assert_allclose(volumes, expected, rtol=1e-5)
    for path in case.outputs:
        assert checked("dciodvfy", path) == []
    assert checked("dcentvfy", *(tmp_path / "ct").iterdir(), *case.outputs) == []


def test_a_segment_says_who_drew_it_and_what_it_is(tmp_path):
    case = Case(tmp_path)
    case.add("as the model drew it", A, KIDNEY)
    case.add("corrected", B, MASS, as_drawn=voxels_fingerprint(A, (0, 0, 0)))
    case.add("by hand", box(0, slice(3), slice(3)), model="", as_drawn="")
    case.save()
    found = pydicom.dcmread(case.outputs[0]).SegmentSequence
    assert [segment.SegmentAlgorithmType for segment in found] == [
        "AUTOMATIC",
        "SEMIAUTOMATIC",
        "MANUAL",
    ]
    algorithm = found[1].SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("tiny", "1")
    kind = found[0].SegmentedPropertyTypeCodeSequence[0]
    modifier = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    assert (kind.CodeMeaning, modifier.CodeMeaning) == ("Kidney", "Right")
    region = found[1].AnatomicRegionSequence[0]
    assert region.AnatomicRegionModifierSequence[0].CodeValue == "7771000"
    assert found[2].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Tissue"
    assert checked("dciodvfy", case.outputs[0]) == []


def test_a_segment_that_was_read_from_dicom_still_says_who_drew_it(tmp_path):
    case = Case(tmp_path)
    read = {"model": "", "as_drawn": ""}
    case.add("read", A, KIDNEY, said=("AUTOMATIC", "Other\\seg"), **read)
    case.add("corrected", B, MASS, said=("SEMIAUTOMATIC", "tiny"), **read)
    hand = box(0, slice(3), slice(3))
    case.add("added to", hand, model="tiny 1", as_drawn="", said=("SEMIAUTOMATIC", "tiny"))
    case.save()
    dataset = pydicom.dcmread(case.outputs[0])
    found = dataset.SegmentSequence
    assert [(one.SegmentAlgorithmType, one.SegmentAlgorithmName) for one in found] == [
        ("AUTOMATIC", "Other seg"),
        ("SEMIAUTOMATIC", "tiny"),
        ("SEMIAUTOMATIC", "tiny"),
    ]
    versions = ["SegmentationAlgorithmIdentificationSequence" in one for one in found]
    assert versions == [False, False, True]  # programs that read a segmentation drop it
    assert dataset.ManufacturerModelName == "tiny"  # what drew here, and nothing else
    for path in case.outputs:
        assert checked("dciodvfy", path) == []


def test_the_report_says_on_which_side_a_finding_is(tmp_path):
    upper = "SCT^261183002^Upper"
    case = Case(tmp_path)
    case.add("an organ is its own site", A, KIDNEY)
    case.add("a lesion of a region", B, MASS)
    case.add("no side", A, MASS.replace("SCT^7771000^Left", upper))
    case.add("neither", A, KIDNEY.replace("SCT^24028007^Right", upper))
    case.save()
    groups = highdicom.sr.srread(case.outputs[1]).content.get_volumetric_roi_measurement_groups()
    sites = [group.finding_sites for group in groups]
    told = [
        [(site.value.meaning, site.laterality and site.laterality.value) for site in of_group]
        for of_group in sites
    ]
    left = [("Kidney", "7771000")]
    assert told == [[("Kidney", "24028007")], left, left, *[[("Kidney", None)]] * 2, []]
    assert sites[3][0].topographical_modifier.value == "261183002"
    assert checked("dciodvfy", case.outputs[1]) == []


def test_lesions_have_groups_in_the_codes_of_older_scenes_too(tmp_path):
    """SNOMED RT was DICOM's until 2019."""
    case = Case(tmp_path)
    older = "~SRT^M-01000^Morphologically Altered Structure~SRT^M-03000^Mass~^^~X~^^~^^"
    case.add("two lesions", A | box(8, slice(2), slice(2)), older)
    case.save()
    groups = highdicom.sr.srread(case.outputs[1]).content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == [
        *("tiny two lesions", "two lesions 1", "two lesions 2")
    ]


@pytest.mark.parametrize(
    "entry",
    [
        "~SCT^49755003^Morph~MY-OWN-LONG-CODING-SCHEME^12345678901234567890^mine~^^~X~^^~^^",
        "~SCT^49755003^Mo\\rph~99L^12\\34^\\~^^~X~^^~^^",
        "~SCT^49755003^形态~99L^1234^肿块~^^~X~^^~^^",
    ],
)
def test_any_terminology_is_written_as_dicom_can_hold_it(tmp_path, entry):
    case = Case(tmp_path)
    case.add("A", A, entry)
    case.save()
    for path in case.outputs:
        assert checked("dciodvfy", path) == []


def test_a_transform_of_the_scene_moves_neither_images_nor_segments(tmp_path):
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = rotation_about(2, 30), (50, -3, 12)
    case = Case(tmp_path, moved=moved)
    case.add("A", A)
    case.save()
    np.testing.assert_array_equal(case.segments()["A"], A)


def test_a_cropped_or_moved_volume_is_refused(tmp_path):
    case = Case(tmp_path)
    case.add("A", A)
    moved = case.own.copy()
    moved[2, 3] += 1.4
    with pytest.raises(OutputError, match="^CT: 9 of 9 planes were resampled .* or moved after"):
        case.save(affine=tuple(moved.ravel()))
    cropped = Case(tmp_path / "cropped")
    cropped.volume = replace(
        cropped.volume,
        voxels=cropped.volume.voxels[:, 2:, :],
        grid=replace(cropped.volume.grid, shape=(SHAPE[0], SHAPE[1] - 2, SHAPE[2])),
    )
    cropped.add("A", A[:, 2:, :])
    with pytest.raises(OutputError, match="planes of 40 x 28 pixels, its images 40 x 30: it was"):
        cropped.save()
    assert not any(path.exists() for path in (*case.outputs, *cropped.outputs))


def test_slices_that_were_cut_off_are_not_referred_to(tmp_path):
    """Cropped from slice to slice, the planes are still those of images."""
    case = Case(tmp_path)
    first = 3
    case.own = case.world = case.own.copy()
    case.own[:3, 3] = (case.own @ [0, 0, first, 1])[:3]
    case.volume = replace(
        case.volume,
        voxels=case.volume.voxels[first:],
        grid=replace(
            case.volume.grid,
            shape=(SHAPE[0] - first, *SHAPE[1:]),
            origin=tuple(case.own[:3, 3]),
        ),
    )
    case.add("B", B[first:])
    case.save()
    np.testing.assert_array_equal(case.segments()["B"], B[first:])
    dataset = pydicom.dcmread(case.outputs[0])
    assert len(dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 6


def test_what_cannot_be_saved_is_told(tmp_path):
    case = Case(tmp_path)
    case.add("A", np.zeros(SHAPE, bool))
    with pytest.raises(OutputError, match="^no segment has a voxel"):
        case.save()
    case.masks[:] = []
    case.add("A", A)
    with pytest.raises(OutputError, match=r"gone\.dcm: is not there any more, expected an image"):
        case.save(images=(*case.command.images, str(tmp_path / "gone.dcm")))
    case.outputs[1].write_bytes(b"somebody's")
    with pytest.raises(OutputError, match=r"sr\.dcm: is there already; choose another folder"):
        case.save()
    assert not case.outputs[0].exists()
    assert case.outputs[1].read_bytes() == b"somebody's"
    finer = Case(tmp_path / "finer")
    finer.world = finer.own @ np.diag([0.5, 0.5, 1, 1])
    finer.add("A", A)
    finer.world = finer.own
    with pytest.raises(InputError, match="segment A: lies on another grid than the volume"):
        finer.save()


@pytest.mark.parametrize("stage", ["images", "segmentation", "report"])
def test_whoever_stops_it_gets_nothing(tmp_path, stage):
    case = Case(tmp_path)
    case.add("A", A, MASS)

    def tell(event):
        if event.stage == stage:
            raise Cancelled

    case.events = type("Events", (), {"append": staticmethod(tell)})
    with pytest.raises(Cancelled):
        case.save()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct"]


def test_it_tells_how_far_it_is(tmp_path):
    case = Case(tmp_path)
    case.add("A", A)
    case.add("B", B)
    case.save()
    told = [(event.stage, event.done, event.total) for event in case.events]
    assert told == [
        *(("images", done, SHAPE[0]) for done in range(SHAPE[0])),
        ("segmentation", 0, 1),
        ("report", 0, 2),
        ("report", 1, 2),
    ]


@pytest.mark.parametrize("entry", ["", "~~~", "a~b^c~d", KIDNEY.replace("SCT^64033007^", "^^")])
def test_terms_that_are_none_are_tissue(entry):
    codes = terminology_of(entry)
    assert (codes.category.meaning, codes.type.meaning, codes.region) == ("Tissue", "Tissue", None)
