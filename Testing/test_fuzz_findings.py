"""Damaged inputs that once ended the process, went on for ever or gave a traceback are refused."""

from __future__ import annotations

import io
import json
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pydicom
import pytest
from fuzz.contour_targets import contour_seeds
from fuzz.image_seeds import nifti
from PIL import Image
from test_training_readers import CT
from tiny_models import ct_specification, write_tiny_bundle

from tumorseg_training.config import read_config
from tumorseg_training.publishing import figures_of
from tumorseg_training.readers import read_cases
from tumorseg_training.readers.pictures import read_picture
from TumorSegLib.errors import InputError, ModelError
from TumorSegLib.export.dicom_masks import read_dicom_segments
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.bundle import load_network
from TumorSegLib.model.stored_weights import from_bytes
from TumorSegLib.reading.image_file import read_array
from TumorSegLib.support.archive import ArchiveError, opened_archive

pytestmark = pytest.mark.slow

VOLUME = Volume(np.arange(120, dtype=np.int16).reshape(4, 6, 5), Grid((4, 6, 5), (0.7, 0.8, 2.5)))
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits are set on a forked child")


@linux
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize(("code", "offset"), [(254, 304), (254, 280), (252, 256), (252, 268)])
def test_matrices_of_no_numbers_do_not_keep_itk_busy(code, offset, number):
    """ITK searches without end for the direction of an axis of zeros and NaN."""
    from fuzz.campaign import replay
    from fuzz.outcome import REFUSED
    from fuzz.targets import target_named

    content = bytearray(nifti("u1"))
    content[252:256] = bytes(4)
    content[code] = 1
    content[280:284] = bytes(4)
    struct.pack_into("<f", content, offset, number)
    outcome = replay(target_named("NIfTI"), {"image.nii": bytes(content)})
    assert outcome.kind == REFUSED, outcome
    assert "expected numbers" in outcome.detail


def test_names_that_no_file_can_have_are_refused(tmp_path):
    path = tmp_path / "long.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("x" * 256, "")
    with pytest.raises(ArchiveError, match="has too long a name"), opened_archive(path, 10):
        pytest.fail("was opened")


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.update({"a": 1}),
        lambda header: header.update({"a": {}}),
        lambda header: header.update({"a": {"dtype": "F32"}}),
        lambda header: next(iter(header.values())).pop("shape"),
        lambda header: next(iter(header.values())).update(data_offsets=0),
        lambda header: next(iter(header.values())).update(data_offsets=[0, 2**63]),
        lambda header: next(iter(header.values())).update(shape=[-1]),
        lambda header: next(iter(header.values())).update(shape="A" * 5000),
    ],
)
def test_heads_of_weights_that_are_garbled_are_refused(tmp_path, change):
    bundle = write_tiny_bundle(tmp_path, ct_specification())
    content = (bundle.folder / "weights.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    change(header)
    new = json.dumps(header).encode()
    with pytest.raises(ModelError, match="not a safetensors file") as caught:
        from_bytes(
            struct.pack("<Q", len(new)) + new + content[8 + length :],
            "float32",
            bundle.folder / "weights.safetensors",
        )
    assert len(str(caught.value)) < 500 + len(str(tmp_path))
    assert load_network(bundle)


@pytest.mark.parametrize("names", [{}, [], "CT", None, 1, {"0": 1}, {"zero": "CT"}, {"0": None}])
def test_channel_names_that_are_none_are_refused(tmp_path, names):
    content = {"channel_names": names, "labels": {"a": 1}, "file_ending": ".nii.gz"}
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).mkdir()
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="channel_names are not numbers with names of channels"):
        read_cases(tmp_path, "nnunet", CT)


@pytest.mark.parametrize(
    "content", [[], 1, {"models": 1}, {"models": []}, {"models": [1]}, {"models": [{}]}]
)
def test_results_that_are_none_are_refused(tmp_path, content):
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="of one model"):
        figures_of(path)


