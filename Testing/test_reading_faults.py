"""Bombs, pipes, devices, links to nothing and failing disks are refused in a line."""

from __future__ import annotations

import errno
import gzip
import os
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
import SimpleITK as sitk
from written_headers import (
    LITTLE,
    META,
    NRRD,
    PACKED,
    RAW,
    VOXELS,
    ZIPPED,
    refusal,
    write,
)

from TumorSegLib.errors import InputError
from TumorSegLib.reading import read_volume
from TumorSegLib.slicer_io.segmentation_file import read_segments

ROOT = Path(__file__).resolve().parent.parent

READING = """
import re, sys
from pathlib import Path
from TumorSegLib.errors import InputError
from TumorSegLib.reading import read_volume

def most():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

Path("/proc/self/clear_refs").write_text("5")  # begins to watch
before = most()
try:
    read_volume(sys.argv[1])
except InputError as error:
    print(most() - before, error)
"""
"""A process of its own: commands, in whose tests others have been, have the C library keep what is
freed, and zeros that are asked for there are written."""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells")
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_small_file_of_zeros_takes_no_memory(tmp_path, ending):
    """A megabyte that unpacks to a gigabyte of zeros is refused before its pages are there."""
    shape = (256, 1024, 1024)
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    planes = [packer.compress(bytes(2 * 1024 * 1024)) for _ in range(shape[0])]
    content = b"".join(planes) + packer.flush()
    if ending == ".nii.gz":
        small = tmp_path / "small.nii"
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(small))
        header = bytearray(small.read_bytes()[:352])
        header[42:48] = struct.pack("<3h", *shape[::-1])
        content = gzip.compress(header) + content
    elif ending == ".nrrd":
        content = ZIPPED.replace("6 7 5", "1024 1024 256").encode() + b"\n" + content
    else:
        head = PACKED.replace("6 7 5", "1024 1024 256") + "ElementDataFile = LOCAL\n"
        content = head.encode() + content
    path = tmp_path / f"zeros{ending}"
    path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", READING, path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    taken, message = done.stdout.split(maxsplit=1)
    assert "every voxel is 0" in message
    assert int(taken) < 128 * 2**20


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_a_short_file_of_a_large_volume_takes_no_memory(tmp_path, ending):
    head = {
        ".nrrd": ZIPPED.replace("6 7 5", "1024 1024 1024").encode() + b"\n",
        ".mha": (PACKED.replace("6 7 5", "1024 1024 1024") + "ElementDataFile = LOCAL\n").encode(),
        ".nii.gz": b"",
    }[ending]
    content = head + gzip.compress(LITTLE)
    if ending == ".nii.gz":
        small = tmp_path / "small.nii"
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(small))
        header = bytearray(small.read_bytes())
        header[42:48] = struct.pack("<3h", 1024, 1024, 1024)
        content = gzip.compress(header)
    path = tmp_path / f"short{ending}"
    path.write_bytes(content)
    tracemalloc.start()
    assert "damaged or truncated" in refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("name", ["head.nii.gz", "head.nrrd", "head.mha"])
def test_pipes_and_devices_are_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="is no file but a device or a pipe"):
        read_volume(tmp_path / name)
    for header in (RAW + "data file: pipe\n", META + "ElementDataFile = pipe\n"):
        (tmp_path / "pipe").unlink(missing_ok=True)
        (tmp_path / "pipe").symlink_to(tmp_path / name)
        assert "is no file but a device or a pipe" in refusal(write(tmp_path, header))
        if sys.platform == "linux":
            (tmp_path / "pipe").unlink()
            (tmp_path / "pipe").symlink_to("/dev/zero")
            assert "is no file but a device or a pipe" in refusal(write(tmp_path, header))


def test_a_dead_link_is_told(tmp_path):
    (tmp_path / "head.nrrd").symlink_to(tmp_path / "annex" / "content")
    with pytest.raises(InputError, match=r"head\.nrrd: a link to a file that is not there"):
        read_volume(tmp_path / "head.nrrd")


@pytest.mark.parametrize("name", ["image.nhdr", "d.raw", "head.nii", "a.seg.nrrd"])
@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOENT, errno.ESTALE])
def test_files_that_fail_or_vanish_while_they_are_read_are_told(
    folder, monkeypatch, name, after, code
):
    """The first openings go well, then the disk fails, or another program removes the file."""
    write(folder, RAW + "data file: d.raw\n")
    header = NRRD + "endian: little\nencoding: raw\nSegment0_ID:=a\n"
    (folder / "a.seg.nrrd").write_bytes(header.encode() + b"\n" + LITTLE)
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(folder / "head.nii"))
    path = folder / ("image.nhdr" if name == "d.raw" else name)
    read = read_segments if name == "a.seg.nrrd" else read_volume
    whole = Path.open
    opened = 0

    def failing(self, *args, **options):
        nonlocal opened
        opened += self.name == name
        if self.name == name and opened > after:
            raise OSError(code, os.strerror(code), str(self))
        return whole(self, *args, **options)

    monkeypatch.setattr(Path, "open", failing)
    try:
        read(path)
    except InputError as error:
        message = str(error)
        assert re.search(f"{name}: .*{os.strerror(code)}|{name}: no such file", message)
    else:
        assert opened <= after
