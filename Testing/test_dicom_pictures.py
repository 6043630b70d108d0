"""Compressed pictures that are cut, of other sizes or larger than they can be are never decoded."""

from __future__ import annotations

import io
import os
import resource
import signal
import struct

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="the tests write their DICOM files with pydicom")

import pydicom
from fuzz import dicom_targets
from fuzz.dicom_targets import GRADIENT, JPEG, JPEG_2000, JPEG_LOSSLESS, LOSSLESS, packed, picture
from pydicom.encaps import encapsulate
from test_dicom_series import refusal

from TumorSegLib.errors import InputError
from TumorSegLib.reading import gdcm, read_volume
from TumorSegLib.reading.dicom_files import list_dicom

pytestmark = pytest.mark.slow

SMALL = GRADIENT.astype(np.uint8)
PICTURES = {
    "lossless JPEG": ("uint16", JPEG_LOSSLESS, LOSSLESS),
    "JPEG": ("uint8", JPEG, picture(SMALL, "JPEG", quality=95)),
    "JPEG 2000": ("uint16", JPEG_2000, picture(GRADIENT, "JPEG2000", no_jp2=True)),
    "tiles": ("uint8", JPEG_2000, picture(SMALL, "JPEG2000", no_jp2=True, tile_size=(16, 16))),
}


def written(folder, kind, content=None, change=lambda header: None):
    dtype, syntax, whole = PICTURES[kind]
    for name, file in packed(dtype, syntax, whole if content is None else content).items():
        header = pydicom.dcmread(io.BytesIO(file))
        change(header)
        header.save_as(folder / name)
    return folder


