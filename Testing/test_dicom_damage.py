"""Slices that are damaged, cut short or there by name only are named, never passed over."""

from __future__ import annotations

import os
import re
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="the tests write their DICOM files with pydicom")

import pydicom
from dicom_writing import save, write_frames, write_slices
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless
from test_dicom_series import even, refusal

from TumorSegLib.reading import read_volume
from TumorSegLib.reading.dicom_header import read_whole
from TumorSegLib.reading.dicom_structure import DamagedError

pytestmark = pytest.mark.slow

SLICES = np.random.default_rng(0).integers(-1000, 1000, (9, 24, 20)).astype(np.int16)


@pytest.fixture
def paths(tmp_path):
    return write_slices(tmp_path / "series", SLICES, even(9), names=[f"IM{n}" for n in range(9)])


@pytest.mark.parametrize("places", [(0,), (8,), (4,), (0, 8), (1, 3, 5, 7)])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (bytes(100), "begins with zeros"),
        (bytes(1400), "begins with zeros"),
        (b"/annex/objects/MD5E-s1234--0123.dcm\n", "holds no DICOM"),
        (b"<html>404</html>", "holds no DICOM"),
    ],
)
def test_files_in_the_place_of_slices_are_named(paths, places, content, reason):
    for place in places:
        paths[place].write_bytes(content)
    message = refusal(paths[0].parent)
    assert f"{paths[places[0]].name}: is named like a slice but {reason}" in message


@pytest.mark.parametrize("places", [(0,), (8,), (1, 3, 5, 7)])
def test_links_to_nothing_are_named(paths, places):
    for place in places:
        paths[place].unlink()
        paths[place].symlink_to("../.git/annex/objects/none")
    name = paths[places[0]].name
    assert f"{name}: a link to a file that is not there; fetch it" in refusal(paths[0].parent)


def test_links_to_slices_are_followed(paths, tmp_path):
    paths[3].rename(tmp_path / "content")
    paths[3].symlink_to(tmp_path / "content")
    np.testing.assert_array_equal(read_volume(paths[0].parent).voxels, SLICES)


@pytest.mark.parametrize("place", [0, 4, 8])
@pytest.mark.parametrize("kept", [1, 120, 132, 140, 180, 300, 500, 700, -2])
def test_cut_slices_are_named(paths, place, kept):
    content = paths[place].read_bytes()
    paths[place].write_bytes(content[:kept])
    assert f"{paths[place].name}: " in refusal(paths[0].parent)


@pytest.mark.parametrize("place", [0, 8])
@pytest.mark.parametrize("start", [0, 128, 400])
def test_zeroed_headers_are_named(paths, place, start):
    content = bytearray(paths[place].read_bytes())
    content[start : start + 600] = bytes(600)
    paths[place].write_bytes(content)
    assert f"{paths[place].name}: " in refusal(paths[0].parent)


@pytest.mark.parametrize("name", ["slice.dcm", "SLICE.IMA"])
def test_endings_of_dicom_promise_it(paths, name):
    (paths[0].parent / name).write_bytes(b"")
    assert f"{name}: is named like a slice but is empty" in refusal(paths[0].parent)


def test_what_systems_leave_behind_is_passed_over(paths):
    for name in (".DS_Store", "._IM0", "Thumbs.db", "desktop.ini", ".nfs0001"):
        (paths[0].parent / name).write_bytes(bytes(6000))
    (paths[0].parent / "notes.txt").write_text("good")
    (paths[0].parent / ".hidden").symlink_to("nothing")
    volume = read_volume(paths[0].parent)
    np.testing.assert_array_equal(volume.voxels, SLICES)
    assert volume.warnings == ()


