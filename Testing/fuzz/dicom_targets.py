"""Targets: folders with DICOM files of one frame, of many, and compressed."""

from __future__ import annotations

import base64
import io
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import BinaryIO

import numpy as np

from fuzz.binary_changes import dicom_changed, dicom_elements, element
from fuzz.changes import BYTES, Files, in_one_file
from fuzz.origin import check_in_series
from fuzz.target import Arrays, Target

PIXELS = np.random.default_rng(0).integers(0, 900, (3, 6, 5))
COLUMN = (0.0, 0.8, -0.6)
NORMAL = np.array((0.0, 0.6, 0.8))
POSITIONS = [(np.array((-10.0, -20.0, 30.0)) + 2.5 * n * NORMAL).tolist() for n in range(3)]


def read_folder(folder: Path) -> Arrays:
    """Read the series in `folder` and compare it with what pydicom reads."""
    from TumorSegLib.reading import gdcm, read_volume

    gdcm.subprocess.Popen = ForkedDecoder
    volume = read_volume(folder)
    assert volume.voxels.shape == volume.grid.shape
    resampled = ("moved onto", "interpolated")
    if not any(word in warning for warning in volume.warnings for word in resampled):
        check_in_series(folder, volume.voxels)
    return volume.voxels, volume.grid, volume.warnings, volume.modality, volume.sequence


def pipe() -> tuple[BinaryIO, BinaryIO]:
    """Return the reading and the writing end of a new pipe."""
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")


class ForkedDecoder:
    """What `Gdcm` takes for its process: the same in a fork, a hundred times as fast."""

    def __init__(self, command: list[str], **_: object) -> None:
        from TumorSegLib.reading import gdcm_process

        (asked, self.stdin), (self.stdout, answers) = pipe(), pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.stdin.close()
            self.stdout.close()
            os.dup2(asked.fileno(), 0)
            os.dup2(answers.fileno(), 1)
            sys.stdin = os.fdopen(0)
            with suppress(BaseException):
                gdcm_process.main(command[-1])
            os._exit(0)
        asked.close()
        answers.close()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def communicate(self) -> None:
        with suppress(OSError):
            self.stdin.close()
        self.stdout.close()
        os.waitpid(self.pid, 0)


def slices(
    dtype: str = "int16", syntax: str | None = None, pixels=PIXELS, **attributes: object
) -> Files:
    """Return a series of one file a slice."""
    import pydicom
    from dicom_writing import CT, header_of

    files = {}
    for number, (plane, position) in enumerate(zip(pixels.astype(dtype), POSITIONS, strict=True)):
        header = header_of(plane, CT, "1.2.3")
        header.ImagePositionPatient = [f"{mm:.10g}" for mm in position]
        header.ImageOrientationPatient = [1, 0, 0, *COLUMN]
        header.PixelSpacing, header.SliceThickness = [0.8, 0.7], "2.5"
        header.RescaleSlope, header.RescaleIntercept = 1, -1024
        header.AnatomicRegionSequence = [pydicom.Dataset()]
        header.AnatomicRegionSequence[0].CodeValue = "T-62000"
        for keyword, value in attributes.items():
            setattr(header, keyword, value)
        files[f"{number:03}.dcm"] = _written(header, number, syntax)
    return files


def frames() -> Files:
    """Return an enhanced CT."""
    import tempfile

    import pydicom
    from dicom_writing import write_frames

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.dcm"
        write_frames(path, PIXELS.astype(np.int16), [(-10, -20, 30 + 2.5 * n) for n in range(3)])
        return {"a.dcm": _written(pydicom.dcmread(path), 0, None)}


def _written(header, number: int, syntax: str | None) -> bytes:
    from dicom_writing import save

    if syntax is not None:
        header.compress(syntax)
    uid = f"1.2.826.0.1.{number + 1}"
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = uid
    file = io.BytesIO()
    save(header, file)
    return file.getvalue()


def plain_seeds() -> list[Files]:
    return [
        slices(),
        slices("uint16"),
        slices("uint8"),
        slices(Modality="MR", EchoTime="90", RepetitionTime="4000", RescaleSlope="0.5"),
    ]


def frame_seeds() -> list[Files]:
    one = frames()
    return [one, {"a.dcm": one["a.dcm"]}]


