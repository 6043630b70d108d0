"""Good images in the formats that TumorSeg reads, as small as they can be."""

from __future__ import annotations

import bz2
import gzip
import struct
import zlib

import numpy as np

from fuzz.changes import Files

SHAPE = (4, 6, 5)
SIZES = "5 6 4"

NRRD_GEOMETRY = (
    "space: {space}\nspace directions: (0.7,0,0) (0,0.48,-0.64) (0,2,1.5)\n"
    "kinds: domain domain domain\nspace origin: (-12.5,3,40.25)\n"
)
META = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = {msb}\n"
    "CompressedData = {packed}\nTransformMatrix = 0 1 0 1 0 0 0 0 -1\nOffset = -12.5 3 40.25\n"
    "CenterOfRotation = 0 0 0\nAnatomicalOrientation = RAI\nElementSpacing = 0.7 0.8 2.5\n"
    "DimSize = 5 6 4\nElementType = {kind}\n"
)


def voxels(dtype: str, seed: int = 0) -> np.ndarray:
    """Return random values (z, y, x) in a type, byte order included."""
    return np.random.default_rng(seed).integers(0, 120, SHAPE).astype(dtype)


def nifti(dtype: str = "<i2", *, order: str = "<", **changes: object) -> bytes:
    """Return a NIfTI-1 file; `changes` are slope, inter, qform or sform."""
    codes = {"u1": (2, 8), "i2": (4, 16), "f4": (16, 32), "f8": (64, 64), "u2": (512, 16)}
    code, bits = codes[dtype.strip("<>")]
    header = bytearray(352)

    def put(offset: int, kind: str, *numbers: float) -> None:
        struct.pack_into(f"{order}{len(numbers)}{kind}", header, offset, *numbers)

    put(0, "i", 348)
    put(40, "h", 3, *SHAPE[::-1], 1, 1, 1, 1)
    put(70, "h", code, bits)
    put(76, "f", 1, 0.7, 0.8, 2.5, 0, 0, 0, 0)
    put(108, "f", 352, float(changes.get("slope", 0)), float(changes.get("inter", 0)))
    header[123] = 10
    put(252, "h", int(changes.get("qform", 1)), int(changes.get("sform", 1)))
    put(256, "f", 0, 0, 0, 5, 6, 7)
    put(280, "f", 0.7, 0, 0, 5, 0, 0.8, 0, 6, 0, 0, 2.5, 7)
    header[344:348] = b"n+1\0"
    return bytes(header) + voxels(f"{order}{dtype.strip('<>')}").tobytes()


def nifti_2() -> bytes:
    """Return a NIfTI-2 file."""
    header = bytearray(544)
    struct.pack_into(
        "<i8s2h8q", header, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16, 3, *SHAPE[::-1], 1, 1, 1, 1
    )
    struct.pack_into("<8d", header, 104, 1, 0.7, 0.8, 2.5, 0, 0, 0, 0)
    struct.pack_into("<q2d", header, 168, 544, 1, 0)
    struct.pack_into("<2i", header, 344, 1, 1)
    struct.pack_into("<12d", header, 400, 0.7, 0, 0, 5, 0, 0.8, 0, 6, 0, 0, 2.5, 7)
    return bytes(header) + voxels("<i2").tobytes()


def nifti_seeds() -> list[Files]:
    """Return NIfTI files, compressed and not."""
    plain = [
        *(nifti("i2"), nifti("u1"), nifti("f4"), nifti("i2", order=">"), nifti("f8", sform=0)),
        *(nifti("u2", slope=0.5, inter=-3), nifti("i2", qform=0, sform=0), nifti_2()),
    ]
    seeds = [{"image.nii": content} for content in plain]
    return seeds + [{"image.nii.gz": gzip.compress(content, mtime=0)} for content in plain]


def nrrd_header(
    kind: str, encoding: str, *more: str, space: str = "left-posterior-superior"
) -> str:
    """Return an NRRD header up to its empty line, which is not in it."""
    lines = "".join(f"{line}\n" for line in more)
    return (
        f"NRRD0004\n# made up\ntype: {kind}\ndimension: 3\nsizes: {SIZES}\n"
        f"{NRRD_GEOMETRY.format(space=space)}endian: little\nencoding: {encoding}\n{lines}"
    )