@pytest.mark.parametrize("left", [0, 1, 479, 958])
@pytest.mark.parametrize("place", [0, 8])
def test_fewer_pixels_than_rows_and_columns_are_refused(paths, place, left):
    header = pydicom.dcmread(paths[place])
    header.PixelData = header.PixelData[: left + left % 2]
    header.save_as(paths[place])
    message = refusal(paths[0].parent)
    assert f"{paths[place].name}: its pixels are damaged or truncated" in message
    assert "its header says 960" in message


def test_fewer_frames_than_said_are_refused(tmp_path):
    write_frames(tmp_path / "a.dcm", SLICES, even(9))
    header = pydicom.dcmread(tmp_path / "a.dcm")
    header.PixelData = header.PixelData[:-960]
    header.save_as(tmp_path / "a.dcm")
    assert "its header says 8640" in refusal(tmp_path)


@pytest.mark.parametrize("rows", [0, 23, 25, 60000])
def test_a_header_of_another_size_is_refused(paths, rows):
    header = pydicom.dcmread(paths[2])
    header.Rows = rows
    header.save_as(paths[2])
    refusal(paths[0].parent)


@pytest.mark.parametrize("frames", ["0", "-1", "2", "999999999", "1,5", "nan", "9" * 20])
def test_numbers_of_frames_that_cannot_be_are_refused(paths, frames):
    patch(paths[2], 0x00280008, frames.encode())
    refusal(paths[0].parent)


def patch(path: Path, tag: int, value: bytes, vr: bytes = b"IS") -> None:
    """Put an element before the pixels, its value as it is, after the checks of pydicom."""
    content = path.read_bytes()
    value += b" " * (len(value) % 2)
    element = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value
    old = re.escape(struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr))
    if found := re.search(old + b"(..)", content, re.DOTALL):
        end = found.end() + int.from_bytes(found[1], "little")
        content = content[: found.start()] + element + content[end:]
    else:
        place = content.index(struct.pack("<HH", 0x0028, 0x0010))
        content = content[:place] + element + content[place:]
    path.write_bytes(content)


@pytest.mark.parametrize("place", [0, 4, 8])
@pytest.mark.parametrize("tag", [0x00281052, 0x00281053])
@pytest.mark.parametrize("text", ["1,5", "nan", "-inf", "one", "1\\2", "1 5", "0x1", "1e999"])
def test_garbled_rescaling_is_refused(paths, tag, text, place):
    patch(paths[place], tag, text.encode(), b"DS")
    message = refusal(paths[0].parent)
    assert f"{paths[place].name}: found Rescale" in message
    assert repr(text) in message


@pytest.mark.parametrize("text", ["0", "0.0", "-0", "1e-999"])
def test_a_slope_of_nothing_is_refused(paths, text):
    patch(paths[4], 0x00281053, text.encode(), b"DS")
    assert "found RescaleSlope" in refusal(paths[0].parent)


def one_frame_a_file(folder, modality="CT"):
    """Enhanced files with one frame each."""
    folder.mkdir(exist_ok=True)
    for index, (pixels, position) in enumerate(zip(SLICES, even(9), strict=True)):
        write_frames(folder / f"I{index}.dcm", pixels[None], [position])
        header = pydicom.dcmread(folder / f"I{index}.dcm")
        header.Modality = modality
        header.save_as(folder / f"I{index}.dcm")


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_enhanced_files_of_one_frame_are_a_volume(tmp_path, modality):
    one_frame_a_file(tmp_path, modality)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, SLICES - 1024)
    assert volume.grid.spacing == pytest.approx((0.7, 0.8, 2))
    assert volume.grid.origin == (-10, -20, 30)
    assert volume.modality == modality


def in_group(group, item, keyword, raw):
    """Change an attribute of functional groups to what pydicom would not write."""

    def change(header):
        groups = header.SharedFunctionalGroupsSequence[0]
        if item == "frame":
            groups = header.PerFrameFunctionalGroupsSequence[0]
        element = groups[group].value[0].data_element(keyword)
        element.VR, element._value = "UN", raw

    return change