RLE, JPEG, JPEG_LOSSLESS, JPEG_LS, JPEG_2000 = (
    f"1.2.840.10008.1.2.{end}" for end in ("5", "4.50", "4.70", "4.80", "4.90")
)
GRADIENT = np.add.outer(3 * np.arange(24), 2 * np.arange(20)).astype(np.uint16)
LOSSLESS = base64.b85decode(
    "|JeV-01FTR7yuLj0TBTI!~hil0RaF20000000000000000ucY&00;pA00961l1U_zNhFd@B$7!al1U`eNhFd<B$7=e"
    "l1U_zNhH!qB$7!al1(I%NhFd<B+^MFl1U_zO(c>@B$7!a(n%zeNhFd@B$7!al1U`eNhFd<B$7=el1U_zNhH!qB$7!a"
    "l1(I%NhFd<B+^MFl1U_zO(c>@B$7!a(n%zeNhFd@B$7!al1U`eNhFd<B$7=el1U_zNhH!qB$7!al1(I%NhFd<B+^MF"
    "l1U_zO(c>@B$7!b|Je"
)
"""`GRADIENT` as lossless JPEG of 16 bits, which only GDCM writes here."""


def compressed_seeds() -> list[Files]:
    """Return series in the compressions that can be made here."""
    noise = np.random.default_rng(0).integers(0, 900, (3, 24, 20))  # GDCM refuses less as RLE
    seeds = [slices("int16", RLE, noise), slices("uint8", RLE, noise)]
    with suppress(Exception):  # its encoder may not be installed
        seeds.append(slices("uint16", JPEG_LS, noise))
    small = GRADIENT.astype(np.uint8)
    return [
        *seeds,
        packed("uint16", JPEG_LOSSLESS, LOSSLESS),
        packed("uint16", JPEG_2000, picture(GRADIENT, "JPEG2000", no_jp2=True)),
        packed("uint8", JPEG_2000, picture(small, "JPEG2000", no_jp2=True)),
        packed("uint8", JPEG, picture(small, "JPEG", quality=95)),
    ]


def picture(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    """Return a compressed picture."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def packed(dtype: str, syntax: str, content: bytes) -> Files:
    """Return a series all of whose slices are one compressed picture of `GRADIENT`'s size."""
    import pydicom
    from pydicom.encaps import encapsulate

    files = {}
    for number, (name, whole) in enumerate(slices(dtype).items()):
        header = pydicom.dcmread(io.BytesIO(whole))
        header.Rows, header.Columns = GRADIENT.shape
        header.PixelData = encapsulate([content])
        header["PixelData"].VR = "OB"
        header["PixelData"].is_undefined_length = True
        header.file_meta.TransferSyntaxUID = syntax
        files[name] = _written(header, number, None)
    return files


def pixels_changed(rng: Random, content: bytes) -> bytes:
    """Change what is in the pixel data, which a compressed file's decoder gets."""
    for tag, _, start, end in dicom_elements(content):
        if tag >> 16 == 0x7FE0:
            return content[:start] + rng.choice(BYTES)(rng, content[start:end]) + content[end:]
    return content


def sizes_changed(rng: Random, files: Files) -> Files:
    """Say other rows and columns in every file, and now and then in the compressed picture, too."""
    rows, columns = (rng.choice((0, 1, 4, 6, 64, 512, 4096, 30000, 65535)) for _ in range(2))
    changed = {}
    for name, content in files.items():
        for tag, number in ((0x00280010, rows), (0x00280011, columns)):
            for found, place, _, end in dicom_elements(content):
                if found == tag:
                    head = content[place : place + 4]
                    new = element(head, b"US", number.to_bytes(2, "little"))
                    content = content[:place] + new + content[end:]
                    break
        old = content.find(b"\xff\x4f\xff\x51")
        if old >= 0:
            size = columns.to_bytes(4, "big") + rows.to_bytes(4, "big")
            content = content[: old + 8] + size + content[old + 16 :]
        changed[name] = content
    return changed


def import_dicom() -> None:
    import pydicom

    import TumorSegLib.reading
    import TumorSegLib.reading.gdcm_process
    import TumorSegLib.reading.multi_frame  # noqa: F401

    del pydicom


fields = in_one_file(dicom_changed)
pixels = in_one_file(pixels_changed)

TARGETS = (
    Target("DICOM slices", plain_seeds, read_folder, (fields,), import_dicom),
    Target("DICOM frames", frame_seeds, read_folder, (fields,), import_dicom),
    Target(
        "DICOM compressed",
        compressed_seeds,
        read_folder,
        (fields, pixels, pixels, sizes_changed),
        import_dicom,
    ),
)