def nrrd_seeds() -> list[Files]:
    """Return NRRD files with their voxels in all encodings, within and beside them."""
    raw, small = voxels("<i2").tobytes(), voxels("u1")
    words = " ".join(map(str, voxels("<i2").ravel())).encode()

    def attached(header: str, content: bytes) -> Files:
        return {"image.nrrd": header.encode() + b"\n" + content}

    def detached(name: str, encoding: str, content: bytes, *more: str) -> Files:
        header = nrrd_header("short", encoding, *more, f"data file: {name}")
        return {"image.nhdr": header.encode() + b"\n", name: content}

    slices = {f"s{n:02}.raw": plane.tobytes() for n, plane in enumerate(voxels("<i2"))}
    listed = nrrd_header("short", "raw", "data file: LIST", *slices)
    numbered = nrrd_header("short", "raw", "data file: s%02d.raw 0 3 1")
    bare = f"NRRD0001\ntype: uchar\ndimension: 3\nsizes: {SIZES}\nencoding: raw\n"
    bare += "spacings: 0.7 0.8 2.5\n"
    return [
        attached(nrrd_header("short", "raw"), raw),
        attached(nrrd_header("short", "gzip", space="RAS"), gzip.compress(raw, mtime=0)),
        attached(nrrd_header("short", "bzip2"), bz2.compress(raw)),
        attached(nrrd_header("short", "hex"), raw.hex().encode()),
        attached(nrrd_header("short", "ascii"), words),
        attached(nrrd_header("double", "raw"), voxels("<f8").tobytes()),
        attached(bare, small.tobytes()),
        attached(nrrd_header("short", "raw", "kind:=made up"), raw),
        detached("image.raw", "raw", raw),
        detached("image.raw", "raw", b"12345" + raw, "byte skip: 5"),
        detached("image.raw", "raw", b"one\ntwo\n" + raw, "line skip: 2"),
        detached("image.raw", "raw", b"12345" + raw, "byte skip: -1"),
        detached("image.raw.gz", "gzip", gzip.compress(raw, mtime=0)),
        {"image.nhdr": listed.encode(), **slices},
        {"image.nhdr": numbered.encode(), **slices},
    ]


def meta_seeds() -> list[Files]:
    """Return MetaImage files with their voxels within and beside them, packed and not."""
    raw = voxels("<i2").tobytes()
    packed = zlib.compress(raw)

    def header(
        data: str, *more: str, kind: str = "MET_SHORT", msb: bool = False, pack: bool = False
    ):
        lines = "".join(f"{line}\n" for line in more)
        text = META.format(msb=msb, packed=pack, kind=kind)
        return f"{text}{lines}ElementDataFile = {data}\n".encode()

    size = f"CompressedDataSize = {len(packed)}"
    slices = {f"s{n:02}.raw": plane.tobytes() for n, plane in enumerate(voxels("<i2"))}
    words = " ".join(map(str, voxels("<i2").ravel())).encode()
    written = header("LOCAL").replace(b"BinaryData = True", b"BinaryData = False")
    names = "".join(f"{name}\n" for name in slices).encode()
    return [
        {"image.mha": header("LOCAL") + raw},
        {"image.mha": header("LOCAL", msb=True) + voxels(">i2").tobytes()},
        {"image.mha": header("LOCAL", size, pack=True) + packed},
        {"image.mha": header("LOCAL", pack=True) + packed},
        {"image.mha": header("LOCAL", kind="MET_DOUBLE") + voxels("<f8").tobytes()},
        {"image.mha": written + words},
        {"image.mhd": header("image.raw"), "image.raw": raw},
        {"image.mhd": header("image.raw", "HeaderSize = 5"), "image.raw": b"12345" + raw},
        {"image.mhd": header("image.raw", "HeaderSize = -1"), "image.raw": b"12345" + raw},
        {"image.mhd": header("image.zraw", size, pack=True), "image.zraw": packed},
        {"image.mhd": header("LIST") + names, **slices},
        {"image.mhd": header("s%02d.raw 0 3 1"), **slices},
    ]


def labels() -> np.ndarray:
    """Return a label map (z, y, x) with two structures."""
    found = np.zeros(SHAPE, np.uint8)
    found[1:3, 1:5, 1:4] = 1
    found[2, 2:4, 2] = 2
    return found


def segment_fields(number: int, value: int, layer: int, name: str) -> list[str]:
    """Return the fields of one segment of a `.seg.nrrd` file."""
    fields = {
        "Color": "0.5 0.4 0.3",
        "Extent": "0 4 0 5 0 3",
        "ID": f"Segment_{number + 1}",
        "LabelValue": str(value),
        "Layer": str(layer),
        "Name": name,
        "Tags": "TumorSeg.Model:tiny 1|Segmentation.Status:inprogress|",
    }
    return [f"Segment{number}_{key}:={text}" for key, text in fields.items()]


def segmentation_seeds() -> list[Files]:
    """Return `.seg.nrrd` files of one layer and of two."""
    fields = [*segment_fields(0, 1, 0, "Liver"), *segment_fields(1, 2, 0, "Liver tumour")]
    extent = ["Segmentation_ReferenceImageExtentOffset:=0 0 0"]
    one = nrrd_header("uchar", "{}", *fields, *extent)
    spread = [*segment_fields(0, 1, 0, "Liver"), *segment_fields(1, 1, 1, "Liver tumour")]
    two = nrrd_header("uchar", "gzip", *spread, *extent)
    two = two.replace("dimension: 3", "dimension: 4").replace(
        f"sizes: {SIZES}", f"sizes: 2 {SIZES}"
    )
    two = two.replace("directions: ", "directions: none ").replace("kinds: ", "kinds: list ")
    layers = np.stack([labels() > 0, labels() > 1], axis=-1).astype(np.uint8).tobytes()
    flat = labels().tobytes()
    return [
        {"case.seg.nrrd": one.format("raw").encode() + b"\n" + flat},
        {"case.seg.nrrd": one.format("gzip").encode() + b"\n" + gzip.compress(flat, mtime=0)},
        {"case.seg.nrrd": two.encode() + b"\n" + gzip.compress(layers, mtime=0)},
    ]