@pytest.mark.parametrize(
    "change",
    [
        in_group("PlanePositionSequence", "frame", "ImagePositionPatient", b"1\\2"),
        in_group("PlanePositionSequence", "frame", "ImagePositionPatient", b"a\\b\\c "),
        in_group("PlanePositionSequence", "frame", "ImagePositionPatient", b"nan\\1\\2 "),
        in_group("PlaneOrientationSequence", "shared", "ImageOrientationPatient", b"1\\0\\0 "),
        in_group("PlaneOrientationSequence", "shared", "ImageOrientationPatient", b"\xff\xfe"),
        in_group("PixelMeasuresSequence", "shared", "PixelSpacing", b"0.8"),
        in_group("PixelMeasuresSequence", "shared", "PixelSpacing", b"0,8\\0,7 "),
        in_group("PixelMeasuresSequence", "shared", "SliceThickness", b"thick "),
        in_group("PixelValueTransformationSequence", "shared", "RescaleSlope", b"1,5 "),
        in_group("PixelValueTransformationSequence", "shared", "RescaleSlope", b"0 "),
        in_group("PixelValueTransformationSequence", "shared", "RescaleIntercept", b"nan "),
        lambda header: header.pop("SharedFunctionalGroupsSequence"),
        lambda header: header.PerFrameFunctionalGroupsSequence.pop(),
        lambda header: setattr(header, "PerFrameFunctionalGroupsSequence", []),
        lambda header: header.PerFrameFunctionalGroupsSequence[1].clear(),
    ],
)
def test_garbled_functional_groups_are_refused(tmp_path, change):
    write_frames(tmp_path / "a.dcm", SLICES, even(9))
    header = pydicom.dcmread(tmp_path / "a.dcm")
    change(header)
    header.save_as(tmp_path / "a.dcm")
    refusal(tmp_path)


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFE, 5000, 0xFFFFFFFF])
@pytest.mark.parametrize("vr", [b"OB", b"SQ", b"UN", b"UT"])
def test_lengths_beyond_the_file_are_refused_before_memory_is_taken(paths, vr, length):
    content = paths[3].read_bytes()
    place = content.index(struct.pack("<HH", 0x0028, 0x0010))
    element = struct.pack("<HH2sHI", 0x0021, 0x1001, vr, 0, length)
    paths[3].write_bytes(content[:place] + element + content[place:])
    assert f"{paths[3].name}: a DICOM slice that cannot be read" in refusal(paths[0].parent)


@pytest.mark.parametrize("change", [(b"\x02\0\x10\0UI", b"\x02\0\x10\0EI"), (b"CS", b"XX")])
def test_representations_that_are_none_are_refused(paths, change):
    paths[3].write_bytes(paths[3].read_bytes().replace(*change, 1))
    assert f"{paths[3].name}: a DICOM slice that cannot be read" in refusal(paths[0].parent)


def test_sequences_without_end_are_refused(paths):
    content = paths[3].read_bytes()
    place = content.index(struct.pack("<HH", 0x0028, 0x0010))
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    nested = struct.pack("<HH2sHI", 0x0021, 0x1001, b"SQ", 0, 0xFFFFFFFF) + item
    for depth in (1, 40, 4000):
        paths[3].write_bytes(content[:place] + nested * depth + content[place:])
        assert f"{paths[3].name}: a DICOM slice that cannot be read" in refusal(paths[0].parent)


def nested(depth):
    """A private sequence in a sequence and so on, each of a length that fits."""
    headers, length = [], 0
    for _ in range(depth):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, length)
        length += 8
        headers.append(struct.pack("<HH2sHI", 0x0021, 0x1001, b"SQ", 0, length) + item)
        length += 12
    return b"".join(reversed(headers))