@pytest.mark.parametrize("kind", PICTURES)
def test_whole_pictures_are_read(tmp_path, kind):
    voxels = read_volume(written(tmp_path, kind)).voxels
    assert voxels.shape == (3, *GRADIENT.shape)
    apart = np.abs(voxels + 1024 - GRADIENT.astype(int)).max()
    assert apart <= (4 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("filling", [b"\0", b"\0\0", b"\xff"])
def test_filling_behind_a_picture_is_no_damage(tmp_path, kind, filling):
    read_volume(written(tmp_path, kind, PICTURES[kind][2] + filling))


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("part", [0.5, 0.7, 0.9, 0.98])
def test_cut_pictures_are_refused(tmp_path, kind, part):
    whole = PICTURES[kind][2]
    message = refusal(written(tmp_path, kind, whole[: int(part * len(whole))]))
    assert "000.dcm: its pixels are damaged or truncated" in message


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("part", [0.7, 0.9])
def test_pictures_whose_end_is_zeros_are_refused(tmp_path, kind, part):
    whole = PICTURES[kind][2]
    kept = int(part * len(whole))
    message = refusal(written(tmp_path, kind, whole[:kept] + bytes(len(whole) - kept)))
    assert "000.dcm: its pixels are damaged or truncated" in message


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize(("rows", "columns"), [(25, 20), (24, 19), (20, 24), (0, 20), (60000, 9)])
def test_a_header_of_another_size_is_refused(tmp_path, kind, rows, columns):
    def change(header):
        header.Rows, header.Columns = rows, columns

    refusal(written(tmp_path, kind, change=change))


def larger(content: bytes, rows: int, columns: int) -> bytes:
    """A JPEG 2000 codestream that says to be one tile of this size."""
    assert content[4:6] == b"\x00\x29"
    sizes = struct.pack(">8I", columns, rows, 0, 0, columns, rows, 0, 0)
    return content[:8] + sizes + content[40:]


@pytest.mark.parametrize(("rows", "columns"), [(30000, 30000), (65535, 4096), (10000, 10000)])
def test_pictures_larger_than_they_can_be_are_refused_before_memory_is_taken(
    tmp_path, rows, columns
):
    def change(header):
        header.Rows, header.Columns = rows, columns

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    content = larger(PICTURES["JPEG 2000"][2], rows, columns)
    message = refusal(written(tmp_path, "JPEG 2000", content, change))
    assert "more than images do" in message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_tiles_that_are_missing_are_refused(tmp_path):
    def change(header):
        header.Rows = 240

    content = bytearray(PICTURES["JPEG 2000"][2])
    content[12:16] = (240).to_bytes(4, "big")
    message = refusal(written(tmp_path, "JPEG 2000", bytes(content), change))
    assert "a compressed picture ends too early" in message


def test_pictures_in_colour_are_no_grey_slices(tmp_path):
    colours = np.stack([SMALL, SMALL, SMALL], axis=-1)
    for kind, content in (
        ("JPEG", picture(colours, "JPEG")),
        ("tiles", picture(colours, "JPEG2000", no_jp2=True)),
    ):
        message = refusal(written(tmp_path, kind, content))
        assert "3 values of 8 bits a pixel, its header says 24 rows, 20 columns and 1" in message


@pytest.mark.parametrize("kind", ["lossless JPEG", "JPEG 2000", "tiles"])
def test_a_picture_in_several_fragments_is_read(tmp_path, kind):
    def change(header):
        header.PixelData = encapsulate([PICTURES[kind][-1]], fragments_per_frame=3)

    read_volume(written(tmp_path, kind, change=change))


def test_frames_are_looked_at_one_by_one(tmp_path):
    whole = PICTURES["JPEG 2000"][2]
    header = pydicom.dcmread(io.BytesIO(dicom_targets.frames()["a.dcm"]))
    header.Rows, header.Columns = GRADIENT.shape
    header.PixelRepresentation = 0
    header.file_meta.TransferSyntaxUID = JPEG_2000
    for pictures, is_whole in (([whole] * 3, True), ([whole, whole[:-30], whole], False)):
        header.PixelData = encapsulate(pictures)
        header["PixelData"].VR = "OB"
        header["PixelData"].is_undefined_length = True
        header.save_as(tmp_path / "a.dcm")
        if is_whole:
            assert read_volume(tmp_path).voxels.shape == (3, *GRADIENT.shape)
        else:
            assert "a compressed picture ends too early" in refusal(tmp_path)


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("bits", [0, 1, 17, 33, 48, 80, 127])
def test_pictures_of_bits_that_there_are_not_are_refused(tmp_path, kind, bits):
    """GDCM ended the process on them."""
    content = bytearray(PICTURES[kind][2])
    if kind in ("JPEG", "lossless JPEG"):
        frame = content.index(b"\xff\xc0" if kind == "JPEG" else b"\xff\xc3")
        content[frame + 4] = bits
    else:
        content[42] = (bits - 1) % 128
    refusal(written(tmp_path, kind, bytes(content)))


def test_a_picture_that_ends_its_decoder_is_told_and_the_next_is_read(tmp_path, monkeypatch):
    (tmp_path / "series").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    written(tmp_path / "series", "JPEG 2000")
    files, _ = list_dicom(tmp_path / "series")
    decoder = gdcm.Gdcm()
    decoded = decoder.decode(files[0])
    os.kill(decoder._process.pid, signal.SIGSEGV)
    with pytest.raises(InputError, match="001.dcm: its pixels cannot be decoded"):
        decoder.decode(files[1])
    np.testing.assert_array_equal(decoder.decode(files[2]), decoded)
    assert len(list((tmp_path / "temporary").iterdir())) == 1
    decoder.close()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_decoder_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    written(tmp_path, "JPEG 2000")
    monkeypatch.setattr(gdcm, "SECONDS", 0.001)
    assert "000.dcm: its pixels cannot be decoded" in refusal(tmp_path)


def test_gdcm_gets_nothing_of_the_patient(tmp_path):
    def change(header):
        header.PatientName, header.PatientID = "Doe^Jane", "4711"

    written(tmp_path, "JPEG 2000", change=change)
    files, _ = list_dicom(tmp_path)
    given = pydicom.dcmread(io.BytesIO(gdcm.picture_file(files[0])))
    assert b"Doe" not in gdcm.picture_file(files[0])
    assert "PatientID" not in given
    assert (given.Rows, given.Columns) == GRADIENT.shape
    assert given.PixelData == pydicom.dcmread(files[0].path).PixelData