@linux
@pytest.mark.parametrize("lines", [3, 2**32 - 1, 10**17])
def test_lines_to_pass_over_that_are_not_there_are_refused_at_once(lines):
    from fuzz.campaign import replay
    from fuzz.image_seeds import nrrd_header, voxels
    from fuzz.outcome import READ, REFUSED
    from fuzz.targets import target_named

    for said, kind in ((2, READ), (lines, REFUSED)):
        header = nrrd_header("short", "raw", f"line skip: {said}", "data file: image.raw")
        raw = b"a\n" + b"b" * 2_000_000 + b"\n" + voxels("<i2").tobytes().replace(b"\n", b"\0")
        files = {"image.nhdr": header.encode() + b"\n", "image.raw": raw}
        assert replay(target_named("NRRD"), files).kind == kind


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.nhdr", "NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n{}\n"),
        ("a.mhd", "NDims = 3\nDimSize = 2 2 2\nElementType = MET_SHORT\n{}\n"),
    ],
)
@pytest.mark.parametrize("place", range(3))
def test_numbers_of_data_files_without_end_are_refused(tmp_path, name, header, place):
    numbers = ["0", "1", "1"]
    numbers[place] = "9" * 5000
    key = "data file:" if name == "a.nhdr" else "ElementDataFile ="
    text = header.format(f"endian: little\n{key} s%02d.raw {' '.join(numbers)}")
    path = tmp_path / name
    path.write_text(text.replace("endian: little\n", "") if name == "a.mhd" else text)
    with pytest.raises(InputError) as caught:
        read_array(path)
    assert len(str(caught.value)) < 1000 + len(str(tmp_path))


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000, "[" * 5000 + "]" * 5000, "1e999999999"])
def test_configs_with_values_without_end_are_refused(tmp_path, value):
    path = tmp_path / "run.toml"
    path.write_text(f"[optimisation]\nepochs = {value}\n")
    with pytest.raises(InputError):
        read_config(path)
    path.write_text("[optimisation]\nepochs = 1\n")
    with pytest.raises(InputError):
        read_config(path, [f"optimisation.epochs={value}"])


def damaged_pictures():
    file = io.BytesIO()
    Image.fromarray(np.zeros((12, 12), np.uint8)).save(file, "PNG")
    whole = file.getvalue()
    sized = bytearray(whole)
    sized[16:24] = struct.pack(">2I", 2**20, 2**20)
    return {
        "nothing": b"",
        "chunk": whole[:37] + b"\0\0\0\0" + whole[41:],
        "short head": whole[:11] + b"\1" + whole[12:],
        "bomb": bytes(sized),
        "cut": whole[:45],
    }


@pytest.mark.parametrize("kind", damaged_pictures())
def test_damaged_pictures_are_refused(tmp_path, kind):
    path = tmp_path / "1.png"
    path.write_bytes(damaged_pictures()[kind])
    tracemalloc.start()
    with pytest.raises(InputError, match="1.png: cannot be read as a picture"):
        read_picture(path)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_pictures_larger_than_slices_are_refused_before_memory_is_taken(tmp_path):
    file = io.BytesIO()
    Image.new("L", (6000, 6000)).save(file, "PNG")
    (tmp_path / "1.png").write_bytes(file.getvalue())
    with pytest.raises(InputError, match="found 6000x6000 pixels"):
        read_picture(tmp_path / "1.png")


SEGMENTS = [files["segments.dcm"] for files in contour_seeds()]


@pytest.mark.parametrize("content", SEGMENTS, ids=["BINARY", "FRACTIONAL", "LABELMAP", "RTSTRUCT"])
def test_segments_of_dicom_that_are_cut_anywhere_are_refused(tmp_path, content):
    """pydicom takes a file's end for that of its sequences, contours would be gone."""
    path = tmp_path / "segments.dcm"
    path.write_bytes(content)
    whole = read_dicom_segments(path, VOLUME)
    assert len(whole) == 2
    for kept in range(0, len(content), 7):
        path.write_bytes(content[:kept])
        with pytest.raises(InputError):
            read_dicom_segments(path, VOLUME)


@pytest.mark.parametrize("length", [5000, 2**31 - 2, 2**32 - 2])
@pytest.mark.parametrize("content", SEGMENTS[::3], ids=["BINARY", "RTSTRUCT"])
def test_lengths_beyond_the_file_take_no_memory(tmp_path, content, length):
    path = tmp_path / "segments.dcm"
    at = content.index(b"\x08\0\x60\0CS")
    element = struct.pack("<HH2sHI", 0x0008, 0x0050, b"OB", 0, length)
    path.write_bytes(content[:at] + element + content[at:])
    tracemalloc.start()
    with pytest.raises(InputError, match="cannot be read as DICOM"):
        read_dicom_segments(path, VOLUME)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("frames", [1, 7, 9, 2**31 - 1])
def test_another_number_of_frames_is_refused(tmp_path, frames):
    header = pydicom.dcmread(io.BytesIO(SEGMENTS[0]))
    header.NumberOfFrames = frames
    header.save_as(tmp_path / "segments.dcm")
    with pytest.raises(InputError, match="positions of 8 frames"):
        read_dicom_segments(tmp_path / "segments.dcm", VOLUME)