@pytest.mark.parametrize("depth", [3, 33, 60000])
def test_deep_sequences_do_not_reach_the_decoder(paths, depth):
    """GDCM, which decodes compressed pixels, ends the process by its stack's overflow."""
    compress(paths[3])
    content = paths[3].read_bytes()
    place = content.index(struct.pack("<HH", 0x0028, 0x0010))
    paths[3].write_bytes(content[:place] + nested(depth) + content[place:])
    np.testing.assert_array_equal(read_volume(paths[0].parent).voxels, SLICES)


def test_pixels_that_are_compressed_by_name_only_are_refused(paths):
    content = paths[3].read_bytes()
    paths[3].write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", 1))
    assert f"{paths[3].name}: its pixels are damaged" in refusal(paths[0].parent)


@pytest.mark.parametrize(
    "behind",
    [
        struct.pack("<HH2sH", 0x0028, 0x1052, b"DS", 6) + b"-1024 ",
        struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 960) + bytes(960),
        struct.pack("<HH2sHI", 0x7FE1, 0x1001, b"OB", 0, 0x7FFFFFFE),
        struct.pack("<HH2sH", 0xFFFC, 0xFFFC, b"XX", 0),
        b"\1\2\3",
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_what_belongs_before_the_pixels_is_not_passed_over_behind_them(paths, compressed, behind):
    if compressed:
        compress(paths[3])
    paths[3].write_bytes(paths[3].read_bytes() + behind)
    assert f"{paths[3].name}: a DICOM slice that cannot be read" in refusal(paths[0].parent)


@pytest.mark.parametrize(
    "behind",
    [
        struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 4) + b"abcd",
        struct.pack("<HH2sH", 0x7FE1, 0x0010, b"LO", 4) + b"ours",
        bytes(3),
        bytes(8),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_what_belongs_behind_the_pixels_is_passed_over(paths, compressed, behind):
    if compressed:
        compress(paths[3])
    paths[3].write_bytes(paths[3].read_bytes() + behind)
    np.testing.assert_array_equal(read_volume(paths[0].parent).voxels, SLICES)


def compress(path):
    header = pydicom.dcmread(path)
    header.compress(RLELossless, encoding_plugin="pydicom")
    header.save_as(path)


@pytest.mark.parametrize("segments", [0, 1, 3, 16, 2**32 - 1])
def test_run_lengths_in_another_number_of_segments_are_refused(paths, segments):
    """GDCM divides by it, and so ends the process at 0."""
    compress(paths[3])
    content = paths[3].read_bytes()
    head = struct.pack("<II", 2, 64)
    assert content.count(head) == 1
    paths[3].write_bytes(content.replace(head, struct.pack("<II", segments, 64)))
    assert "segments of run lengths, expected 2" in refusal(paths[0].parent)


@pytest.mark.parametrize("keyword", ["Rows", "Columns"])
def test_slices_without_pixels_are_refused(paths, keyword):
    for path in paths:
        header = pydicom.dcmread(path)
        setattr(header, keyword, 0)
        header.save_as(path)
    assert "pixels, expected 1 to" in refusal(paths[0].parent)


def test_numbers_beyond_any_float_are_as_good_as_none(paths):
    for path in paths:
        patch(path, 0x00180081, b"9" * 400)  # EchoTime, as a whole number
    np.testing.assert_array_equal(read_volume(paths[0].parent).voxels, SLICES)


def test_messages_do_not_grow_with_what_a_file_says(paths):
    patch(paths[3], 0x00280004, b"X" * 60000, b"CS")
    assert len(refusal(paths[0].parent)) < 1000


JPEG = b"\xff\xd8\xff\xc3\x00\x0b\x10\xea\x60\x4e\x20\x01\x01\x11\x00\xff\xd9\x00"
JPEG_2000 = b"\xff\x4f\xff\x51\x00\x29\x00\x00" + struct.pack(">4I", 20000, 60000, 0, 0) + bytes(40)
JPEG_SYNTAX, JPEG_2000_SYNTAX, RLE_SYNTAX = (
    f"1.2.840.10008.1.2.{end}" for end in ("4.70", "4.90", "5")
)


@pytest.mark.parametrize(
    ("content", "syntax"),
    [(JPEG, JPEG_SYNTAX), (JPEG_2000, JPEG_2000_SYNTAX), (bytes(66), RLE_SYNTAX)],
)
def test_compressed_pictures_of_another_size_are_refused(paths, content, syntax):
    header = pydicom.dcmread(paths[5])
    header.file_meta.TransferSyntaxUID = syntax
    header.PixelData = encapsulate([content])
    header["PixelData"].VR = "OB"
    header["PixelData"].is_undefined_length = True
    if syntax == RLE_SYNTAX:
        header.Rows = header.Columns = 20000
    header.save_as(paths[5])
    assert f"{paths[5].name}: its pixels are damaged or truncated" in refusal(paths[0].parent)


def test_zeros_behind_the_data_set_are_no_damage(paths):
    for path in paths[:3]:
        path.write_bytes(path.read_bytes() + bytes(8))
    np.testing.assert_array_equal(read_volume(paths[0].parent).voxels, SLICES)


@pytest.mark.parametrize(
    ("syntax", "implicit", "little"),
    [
        ("1.2.840.10008.1.2", True, True),
        ("1.2.840.10008.1.2.2", False, False),
        ("1.2.840.10008.1.2.1.99", False, True),
    ],
)
def test_other_encodings_are_read(paths, syntax, implicit, little):
    for path in paths:
        read = pydicom.dcmread(path)
        header = pydicom.Dataset(read)
        header.file_meta = read.file_meta
        header.AnatomicRegionSequence = [pydicom.Dataset()]
        header.AnatomicRegionSequence[0].CodeValue = "1"
        header.file_meta.TransferSyntaxUID = syntax
        if not little:
            header.PixelData = np.frombuffer(header.PixelData, "<i2").astype(">i2").tobytes()
        save(header, path, implicit=implicit, little=little)
    np.testing.assert_array_equal(read_volume(paths[0].parent).voxels, SLICES)


def test_a_little_that_inflates_to_a_lot_is_refused_before_it_does(paths, monkeypatch):
    """1.9 GB of zeros took 1.9 MB, and 3.8 GB of memory to look at the header."""
    most = 1 << 20
    monkeypatch.setattr("TumorSegLib.reading.dicom_header.ALWAYS_INFLATED", most)
    header = pydicom.dcmread(paths[4])
    header.private_block(0x5001, "NOBODY", create=True).add_new(0, "OB", bytes(50 * most))
    header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    save(header, paths[4], implicit=False, little=True)
    del header
    tracemalloc.start()
    try:
        assert f"{paths[4].name}: " in refusal(paths[0].parent)
        with pytest.raises(DamagedError):
            read_whole(paths[4])
        assert tracemalloc.get_traced_memory()[1] < 10 * most
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("begin", [132, "group 8"])
def test_files_without_preamble_are_read(paths, begin):
    for path in paths:
        content = path.read_bytes()
        at = begin if begin == 132 else content.index(b"\x08\0\x05\0CS")
        path.write_bytes(content[at:])
    np.testing.assert_array_equal(read_volume(paths[0].parent).voxels, SLICES)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_pipes_in_a_folder_are_passed_over(paths):
    os.mkfifo(paths[0].parent / "pipe")
    np.testing.assert_array_equal(read_volume(paths[0].parent).voxels, SLICES)


ROWS_TWICE = struct.pack("<HH2sHH", 0x0028, 0x0010, b"US", 2, 24)
META_TWICE = struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", 20) + b"1.2.840.10008.1.2.1\0"


@pytest.mark.parametrize("element", [ROWS_TWICE, META_TWICE])
@pytest.mark.parametrize("place", [(0x28, 0x10), (0x28, 0x1052), (0x7FE0, 0x10)])
def test_elements_that_are_there_twice_or_out_of_place_are_refused(paths, element, place):
    """GDCM takes the first of two, others the last, and the lengths of one were compared."""
    content = paths[3].read_bytes()
    at = content.index(struct.pack("<HH", *place))
    paths[3].write_bytes(content[:at] + element + content[at:])
    assert f"{paths[3].name}: a DICOM slice that cannot be read" in refusal(paths[0].parent)


BEHIND = {
    "an element of the header": struct.pack("<HH2sH", 0x0028, 0x1055, b"LO", 4) + b"text",
    "pixels again": struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 4) + b"text",
    "no element": b"further pixels, which are not zeros",
    "less than an element": b"more",
    "more than there is": struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 80) + bytes(8),
}


@pytest.mark.parametrize("rest", BEHIND.values(), ids=BEHIND)
@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_no_element_behind_the_pixels_is_refused(paths, rest, compressed):
    """Bytes were put in between, or the length of the pixels is wrong."""
    if compressed:
        header = pydicom.dcmread(paths[3])
        header.compress(RLE_SYNTAX)
        header.save_as(paths[3])
    paths[3].write_bytes(paths[3].read_bytes() + rest)
    assert f"{paths[3].name}: a DICOM slice that cannot be read" in refusal(paths[0].parent)


def test_padding_behind_the_pixels_is_no_damage(paths):
    padding = struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 8) + bytes(8)
    paths[3].write_bytes(paths[3].read_bytes() + padding)
    np.testing.assert_array_equal(read_volume(paths[0].parent).voxels, SLICES)


def rescaled_frames(path, kind, slope, intercept, *, compressed):
    """Write an enhanced file of this SOP class whose functional groups rescale."""
    write_frames(path, SLICES, even(9))
    header = pydicom.dcmread(path)
    header.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{kind}"
    (values,) = header.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    for keyword, number in (("RescaleSlope", slope), ("RescaleIntercept", intercept)):
        setattr(values, keyword, number)
        if number is None:
            delattr(values, keyword)
    if compressed:
        header.compress(RLE_SYNTAX)
    header.save_as(path)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["2.1", "4.4", "2", "7.3", "2.1.1", "99"])
@pytest.mark.parametrize(("slope", "intercept"), [(2, None), (None, -1000), (2, -1000)])
def test_frames_are_rescaled_by_what_their_functional_groups_say(
    tmp_path, kind, slope, intercept, compressed
):
    """GDCM does so for SOP classes that it knows only, and with both numbers only."""
    rescaled_frames(tmp_path / "a.dcm", kind, slope, intercept, compressed=compressed)
    expected = SLICES.astype(int) * (slope or 1) + (intercept or 0)
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, expected)


def test_a_thickness_of_several_numbers_tells_nothing(tmp_path):
    write_frames(tmp_path / "a.dcm", SLICES, even(9))
    header = pydicom.dcmread(tmp_path / "a.dcm")
    measures = header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SliceThickness = [2, 3]
    header.save_as(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, SLICES - 1024)


def test_a_text_that_says_to_be_a_sequence_is_missing(tmp_path):
    """What stands in its item need not be anything that pydicom can show."""
    write_frames(tmp_path / "a.dcm", SLICES, even(9))
    content = (tmp_path / "a.dcm").read_bytes()
    garbled = struct.pack("<HH2sH", 0x505C, 0x4952, b"MA", 4) + b"oops"
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(garbled)) + garbled
    sequence = struct.pack("<HH2sHI", 0x0008, 0x0008, b"SQ", 0, len(item)) + item
    old = re.search(rb"\x08\0\x08\0CS(..)", content, re.DOTALL)
    end = old.end() + int.from_bytes(old[1], "little")
    (tmp_path / "a.dcm").write_bytes(content[: old.start()] + sequence + content[end:])
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, SLICES - 1024)
